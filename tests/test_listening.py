import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from llmstack_api.errors import StartError
from llmstack_api.listening import BoundedHead, address, bind
from llmstack_api.settings import Settings

REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class ImpatientHead(BoundedHead):
    head_timeout: ClassVar[float] = 0.2


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the names of the headers and the length of the body, once it is whole."""
    size, more = 0, True
    while more:
        message: Any = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    names = b",".join(name for name, _ in scope["headers"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%s;%d!" % (names, size)})


async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer before the body is read."""
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(app: Any = echo) -> AsyncGenerator[Connection]:
    config = uvicorn.Config(app, http=ImpatientHead, ws="none", lifespan="off", log_config=None)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await server.startup(sockets=[listener])
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        try:
            yield reader, writer
        finally:
            writer.close()
            async with asyncio.timeout(5):
                await server.shutdown(sockets=[listener])


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server closes the connection."""
    async with asyncio.timeout(3):
        return await reader.read()


async def is_still_open(reader: asyncio.StreamReader) -> bool:
    """Tell whether nothing comes, and the connection stays, for longer than a head may take."""
    try:
        async with asyncio.timeout(3 * ImpatientHead.head_timeout):
            await reader.read(1)
    except TimeoutError:
        return True
    return False


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pieces: list[bytes]) -> bytes:
    """Send piece by piece until the server closes the connection; return what it said."""
    reading = asyncio.ensure_future(rest(reader))
    for piece in pieces:
        writer.write(piece)
        if (await asyncio.wait({reading}, timeout=0.02))[0]:
            break
    return await reading


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with connected() as (reader, _):
        assert await rest(reader) == b""


async def test_a_head_that_trickles_in_is_cut_off() -> None:
    async with connected() as (reader, writer):
        writer.write(REQUEST[:-2] + b"x-more: ")
        assert await trickle(reader, writer, [b"y"] * 200) == b""


async def test_a_second_head_on_a_kept_connection_has_the_same_bound() -> None:
    async with connected() as (reader, writer):
        writer.write(REQUEST)
        await reader.readuntil(b"!")
        writer.write(REQUEST[:10])
        assert b"200" not in await rest(reader)


async def test_blank_lines_between_requests_do_not_hold_a_connection() -> None:
    async with connected() as (reader, writer):
        writer.write(REQUEST)
        await reader.readuntil(b"!")
        writer.write(b"\r\n")
        assert b"200" not in await rest(reader)


async def test_an_idle_connection_is_kept_after_an_answer() -> None:
    async with connected() as (reader, writer):
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n0\r\n\r\n")
        assert await is_still_open(reader)
        writer.write(REQUEST)
        assert b"200 OK" in await reader.readuntil(b"!")


async def test_a_slow_body_is_not_the_heads_business() -> None:
    async with connected() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab")
        assert await is_still_open(reader)
        writer.write(b"cd")
        assert b";4!" in await reader.readuntil(b"!")


async def test_a_head_over_the_limit_is_answered_431_and_closed() -> None:
    async with connected() as (reader, writer):
        answer = await trickle(reader, writer, [REQUEST[:-2] + b"x-long: ", *[b"y" * 16_384] * 80])
        assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_large_body_and_the_next_head_in_one_go_are_two_requests() -> None:
    async with connected() as (reader, writer):
        body = b"z" * 300_000
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n" + body + REQUEST[:9])
        assert b";300000!" in await reader.readuntil(b";300000!")
        writer.write(REQUEST[9:])
        assert b"host;0!" in await reader.readuntil(b";0!")


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with connected() as (reader, writer):
        writer.write(REQUEST * 3)
        for _ in range(3):
            assert b"host;0!" in await reader.readuntil(b";0!")


async def test_trailers_are_dropped() -> None:
    async with connected() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n")
        writer.write(b"x-trailer: " + b"t" * 1000 + b"\r\n\r\n")
        assert b"host,transfer-encoding;2!" in await reader.readuntil(b"!")


async def test_a_body_that_never_ends_after_its_answer_does_not_hold_a_connection() -> None:
    async with connected(refuse) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nab")
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"cd")
        assert await rest(reader) == b""


def settings(host: str, port: int = 0) -> Settings:
    return Settings(host=host, port=port)


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"LLMSTACK_PORT: {port} is already in use on 127.0.0.1"):
            bind(settings("127.0.0.1", port))


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "a" * 70 + ".example", "."])
def test_an_address_of_another_machine_is_named(host: str) -> None:
    with pytest.raises(StartError, match=r"LLMSTACK_HOST: .* is no address of this machine"):
        bind(settings(host))


def test_a_free_port_is_the_same_on_every_address_of_the_host() -> None:
    listeners = bind(settings("localhost"))
    ports = {listener.getsockname()[1] for listener in listeners}
    url = address(settings("localhost"), listeners)
    for listener in listeners:
        listener.close()
    assert len(ports) == 1
    assert url == f"http://localhost:{ports.pop()}"


def test_an_ipv6_address_stands_in_brackets() -> None:
    listeners = bind(settings("127.0.0.1"))
    url = address(settings("::1"), listeners)
    listeners[0].close()
    assert url.startswith("http://[::1]:")
