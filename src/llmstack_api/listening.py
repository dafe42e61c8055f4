"""Listening: the sockets, and an HTTP protocol that bounds a request's head in time and in size."""

import asyncio
import errno
import socket
from asyncio.events import TimerHandle
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from llmstack_api.errors import StartError
from llmstack_api.settings import Settings

TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def bind(settings: Settings) -> list[socket.socket]:
    """Bind every address of the host; nothing listens yet, so clients are refused rather than kept waiting.

    Raises:
        StartError: the host is no address of this machine, or the port is taken.
    """
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError):
        raise StartError(f"LLMSTACK_HOST: {settings.host!r} is no address of this machine") from None
    port = settings.port
    bound: list[socket.socket] = []
    failed: OSError | None = None
    for family, kind, protocol, _, target in dict.fromkeys(found):
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(
                socket, "TCP_USER_TIMEOUT"
            ):  # Linux: drops a client that takes nothing, whatever we send
                stall = int(settings.write_timeout * 1000)
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, stall)
            if family == socket.AF_INET6 and len(found) > 1:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((target[0], port, *target[2:]))
        except OSError as error:
            listener.close()
            failed = error
            if error.errno == errno.EADDRNOTAVAIL:  # such as ::1 of localhost on a machine without IPv6
                continue
            break
        bound.append(listener)
        port = port or listener.getsockname()[1]
    if failed is not None and (not bound or failed.errno != errno.EADDRNOTAVAIL):
        for listener in bound:
            listener.close()
        raise refusal(failed, settings) from None
    return bound


def address(settings: Settings, listeners: list[socket.socket]) -> str:
    """Return the URL to tell people: the host as it was set, with the port that was taken."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{listeners[0].getsockname()[1]}"


def refusal(error: OSError, settings: Settings) -> StartError:
    """Say why the address cannot be listened on."""
    match error.errno:
        case errno.EADDRINUSE:
            return StartError(
                f"LLMSTACK_PORT: {settings.port} is already in use on {settings.host}; "
                "end what listens there, or set another"
            )
        case errno.EACCES:
            return StartError(f"LLMSTACK_PORT: listening on {settings.port} is not permitted")
        case _:
            return StartError(f"LLMSTACK_HOST: {settings.host!r} is no address of this machine")


class BoundedHead(HttpToolsProtocol):
    """uvicorn's HTTP protocol with a bound on a request's head, in time and in size.

    uvicorn has neither: a client sending a byte now and then would hold its connection, and memory, for ever.
    The timer runs from the connection, or from the first bytes after an answer, until a head is complete;
    while a request is served there is none.
    """

    head_timeout: ClassVar[float] = 10.0
    head_bytes: ClassVar[int] = 65_536

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadline: TimerHandle | None = None
        self._in_head = False
        self._size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Start to wait for the first request."""
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; start to wait where what came is not yet a whole head."""
        going_on = self._in_head
        super().data_received(data)
        if going_on and self._in_head:
            self._size += len(data)
            if self._size > self.head_bytes:
                self._refuse()
        if self._deadline is None and self._idle:
            self._arm()

    def on_message_begin(self) -> None:
        """Start to count the head."""
        self._in_head = True
        self._size = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; drop a trailer, which nothing here reads."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stop waiting."""
        self._in_head = False
        self._disarm()
        super().on_headers_complete()

    @property
    def _idle(self) -> bool:
        return not self.cycle or self.cycle.response_complete

    def _arm(self) -> None:
        if not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.head_timeout, self.timeout_keep_alive_handler)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self) -> None:
        if self._idle and not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
        self.transport.close()
