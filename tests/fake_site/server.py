"""The site: its pages, what was asked for, how many asked at once."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

from tests.fake_model.wire import Connection, Exchange, Received
from tests.fake_site.answers import Play, reply

UNTRUSTED = Path(__file__).with_name("untrusted.pem")


class FakeSite:
    """A running site. What has no page is a 404, robots.txt included."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[Received] = []
        """Oldest first."""
        self.accepted = 0
        """Connections ever made."""
        self.left = 0
        """Clients that left before their answer was whole."""
        self.most_at_once = 0
        """Answers that were due at the same time, at most."""
        self._pages: dict[str, list[Play]] = {}
        self._open: set[Exchange] = set()
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    @property
    def open_calls(self) -> int:
        """Answers that are due now."""
        return len(self._open)

    def page(self, path: str, *answers: Play) -> str:
        """Do these for the requests of a path, one each, the last for all that follow; give its address."""
        self._pages[path] = list(answers)
        return self.url(path)

    def url(self, path: str, *, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def asked(self, path: str) -> int:
        """Tell how often a path was asked for."""
        return sum(received.path == path for received in self.requests)

    async def until(self, condition: Callable[[], bool], *, within: float = 5.0) -> None:
        """Wait until something about this site is so; a `TimeoutError` says that it did not become so."""
        async with asyncio.timeout(within):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def connected(self, connection: Connection, *, now_open: bool) -> None:
        self.accepted += now_open
        (self._connections.add if now_open else self._connections.discard)(connection)
        self._changed.set()

    def held_back(self, connection: Connection, *, now: bool) -> None:
        """Nothing here asks who is slow."""

    def answer(self, exchange: Exchange) -> asyncio.Task[None]:
        self.requests.append(exchange.received)
        self._open.add(exchange)
        self.most_at_once = max(self.most_at_once, len(self._open))
        self._changed.set()
        answers = self._pages.get(exchange.received.path, [reply("nothing here", status=404)])
        play = answers.pop(0) if len(answers) > 1 else answers[0]
        task = asyncio.ensure_future(play(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def ended(self, exchange: Exchange, *, client_left: bool) -> None:
        self._open.discard(exchange)
        self.left += client_left
        self._changed.set()

    async def close(self) -> None:
        """Reset every connection and wait for what was answering."""
        for connection in tuple(self._connections):
            connection.abort()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=5)
        await self.until(lambda: not self._connections)


@asynccontextmanager
async def fake_site(*, tls: bool = False) -> AsyncGenerator[FakeSite]:
    """Serve on every loopback address until the block ends; with `tls`, by a certificate nobody trusts."""
    site = FakeSite()
    context = None
    if tls:
        context = SSLContext(PROTOCOL_TLS_SERVER)
        context.load_cert_chain(UNTRUSTED)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(site),
        "0.0.0.0",  # noqa: S104 # 127.0.0.1, .2 and so on are its hosts
        0,
        backlog=256,
        ssl=context,
    )
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        await site.close()
