"""HTTP to addresses that users wrote: guarded, bounded, its redirects judged one by one (the port `HttpCaller`)."""

import asyncio
import re
import zlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

import httpx

from llmstack_api.egress import host_of, parse_url, port_of
from llmstack_api.engine.ports import HttpAnswer, HttpCall
from llmstack_api.errors import FetchError, HttpCallError, ProcessorInputError
from llmstack_api.ingest.address import redirected, shown
from llmstack_api.ingest.headers import charset_of
from llmstack_api.ingest.inflate import Inflater
from llmstack_api.ingest.transfer import gather, unanswered
from llmstack_api.outbound import Egress, body_of, guarded_client

MAX_BYTES: Final = 8 * 1024 * 1024
"""Bytes of an answer's body, before and after inflation."""

MAX_REDIRECTS: Final = 5

MAX_URL: Final = 8192
"""Characters of an address."""

MAX_HEADERS: Final = 65_536
"""Characters of the headers of a request."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_ACCEPT_ENCODING: Final = ("Accept-Encoding", "gzip, deflate")
_PLAIN: Final = frozenset({"", "identity"})
_INFLATED: Final = frozenset({"gzip", "x-gzip", "deflate"})
_BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile("[\t\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff]*")

_OURS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that say how the connection is used, which is not for the caller to say."""

_HARMLESS: Final = frozenset(
    {"accept", "accept-language", "cache-control", "content-language", "content-type", "user-agent"}
)
"""Headers that go along to another origin; any other may be a credential."""

_OF_BODY: Final = frozenset({"content-encoding", "content-language", "content-location", "content-type"})


@dataclass(frozen=True, slots=True)
class _Request:
    """A request on its way: what redirects change of it."""

    method: str
    url: httpx.URL
    headers: tuple[tuple[str, str], ...]
    content: bytes | None


class GuardedHttp:
    """The port `HttpCaller` over a guarded client."""

    def __init__(self, client: httpx.AsyncClient, *, max_bytes: int = MAX_BYTES) -> None:
        self._client = client
        self._max_bytes = max_bytes

    async def call(self, call: HttpCall) -> HttpAnswer:
        """Send a request and follow where it leads; see `engine.ports.HttpCaller.call`."""
        request = _Request(
            _checked_method(call.method), _read_url(call.url), _checked_headers(call.headers), call.content
        )
        clock = asyncio.timeout(call.timeout)
        try:
            async with clock:
                return await self._follow(request, call)
        except TimeoutError:
            if not clock.expired():
                raise
            raise HttpCallError(
                f"{shown(request.url)} did not answer in full within {call.timeout:g} seconds."
            ) from None

    async def _follow(self, request: _Request, call: HttpCall) -> HttpAnswer:
        started = asyncio.get_running_loop().time()
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._send(request, call)
            try:
                location = response.headers.get("location", "").strip()
                if not (call.follow_redirects and location and response.status_code in _REDIRECTS):
                    content = await self._read(request, response)
                    return HttpAnswer(
                        status=response.status_code,
                        url=str(request.url),
                        headers=tuple(response.headers.multi_items()),
                        content=content,
                        charset=charset_of(response.headers.get("content-type")),
                        elapsed=asyncio.get_running_loop().time() - started,
                    )
            finally:
                await response.aclose()
            request = _redirect(request, response.status_code, location=location)
        raise HttpCallError(f"{shown(_read_url(call.url))} redirects more than {MAX_REDIRECTS} times.")

    async def _send(self, request: _Request, call: HttpCall) -> httpx.Response:
        built = self._client.build_request(
            request.method,
            request.url,
            headers=httpx.Headers([*request.headers, _ACCEPT_ENCODING], encoding="utf-8"),
            content=request.content,
            timeout=httpx.Timeout(None, connect=call.connect_timeout),
        )
        try:
            return await self._client.send(built, stream=True)
        except httpx.ConnectTimeout:
            raise HttpCallError(
                f"{shown(request.url)} could not be reached within {call.connect_timeout:g} seconds."
            ) from None
        except httpx.TransportError as error:
            raise HttpCallError(str(await unanswered(error, request.url))) from None

    async def _read(self, request: _Request, response: httpx.Response) -> bytes:
        """Read and inflate a body; bounded as it comes off the network, and as it grows."""
        if request.method == "HEAD" or response.status_code in _BODILESS:
            return b""
        encoding = response.headers.get("content-encoding", "").strip().lower()
        if encoding not in _PLAIN | _INFLATED:
            raise HttpCallError(
                f"{shown(request.url)} answered in an encoding that was not asked for ({encoding[:40]!r})."
            )
        declared = response.headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > self._max_bytes:
            raise self._too_large(request.url)
        inflater = Inflater() if encoding in _INFLATED else None
        data = bytearray()
        try:
            over = await gather(body_of(response), inflater, into=data, max_bytes=self._max_bytes)
        except zlib.error:
            raise HttpCallError(f"{shown(request.url)} sent a body that cannot be inflated.") from None
        except httpx.TransportError:
            raise _broken_off(request.url) from None
        if over:
            raise self._too_large(request.url)
        if inflater and not inflater.whole:
            raise _broken_off(request.url)
        return bytes(data)

    def _too_large(self, url: httpx.URL) -> HttpCallError:
        return HttpCallError(f"{shown(url)} answered with more than {self._max_bytes:,} bytes.")


@asynccontextmanager
async def open_http_caller(egress: Egress, *, max_bytes: int = MAX_BYTES) -> AsyncGenerator[GuardedHttp]:
    """Open the port `HttpCaller`; nothing is connected to before it is needed."""
    async with guarded_client(egress) as client:
        yield GuardedHttp(client, max_bytes=max_bytes)


# --- what is sent ----------------------------------------------------------------------------------------


def _checked_method(method: str) -> str:
    if method not in METHODS:
        raise ProcessorInputError(f"The method {method[:40]!r} is none of {', '.join(sorted(METHODS))}.")
    return method


def _read_url(text: str) -> httpx.URL:
    if len(text) > MAX_URL:
        raise ProcessorInputError(f"The address is longer than {MAX_URL:,} characters.")
    return parse_url(text).copy_with(fragment=None)


def _checked_headers(headers: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    size = 0
    for name, value in headers:
        if not _NAME.fullmatch(name):
            raise ProcessorInputError(f"A header cannot have the name {name[:80]!r}.")
        if name.lower() in _OURS:
            raise ProcessorInputError(f"The header {name!r} is set by the server; leave it out.")
        if not _VALUE.fullmatch(value):
            raise ProcessorInputError(
                f"The value of the header {name!r} holds a line end, or another character that it cannot."
            )
        size += len(name) + len(value)
    if size > MAX_HEADERS:
        raise ProcessorInputError(f"The headers have more than {MAX_HEADERS:,} characters.")
    return tuple(headers)


# --- redirects -------------------------------------------------------------------------------------------


def _redirect(request: _Request, status: int, *, location: str) -> _Request:
    """Give the request that a redirect asks for, by the rules of RFC 9110."""
    try:
        url = redirected(request.url, location)
    except FetchError as error:
        raise HttpCallError(str(error)) from None
    following = replace(request, url=url)
    if not _is_same_place(request.url, url):
        kept = tuple(header for header in request.headers if header[0].lower() in _HARMLESS)
        following = replace(following, headers=kept)
    becomes_get = (
        request.method not in {"GET", "HEAD"}
        if status == HTTPStatus.SEE_OTHER
        else request.method == "POST" and status in {HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND}
    )
    if becomes_get:
        kept = tuple(header for header in following.headers if header[0].lower() not in _OF_BODY)
        following = replace(following, method="GET", headers=kept, content=None)
    return following


def _is_same_place(old: httpx.URL, new: httpx.URL) -> bool:
    """Tell whether credentials may go along: to the same origin, or to the same host's TLS."""
    if host_of(old) != host_of(new):
        return False
    if old.scheme == new.scheme:
        return port_of(old) == port_of(new)
    return new.scheme == "https" and (port_of(old), port_of(new)) == (80, 443)


def _broken_off(url: httpx.URL) -> HttpCallError:
    return HttpCallError(f"{shown(url)} broke the connection off before all of its answer had arrived.")
