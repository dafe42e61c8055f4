"""Outbound HTTP: the only maker of clients, with the guard before addresses that users wrote."""

import socket
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from ssl import SSLContext
from typing import Any, Final, cast

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream

from llmstack_api import __version__
from llmstack_api.egress import Egress, check_url, host_of, parse_egress, parse_url, port_of, refusal
from llmstack_api.errors import AddressRefusedError

__all__ = ["Body", "Egress", "body_of", "check_url", "guarded_client", "operator_client", "parse_egress"]

KEEPALIVE: Final = 3.5
"""Seconds that an idle connection is kept: less than the 5 after which servers close theirs."""

MAX_CONNECTIONS: Final = 10_000
"""Far over what a process serves at once; streams must never queue for a connection."""

READ_BUFFER: Final = 65_536
"""Bytes read ahead of a slow reader before the server is held back (twice this at most)."""

PIECE: Final = 262_144
"""Bytes of a large request body that are given to the socket at once."""

_LARGE: Final = 1_048_576
USER_AGENT: Final = f"llmstack-api/{__version__}"

_AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""Family, type, protocol, canonical name and address, as `socket.getaddrinfo` gives them."""


# --- the guard at connect --------------------------------------------------------------------------------


@dataclass(slots=True)
class _Attempt:
    """One guarded call: what the resolver and the socket factory have to know and to tell."""

    named: bool
    """The operator allowed the name, whatever address it has."""
    refused: bool = False


_attempt: ContextVar[_Attempt] = ContextVar("_attempt")


class _RefusedError(OSError):
    """What aiohttp takes for a failed connection."""


@dataclass(frozen=True, slots=True)
class _Guard:
    """Judges each address just before it is connected to."""

    egress: Egress

    def open_socket(self, info: _AddressInfo) -> socket.socket:
        """Make a socket for an address that passes; aiohttp asks here for every address it connects to."""
        family, kind, protocol, _, address = info
        self.admit(str(address[0]), int(address[1]))
        return socket.socket(family=family, type=kind, proto=protocol)

    def admit(self, address: str, port: int) -> None:
        """Let an address pass, or note the refusal and raise."""
        attempt = _attempt.get()
        if refusal(address, port, egress=self.egress, named=attempt.named):
            # Noted here because what aiohttp raises for several addresses no longer has the cause.
            attempt.refused = True
            raise _RefusedError("refused by the outbound guard")


class _GuardedResolver(AbstractResolver):
    """Refuses a name when any of its addresses is refused: a mixed answer is an attack or a mistake."""

    def __init__(self, guard: _Guard, inner: AbstractResolver) -> None:
        self._guard = guard
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        answers = await self._inner.resolve(host, port, family)
        for answer in answers:
            self._guard.admit(answer["host"], port)
        return answers

    async def close(self) -> None:
        await self._inner.close()


# --- clients ---------------------------------------------------------------------------------------------


def operator_client() -> httpx.AsyncClient:
    """Make a client for addresses that the operator set; nothing is guarded. Whoever opens it closes it."""
    return _Client(_Transport(lambda: _session(aiohttp.TCPConnector(**_POOL, ssl=_tls()))))


def guarded_client(egress: Egress, *, resolver: AbstractResolver | None = None) -> httpx.AsyncClient:
    """Make a client for addresses that users wrote. Whoever opens it closes it.

    Its calls raise AddressRefusedError, besides httpx's errors, before anything is connected to.
    """

    def make_session() -> aiohttp.ClientSession:
        guard = _Guard(egress)
        connector = aiohttp.TCPConnector(
            **_POOL,
            ssl=_tls(),
            resolver=_GuardedResolver(guard, resolver or aiohttp.ThreadedResolver()),
            use_dns_cache=False,
            socket_factory=guard.open_socket,
        )
        return _session(connector)

    return _GuardedClient(_GuardedTransport(make_session, egress=egress))


_POOL: Final[dict[str, Any]] = {"limit": MAX_CONNECTIONS, "keepalive_timeout": KEEPALIVE}


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        response_class=_Response,
        auto_decompress=False,
        read_bufsize=READ_BUFFER,
        trust_env=False,
    )


@cache
def _tls() -> SSLContext:
    # trust_env here only means that SSL_CERT_FILE and SSL_CERT_DIR can name a private authority.
    context = httpx.create_ssl_context(trust_env=True)
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Client(httpx.AsyncClient):
    """httpx's client without what calls of different accounts must not share: no cookies, no redirects."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        headers = {"User-Agent": USER_AGENT}
        super().__init__(transport=transport, timeout=None, trust_env=False, headers=headers)
        self._outbound = transport

    async def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: object = None,
        follow_redirects: object = False,
    ) -> httpx.Response:
        """Send one request; a redirect is an answer, whose address is for the caller to judge."""
        if self.is_closed:
            raise RuntimeError("The client is closed.")
        if auth is True or follow_redirects is True:
            raise ValueError("Neither authentication nor redirects are done here.")
        response = await self._outbound.handle_async_request(_in_pieces(request))
        response.request = request
        if not stream:
            try:
                await response.aread()
            finally:
                await response.aclose()
        return response


def _in_pieces(request: httpx.Request) -> httpx.Request:
    """Send a large body bit by bit: in one piece it would hold up every other call."""
    try:
        content = request.content
    except httpx.RequestNotRead:
        return request
    if len(content) <= _LARGE:
        return request
    return httpx.Request(
        request.method,
        request.url,
        headers=request.headers,
        stream=_Pieces(content),
        extensions=request.extensions,
    )


class _Pieces(httpx.AsyncByteStream):
    """A body that can be sent again."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), PIECE):
            yield self._content[start : start + PIECE]


class _GuardedClient(_Client):
    """Refuses a malformed address as any other."""

    def build_request(self, method: str, url: httpx.URL | str, **kwargs: Any) -> httpx.Request:  # noqa: ANN401 # httpx's
        return super().build_request(method, parse_url(url), **kwargs)


# --- over aiohttp ----------------------------------------------------------------------------------------


class _Response(aiohttp.ClientResponse):
    """Resets the connection of an answer that is left early; aiohttp would first flush and shake hands."""

    def close(self) -> None:
        self._reset()
        super().close()

    def release(self) -> object:
        self._reset()
        return super().release()

    def _reset(self) -> None:
        connection = self.connection
        whole = bool(self.content) and self.content.is_eof()
        if connection and connection.transport and not whole:
            connection.transport.abort()


class Body(AiohttpResponseStream):
    """An answer's body as it comes off the network, not decoded."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        super().__init__(response)
        self._content = response.content

    async def read(self) -> bytes:
        """Wait for bytes and give all that arrived; nothing at the end.

        Raises:
            httpx.TransportError: the connection broke.
        """
        try:
            return await self._content.readany()
        except aiohttp.ClientError as error:
            failure = _truth(error)
        raise failure

    @property
    def at_end(self) -> bool:
        """All of it has been read, which lets the connection be used again."""
        return self._content.at_eof()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give what `read` gives, for httpx's own methods."""
        while data := await self.read():
            yield data


def body_of(response: httpx.Response) -> Body:
    """Give the body of an answer of one of our clients, to be read without httpx's layers in between."""
    return cast("Body", response.stream)


class _Transport(AiohttpTransport):
    """httpx-aiohttp's transport, which tells failures by their true names."""

    def __init__(self, make_session: Callable[[], aiohttp.ClientSession]) -> None:
        super().__init__(verify=_tls(), trust_env=False, client=make_session)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            response = await super().handle_async_request(request)
        except (httpx.TransportError, aiohttp.ClientError) as error:
            failure = _truth(error.__cause__ or error)
        else:
            response.stream = Body(cast("Any", response.stream)._aiohttp_response)  # noqa: SLF001 # no public way
            return response
        # Not raised in the handler: aiohttp's errors hold the request's headers, and with them the key.
        raise failure


class _GuardedTransport(_Transport):
    """Judges the address before the call and tells the guard at connect what it has to know."""

    def __init__(self, make_session: Callable[[], aiohttp.ClientSession], *, egress: Egress) -> None:
        super().__init__(make_session)
        self._egress = egress

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        check_url(url, self._egress)
        attempt = _Attempt(named=self._egress.admits_host(host_of(url), port_of(url)))
        token = _attempt.set(attempt)
        try:
            return await super().handle_async_request(request)
        except httpx.TransportError:
            if not attempt.refused:
                raise
        finally:
            _attempt.reset(token)
        raise AddressRefusedError(
            f"The address {url.scheme}://{url.netloc.decode()} is refused: its name leads to one that is not "
            "public (LLMSTACK_EGRESS_ALLOW can allow it)."
        )


def _truth(error: BaseException) -> httpx.TransportError:
    """Name a failure of aiohttp's for what it is.

    ConnectError and ConnectTimeout: nothing was sent. ReadError: the connection broke. RemoteProtocolError:
    the answer is no HTTP.
    """
    message = str(error) or type(error).__name__
    match error:
        case aiohttp.SocketTimeoutError():
            return httpx.ReadTimeout(message)
        case aiohttp.ServerTimeoutError():
            return httpx.ConnectTimeout(message)
        case aiohttp.ClientConnectorError():
            return httpx.ConnectError(message)
        case aiohttp.InvalidURL():
            return httpx.UnsupportedProtocol(message)
        case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError():
            return httpx.ReadError(message)
        case _:
            return httpx.RemoteProtocolError(message)
