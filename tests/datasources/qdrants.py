"""A fake Qdrant server that a test lets be away, and that can refuse what names a word."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.types import Message, Receive, Scope, Send

from llmstack_api.vectors.edge import EdgeStore
from tests.fake_qdrant import FakeQdrant, Fault
from tests.fake_qdrant.faults import play


class PickyQdrant(FakeQdrant):
    """`always`, where it is set, is what it does instead of answering; `poison` is a word that it refuses to store."""

    always: Fault | None = None
    poison: bytes | None = None
    refused = 0
    """Requests that had the poison."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.always is not None:
            return await play(self.always, self, scope, receive, send, abort=lambda: None)
        if self.poison is None or scope["method"] != "PUT" or not scope["path"].endswith("/points"):
            return await super().__call__(scope, receive, send)
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)

        async def again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        if self.poison in body:
            self.refused += 1
            refusal = Fault(status=400, message="Wrong input: as the test wants")
            return await play(refusal, self, scope, again, send, abort=lambda: None)
        return await super().__call__(scope, again, send)


@asynccontextmanager
async def picky_qdrant(folder: Path) -> AsyncGenerator[PickyQdrant]:
    """Serve the collections below a folder until the block ends."""
    store = EdgeStore(folder)
    server = PickyQdrant(store, api_key=None, port=0)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
        await store.close()
