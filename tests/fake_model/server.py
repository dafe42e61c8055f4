"""The server: what it received, what is open, who left, and what it does next."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Final

from tests.fake_model import answers, anthropic, behaviours, embeddings, media, scripts
from tests.fake_model.scripts import Behaviour
from tests.fake_model.wire import Connection, Exchange, Received


class FakeModel:
    """A running fake model server. `base_url` is all that a client needs."""

    def __init__(self) -> None:
        self.base_url = ""
        self.requests: list[Received] = []
        """Every call of the model, oldest first."""
        self.aborted: list[float] = []
        """`time.monotonic()` of each time a client left before its answer was whole."""
        self.accepted = 0
        """Connections ever made."""
        self._connections: set[Connection] = set()
        self._held_back: set[Connection] = set()
        self._open: set[Exchange] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue: deque[str] = deque()
        self._refused: Counter[str] = Counter()
        self._changed = asyncio.Event()

    @property
    def open_calls(self) -> int:
        """Calls that are being answered now."""
        return len(self._open)

    @property
    def connections(self) -> int:
        """Connections open now."""
        return len(self._connections)

    @property
    def held_back_calls(self) -> int:
        """Calls whose client does not read what it is sent."""
        return len(self._held_back)

    @property
    def last(self) -> Received:
        """The newest call."""
        return self.requests[-1]

    def script(self, *names: str) -> None:
        """Do these for the next calls, one each, whatever model they ask for."""
        self._queue.extend(names)

    async def until(self, condition: Callable[[], bool], *, within: float = 5.0) -> None:
        """Wait until something about this server is so; a `TimeoutError` says that it did not become so."""
        async with asyncio.timeout(within):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def until_aborted(self, count: int = 1, *, within: float = 5.0) -> list[float]:
        """Wait until so many clients have left, and say when they did."""
        await self.until(lambda: len(self.aborted) >= count, within=within)
        return self.aborted

    # --- what connections tell -----------------------------------------------------------------------

    def connected(self, connection: Connection, *, now_open: bool) -> None:
        if now_open:
            self.accepted += 1
            self._connections.add(connection)
        else:
            self._connections.discard(connection)
            self._held_back.discard(connection)
        self._changed.set()

    def held_back(self, connection: Connection, *, now: bool) -> None:
        (self._held_back.add if now else self._held_back.discard)(connection)
        self._changed.set()

    def answer(self, exchange: Exchange) -> asyncio.Task[None]:
        self._open.add(exchange)
        task = asyncio.get_running_loop().create_task(self._answer(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def ended(self, exchange: Exchange, *, client_left: bool) -> None:
        self._open.discard(exchange)
        if client_left:
            self.aborted.append(monotonic())
        self._changed.set()

    async def _answer(self, exchange: Exchange) -> None:
        received = exchange.received
        if received.path == "/state":
            return scripts.reply_json(exchange, self._state(reset=received.method == "DELETE"))
        self.requests.append(received)
        self._changed.set()
        play = _operation(received)
        if play is None:
            missing = answers.error(
                f"No route {received.method} {received.path}.", kind="invalid_request_error"
            )
            return scripts.reply_json(exchange, missing, status=404)
        body: answers.Json = received.body or {}
        name = self._queue.popleft() if self._queue else str(body.get("model", ""))
        script = scripts.parse(name, body)
        if "times" in script.options and self._answers_this_time(name, int(script.options["times"])):
            script = replace(script, kind="")
        return await play(exchange, script)

    def _answers_this_time(self, name: str, times: int) -> bool:
        self._refused[name] += 1
        return self._refused[name] % (times + 1) == 0

    def _state(self, *, reset: bool) -> dict[str, object]:
        state: dict[str, object] = {
            "open_calls": self.open_calls - 1,
            "connections": self.connections,
            "aborted": len(self.aborted),
            "requests": [received.as_json() for received in self.requests],
        }
        if reset:
            self.requests.clear()
            self.aborted.clear()
            self._refused.clear()
        return state

    async def close(self) -> None:
        """Reset every connection and wait for what was answering."""
        for connection in tuple(self._connections):
            connection.abort()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=5)
        await self.until(lambda: not self._connections)


_OPERATIONS: Final[dict[str, Behaviour]] = {
    "POST /chat/completions": behaviours.play,
    "POST /completions": behaviours.play,
    "POST /embeddings": embeddings.play,
    "POST /messages": anthropic.play,
    "POST /images/generations": partial(media.play, media.images),
    "POST /audio/speech": partial(media.play, media.speech),
    "POST /audio/transcriptions": partial(media.play, media.transcription),
    "POST /audio/translations": partial(media.play, media.transcription),
    "GET /models": partial(media.play, media.models),
}


def _operation(received: Received) -> Behaviour | None:
    """Find what answers a request, whatever comes before the operation in its path."""
    path = received.path.partition("?")[0]
    found = [
        operation
        for operation in _OPERATIONS
        if received.method == operation.partition(" ")[0] and path.endswith(operation.partition(" ")[2])
    ]
    return _OPERATIONS[max(found, key=len)] if found else None


@asynccontextmanager
async def fake_model_server(*, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[FakeModel]:
    """Serve until the block ends. Over HTTP, `GET /state` tells what it saw, `DELETE /state` forgets it."""
    model = FakeModel()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(model), host, port, backlog=1024
    )
    model.base_url = f"http://{host}:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield model
    finally:
        server.close()
        await model.close()
