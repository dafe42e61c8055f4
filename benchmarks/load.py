"""The load client: HTTP/1.1 on a bare protocol that only notes what came when; decoding is for later."""

import asyncio
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast

import httptools
import orjson


class BrokenAnswerError(Exception):
    """An answer did not come, was refused, or is not what was asked for."""


@dataclass
class Exchange:
    """One request and its answer: every piece of the body with the time of the read that brought it."""

    sent: float
    status: int = 0
    pieces: list[tuple[float, bytes]] = field(default_factory=list[tuple[float, bytes]])
    ended: float = 0.0

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(piece for _, piece in self.pieces)


class Connection(asyncio.Protocol):
    """A kept-alive connection that makes one request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[None] | None = None
        self._exchange = Exchange(0.0)
        self._now = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def connection_lost(self, exc: Exception | None) -> None:
        """End the request that waits, if any."""
        self._fail(f"the connection was lost: {exc or 'closed by the server'}")

    def data_received(self, data: bytes) -> None:
        """Note the time once and let the parser cut the read into pieces."""
        self._now = perf_counter()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not HTTP: {error}")
            self._transport.abort()

    def on_body(self, body: bytes) -> None:
        """Take one piece of the body."""
        self._exchange.pieces.append((self._now, body))

    def on_message_complete(self) -> None:
        """Hand the answer over."""
        self._exchange.status = self._parser.get_status_code()
        self._exchange.ended = self._now
        if self._answer and not self._answer.done():
            self._answer.set_result(None)

    async def request(self, data: bytes, *, patience: float) -> Exchange:
        """Send a whole request and return its answer when it is whole; raise `BrokenAnswerError`."""
        if self._transport.is_closing():
            raise BrokenAnswerError("the connection was closed between two requests")
        # A parser does not start a message over after a refused one.
        self._parser = httptools.HttpResponseParser(self)
        self._answer = self._loop.create_future()
        self._exchange = exchange = Exchange(perf_counter())
        self._transport.write(data)
        try:
            async with asyncio.timeout(patience):
                await self._answer
        except TimeoutError:
            self._transport.abort()
            raise BrokenAnswerError(f"not whole after {patience:.0f} s") from None
        finally:
            self._answer = None
        if exchange.status not in {200, 201, 202}:
            raise BrokenAnswerError(
                f"status {exchange.status}: {exchange.body[:300].decode(errors='replace')}"
            )
        return exchange

    def close(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def _fail(self, reason: str) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(BrokenAnswerError(reason))


async def connect(port: int) -> Connection:
    """Open a connection to a server on loopback; raise `BrokenAnswerError`."""
    try:
        async with asyncio.timeout(5):
            _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    except OSError as error:  # TimeoutError is one
        raise BrokenAnswerError(f"no connection: {error!r}") from None
    return connection


def encode(method: str, path: str, *, body: object = None, token: str | None = None) -> bytes:
    """Encode a request with a JSON body."""
    data = b"" if body is None else orjson.dumps(body)
    head = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(data)}"]
    if data:
        head.append("content-type: application/json")
    if token:
        head.append(f"authorization: Token {token}")
    return "\r\n".join([*head, "", ""]).encode() + data
