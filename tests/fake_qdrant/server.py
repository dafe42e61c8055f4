"""The server on a real socket: what it received, and what it does next."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from llmstack_api.vectors.edge import EdgeStore
from tests.fake_qdrant.app import make_app, refuse
from tests.fake_qdrant.faults import Fault, play, reset

WITHIN = 10.0


@dataclass(frozen=True)
class Received:
    """A request."""

    method: str
    path: str
    connection: tuple[str, int]


class FakeQdrant:
    """A running fake Qdrant server; `url` is all that a client needs."""

    def __init__(self, store: EdgeStore, *, api_key: str | None, port: int) -> None:
        self.requests: list[Received] = []
        """Every request, oldest first, those that met a fault too."""
        self._app: ASGIApp = make_app(store)
        self._api_key = api_key
        self._port = port
        self._faults: deque[Fault] = deque()
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def fail_next(self, *faults: Fault) -> None:
        """Do these for the next requests, one each."""
        self._faults.extend(faults)

    async def start(self) -> None:
        """Listen, on the same port as before."""
        config = uvicorn.Config(
            self,
            host="127.0.0.1",
            port=self._port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._serving = asyncio.create_task(self._server._serve())  # pyright: ignore[reportPrivateUsage] # without its signal handlers
        async with asyncio.timeout(WITHIN):
            while not self._server.started:
                if self._serving.done():
                    raise RuntimeError("the server did not start") from self._serving.exception()
                await asyncio.sleep(0.005)
        self._port = self._server.servers[0].sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Be down: nothing listens, open connections are closed."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        async with asyncio.timeout(WITHIN):
            await self._serving
        self._server = self._serving = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests.append(Received(scope["method"], scope["path"], tuple(scope["client"])))
        if self._api_key and dict(scope["headers"]).get(b"api-key") != self._api_key.encode():
            await refuse(401, "Must provide an API key or an Authorization bearer token")(
                scope, receive, send
            )
        elif self._faults:
            fault = self._faults.popleft()
            await play(fault, self._app, scope, receive, send, abort=lambda: self._reset(scope["client"]))
        else:
            await self._app(scope, receive, send)

    def _reset(self, client: tuple[str, int]) -> None:
        assert self._server is not None
        connections: set[Any] = self._server.server_state.connections
        for connection in tuple(connections):
            if connection.client == client:
                reset(connection.transport)


@asynccontextmanager
async def fake_qdrant_server(folder: Path, *, api_key: str | None = None) -> AsyncGenerator[FakeQdrant]:
    """Serve the collections below a folder until the block ends."""
    store = EdgeStore(folder)
    server = FakeQdrant(store, api_key=api_key, port=0)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
        await store.close()
