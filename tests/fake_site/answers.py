"""What a page of the fake site may do when it is asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

from tests.fake_model.wire import Exchange

Play = Callable[[Exchange], Awaitable[None]]


def reply(
    body: bytes | str = b"",
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    chunked: bool = False,
) -> Play:
    """Answer in good order."""
    data = body.encode() if isinstance(body, str) else body

    async def play(exchange: Exchange) -> None:
        exchange.start(status, headers=headers, length=None if chunked else len(data))
        sent = b"" if exchange.received.method == "HEAD" else data
        for start in range(0, len(sent), 65_536):
            exchange.send(sent[start : start + 65_536])
            await exchange.drain()
        exchange.end()

    return play


def redirect(location: str, *, status: int = 302) -> Play:
    return reply("elsewhere", status=status, headers={"location": location})


def not_modified_if(etag: str) -> Play:
    """Answer 304 to those who have it, 200 to others."""

    async def play(exchange: Exchange) -> None:
        known = exchange.received.headers.get("if-none-match") == etag
        answer = reply(status=304) if known else reply("new", headers={"etag": etag})
        await answer(exchange)

    return play


def hold(gate: asyncio.Event, body: str = "held") -> Play:
    """Answer once the gate is open."""

    async def play(exchange: Exchange) -> None:
        await gate.wait()
        await reply(body)(exchange)

    return play


def endless(piece: bytes, *, every: float = 0.0, headers: dict[str, str] | None = None) -> Play:
    """Send a piece again and again, until the client leaves."""

    async def play(exchange: Exchange) -> None:
        exchange.start(headers=headers)
        for _ in count():
            exchange.send(piece)
            await exchange.drain()
            await asyncio.sleep(every)

    return play


async def hang(exchange: Exchange) -> None:
    """Never answer."""
    del exchange
    await asyncio.Event().wait()


async def drop(exchange: Exchange) -> None:
    """Reset the connection before any answer."""
    exchange.abort()


async def drop_after_headers(exchange: Exchange) -> None:
    """Reset the connection when a body is due."""
    exchange.start(length=100)
    exchange.abort()


async def truncate(exchange: Exchange) -> None:
    """End the connection in the middle of the body."""
    exchange.start(length=100)
    exchange.send(b"half of it")
    exchange.close()


async def not_http(exchange: Exchange) -> None:
    """Speak something else."""
    exchange.raw(b"SSH-2.0-OpenSSH_9.9\r\n")
    exchange.close()
