"""One GET of an address that a user wrote: bounded, inflated, its failures told in words for users."""

import asyncio
import zlib
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import httpx

from llmstack_api.errors import AddressRefusedError, FetchError
from llmstack_api.ingest.address import shown
from llmstack_api.ingest.inflate import PIECE, Inflater
from llmstack_api.outbound import Body, body_of

ACCEPT: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,text/*;q=0.9,*/*;q=0.8"
ACCEPT_ENCODING: Final = "gzip, deflate"

RESET: Final = "connection-reset"
"""Code of a connection that broke before the first byte of a body; trying again may help."""

LINGER: Final = 0.25
"""Seconds that the body of an answer we do not want has to end, so that the connection can be used again."""

_UNWANTED: Final = 16_384
_PLAIN: Final = frozenset({"", "identity"})
_INFLATED: Final = frozenset({"gzip", "x-gzip", "deflate"})
_NO_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT})


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whatever its status; the body is there when it is a success."""

    url: httpx.URL
    status: int
    headers: httpx.Headers
    data: bytes = b""

    @property
    def success(self) -> bool:
        """Tell whether this is all that was asked for; 206 is a part that nobody asked for."""
        return _succeeds(self.status)


async def get(
    client: httpx.AsyncClient, url: httpx.URL, *, headers: dict[str, str], max_bytes: int, cut: bool = False
) -> Answer:
    """Ask once. With `cut`, what is over `max_bytes` is not read; otherwise it is a failure.

    Raises:
        FetchError: the address is refused or cannot be reached, or the answer cannot be read.
    """
    asked = {"Accept": ACCEPT, "Accept-Encoding": ACCEPT_ENCODING} | headers
    try:
        response = await client.send(client.build_request("GET", url, headers=asked), stream=True)
    except AddressRefusedError as error:
        raise FetchError(str(error), code="address-refused") from None
    except httpx.TransportError as error:
        raise await unanswered(error, url) from None
    body = body_of(response)
    try:
        data = b""
        if _succeeds(response.status_code) and response.status_code not in _NO_BODY:
            data = await _read(response, body, url=url, max_bytes=max_bytes, cut=cut)
        else:
            await _finish(body)
        return Answer(url, response.status_code, response.headers, data)
    finally:
        await response.aclose()


# --- the body --------------------------------------------------------------------------------------------


def _succeeds(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES and status != HTTPStatus.PARTIAL_CONTENT


async def _read(response: httpx.Response, body: Body, *, url: httpx.URL, max_bytes: int, cut: bool) -> bytes:
    """Read and inflate a body; bounded as it comes off the network, and as it grows."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in _PLAIN | _INFLATED:
        raise FetchError(
            f"{shown(url)} answered in an encoding that was not asked for ({encoding[:40]!r}).",
            code="unsupported-encoding",
        )
    declared = response.headers.get("content-length", "")
    if not cut and declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large(url, max_bytes)
    inflater = Inflater() if encoding in _INFLATED else None
    data = bytearray()
    try:
        over = await gather(body, inflater, into=data, max_bytes=max_bytes)
    except zlib.error:
        raise FetchError(f"{shown(url)} sent a body that cannot be inflated.", code="bad-encoding") from None
    except httpx.TransportError:
        if not data:
            raise FetchError(f"{shown(url)} broke the connection off.", code=RESET) from None
        raise _broken_off(url) from None
    if over and not cut:
        raise _too_large(url, max_bytes)
    if inflater and not inflater.whole and not over:
        raise _broken_off(url)
    return bytes(memoryview(data)[:max_bytes])


async def gather(body: Body, inflater: Inflater | None, *, into: bytearray, max_bytes: int) -> bool:
    """Fill `into`, and tell whether there was more than `max_bytes`, on the network or inflated."""
    received = 0
    while received <= max_bytes and (data := await body.read()):
        received += len(data)
        for piece in inflater.feed(data) if inflater else (data,):
            into += piece
            if len(into) > max_bytes:
                return True
            if len(piece) == PIECE:
                await asyncio.sleep(0)  # one read may inflate to much: others have their turn in between
    return received > max_bytes


async def _finish(body: Body) -> None:
    """Read the rest of a short body."""
    left = _UNWANTED
    with suppress(TimeoutError, httpx.TransportError):
        async with asyncio.timeout(LINGER):
            while left > 0 and (data := await body.read()):
                left -= len(data)


# --- failures --------------------------------------------------------------------------------------------


def _too_large(url: httpx.URL, max_bytes: int) -> FetchError:
    return FetchError(f"{shown(url)} is larger than {max_bytes:,} bytes.", code="too-large")


def _broken_off(url: httpx.URL) -> FetchError:
    return FetchError(
        f"{shown(url)} broke the connection off before all of it had arrived.", code="broken-off"
    )


async def unanswered(error: httpx.TransportError, url: httpx.URL) -> FetchError:
    """Say why there is no answer. The system's own words stay inside: they hold addresses."""
    host = url.netloc.decode("ascii")
    match error:
        case httpx.ConnectError() if "[SSL" in str(error):
            certificate = "CERTIFICATE_VERIFY_FAILED" in str(error)
            reason = "its certificate is not trusted" if certificate else "it does not speak TLS as it should"
            return FetchError(f"No secure connection to {host}: {reason}.", code="tls")
        case httpx.ConnectError():
            if await _is_unknown(url):
                return FetchError(f"The name {url.host} has no address.", code="dns")
            return FetchError(f"{host} cannot be reached.", code="unreachable")
        case httpx.ReadError():
            return FetchError(f"{host} broke the connection off without an answer.", code=RESET)
        case _:
            return FetchError(f"{host} does not answer in HTTP.", code="not-http")


async def _is_unknown(url: httpx.URL) -> bool:
    """Ask for the name once more: what a failed connect says does not tell an unknown name apart."""
    try:
        await asyncio.get_running_loop().getaddrinfo(url.raw_host.decode("ascii"), None)
    except OSError:
        return True
    return False
