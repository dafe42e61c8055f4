"""The fake server's HTTP/1.1: one exchange at a time on a connection, every byte in our hands."""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol, cast

import orjson

from tests.fake_model.forms import Upload, read_form

_REASONS = {200: "OK", 302: "Found", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: Any
    """The JSON, any other text, or the text fields of a form by name; None where there was none."""
    at: float
    """`time.monotonic()` when it was whole."""
    files: dict[str, Upload] = field(default_factory=dict[str, Upload])
    """The files of a form, by the name of their field."""

    def as_json(self) -> dict[str, Any]:
        """Give it as `GET /state` shows it; of files, their sizes."""
        fields = {name: getattr(self, name) for name in ("method", "path", "headers", "body", "at")}
        return fields | {"files": {name: len(upload.data) for name, upload in self.files.items()}}


class Exchange:
    """One request and the answer that is being given."""

    def __init__(self, received: Received, connection: "Connection") -> None:
        self.received = received
        self.open = True
        self._connection = connection
        self._chunked = False

    def start(
        self, status: int = 200, *, headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        """Send the status line and the headers; without a length the body is chunked."""
        self._chunked = length is None
        framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}", framing]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.raw(("\r\n".join(lines) + "\r\n\r\n").encode())

    def send(self, data: bytes) -> None:
        """Send body bytes, as one HTTP chunk where the body is chunked."""
        self.raw(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def raw(self, data: bytes) -> None:
        """Put bytes on the socket as they are."""
        if self.open:
            self._connection.write(data)

    def end(self) -> None:
        """End the body; the connection can be used again."""
        if self._chunked:
            self.raw(b"0\r\n\r\n")
        self._connection.finish(self)

    def close(self) -> None:
        """End by closing the connection in good order, whether the body is whole or not."""
        self._connection.finish(self)
        self._connection.close()

    def abort(self) -> None:
        """Reset the connection."""
        self._connection.finish(self)
        self._connection.abort()

    async def drain(self) -> None:
        """Wait while the reader holds us back."""
        await self._connection.drain()


class Host(Protocol):
    """The server, as a connection sees it."""

    def connected(self, connection: "Connection", *, now_open: bool) -> None:
        """Note that a connection opened or closed."""
        ...

    def held_back(self, connection: "Connection", *, now: bool) -> None:
        """Note that a reader holds a connection back, or no longer does."""
        ...

    def answer(self, exchange: Exchange) -> asyncio.Task[None]:
        """Begin to answer."""
        ...

    def ended(self, exchange: Exchange, *, client_left: bool) -> None:
        """Note that an answer is over."""
        ...


def parse_request(buffer: bytearray) -> Received | None:
    """Take one whole request off the front of the buffer."""
    head_end = buffer.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    request_line, *lines = buffer[:head_end].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body_end = head_end + 4 + int(headers.get("content-length", "0"))
    if len(buffer) < body_end:
        return None
    body = bytes(buffer[head_end + 4 : body_end])
    del buffer[:body_end]
    method, path, _ = request_line.split(" ")
    fields: Any = None
    files: dict[str, Upload] = {}
    if headers.get("content-type", "").startswith("multipart/form-data"):
        fields, files = read_form(body, headers["content-type"])
    elif body:
        is_json = "json" in headers.get("content-type", "json")
        fields = orjson.loads(body) if is_json else body.decode()
    return Received(method=method, path=path, headers=headers, body=fields, at=monotonic(), files=files)


def _reset(transport: asyncio.Transport) -> None:
    # Without this the other side would see a good end.
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


class Connection(asyncio.Protocol):
    """One client connection."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._buffer = bytearray()
        self._exchange: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._host.connected(self, now_open=True)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def eof_received(self) -> None:
        self._client_left()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        self._client_left()
        self._host.connected(self, now_open=False)

    def pause_writing(self) -> None:
        self._writable.clear()
        self._host.held_back(self, now=True)

    def resume_writing(self) -> None:
        self._writable.set()
        self._host.held_back(self, now=False)

    def write(self, data: bytes) -> None:
        """Put bytes on the socket."""
        self._with_transport(lambda transport: transport.write(data))

    def close(self) -> None:
        """Close once all is written."""
        self._with_transport(lambda transport: transport.close())

    def abort(self) -> None:
        """Reset; what is not written, or not read on the other side, is lost."""
        self._with_transport(_reset)

    async def drain(self) -> None:
        """Wait while the socket takes no more."""
        await self._writable.wait()

    def finish(self, exchange: Exchange) -> None:
        """Note that the answer is over and look for the next request."""
        if exchange.open:
            exchange.open = False
            self._exchange = None
            self._host.ended(exchange, client_left=False)
            self._next()

    def _next(self) -> None:
        if self._exchange is None and (received := parse_request(self._buffer)):
            self._exchange = Exchange(received, self)
            self._task = self._host.answer(self._exchange)

    def _client_left(self) -> None:
        if self._exchange is not None:
            exchange, self._exchange = self._exchange, None
            exchange.open = False
            self._host.ended(exchange, client_left=True)
            if self._task is not None:
                self._task.cancel()

    def _with_transport(self, act: Callable[[asyncio.Transport], None]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            act(self._transport)
