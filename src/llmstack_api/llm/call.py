"""One call of a model server: retries before the first byte, one idle watchdog, bounded reads."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

import httpx
import structlog

from llmstack_api.errors import ProviderFailedError, ProviderTimeoutError, RunError
from llmstack_api.llm.endpoint import Endpoint
from llmstack_api.llm.failures import BUSY, parse_retry_after, refused
from llmstack_api.outbound import Body, body_of

log = structlog.get_logger(__name__)

MAX_RETRIES: Final = 2
MAX_RETRY_AFTER: Final = 20.0
"""Seconds; a provider that asks for more is given up at once."""

MAX_ERROR_BODY: Final = 65_536
"""Bytes of an error body that are read, and bytes that may follow the end of an answer."""

TRAILING: Final = 5.0
"""Seconds that an answer whose choices have all ended has for its usage and its `[DONE]`."""

LINGER: Final = 0.5
"""Seconds that a finished answer has to end its body, so that the connection can be used again."""

BACKOFF: Final = 0.15
"""Seconds before the first retry, give or take; three times as long before the second."""

_RETRIED: Final = BUSY | {500, 502, 503}
_DOUBT: Final = 0.02

Consume = Callable[["Reader"], Awaitable[None]]
"""Reads an answer to its end; what it raises is the failure of the call."""


async def call(
    client: httpx.AsyncClient,
    request: httpx.Request,
    *,
    endpoint: Endpoint,
    idle_timeout: float,
    consume: Consume,
    retries: int = MAX_RETRIES,
) -> None:
    """Send a request and have its answer consumed; retry only while no byte of an answer has come.

    Raises:
        RunError: one of the provider errors, or AddressRefusedError.
    """
    for attempt in range(retries + 1):
        failure, pause = await _attempt(
            client, request, endpoint=endpoint, idle_timeout=idle_timeout, consume=consume, number=attempt
        )
        if failure is None:
            return
        if pause is None or pause > MAX_RETRY_AFTER or attempt == retries:
            raise failure
        await asyncio.sleep(pause)


async def _attempt(
    client: httpx.AsyncClient,
    request: httpx.Request,
    *,
    endpoint: Endpoint,
    idle_timeout: float,
    consume: Consume,
    number: int,
) -> tuple[RunError | None, float | None]:
    """Try once; give what failed and, where it may be tried again, the pause before."""
    reader = Reader(idle_timeout)
    pause: float | None = None
    try:
        async with reader:
            response = await client.send(request, stream=True)
            reader.attach(body_of(response), media_type=response.headers.get("content-type"))
            try:
                if response.is_success and _is_plain(response):
                    await consume(reader)
                    return None, None
                return await _refusal(response, reader, endpoint=endpoint, number=number)
            finally:
                await response.aclose()
    except TimeoutError:
        if not reader.expired:
            raise
        failure = ProviderTimeoutError(f"{endpoint.name} sent nothing for {idle_timeout:g} seconds.")
    except httpx.ReadError as error:
        failure = _broken(endpoint, error, what="{} broke the connection off.")
        if not reader.started:
            # The first reset is most often that of a kept connection, which the server was just closing.
            pause = _backoff(number) if number else 0.0
    except httpx.ConnectError as error:
        failure = _broken(endpoint, error, what="{} cannot be reached.")
    except httpx.RequestError as error:
        failure = _broken(endpoint, error, what="{} does not answer in HTTP.")
    return failure, pause


def _broken(endpoint: Endpoint, error: httpx.RequestError, *, what: str) -> ProviderFailedError:
    # Addresses and the system's words are for the operator's log, not for those who run apps.
    log.warning("model_connection_failed", endpoint=endpoint.name, reason=str(error))
    return ProviderFailedError(what.format(endpoint.name))


def _backoff(number: int) -> float:
    # Spread, so that calls that failed together do not come back together.
    return BACKOFF * 3**number * random.uniform(0.7, 1.3)  # noqa: S311 # no secret


async def _refusal(
    response: httpx.Response, reader: "Reader", *, endpoint: Endpoint, number: int
) -> tuple[RunError, float | None]:
    status = response.status_code
    if response.is_success:
        encoding = response.headers["content-encoding"]
        return ProviderFailedError(
            f"{endpoint.name} answered in the encoding {encoding[:40]!r} although none was asked for."
        ), None
    try:
        body, _ = await reader.read_all(MAX_ERROR_BODY)
    except httpx.TransportError:
        # The status says what counts; a body that breaks off only takes the provider's words away.
        body = b""
    retry_after = parse_retry_after(response.headers.get("retry-after"))
    words = body if _is_plain(response) else b""
    failure = refused(endpoint, status, body=words, retry_after=retry_after)
    if status not in _RETRIED:
        return failure, None
    return failure, _backoff(number) if retry_after is None else retry_after


def _is_plain(response: httpx.Response) -> bool:
    return response.headers.get("content-encoding", "identity").strip().lower() in {"", "identity"}


class Reader:
    """Reads an answer's body under an idle watchdog; the time its consumer takes does not count."""

    __slots__ = (
        "_body",
        "_deadline",
        "_doubted",
        "_handle",
        "_idle",
        "_loop",
        "_since",
        "_waiting",
        "expired",
        "media_type",
        "started",
    )

    def __init__(self, idle_timeout: float) -> None:
        self.started = False
        """A byte of the body has been given."""
        self.expired = False
        self.media_type: str | None = None
        """What the answer says it is."""
        self._idle = idle_timeout
        self._loop = asyncio.get_running_loop()
        self._deadline = asyncio.timeout(None)
        self._body: Body
        self._waiting = True
        self._doubted = False

    async def __aenter__(self) -> Self:
        await self._deadline.__aenter__()
        self._since = self._loop.time()
        self._handle = self._loop.call_later(self._idle, self._look)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.cancel()
        await self._deadline.__aexit__(kind, error, trace)

    def attach(self, body: Body, *, media_type: str | None) -> None:
        """Take the body of the answer whose headers have come."""
        self.media_type = media_type
        self._waiting = False
        self._body = body

    async def read(self) -> bytes:
        """Give what one network read brought; nothing at the end.

        Raises:
            httpx.TransportError: the connection broke.
        """
        self._since = self._loop.time()
        self._waiting = True
        data = await self._body.read()
        self._waiting = False
        if data:
            self.started = True
        return data

    async def read_all(self, limit: int) -> tuple[bytes, bool]:
        """Read to the end or to the limit; tell whether that was all."""
        data = bytearray()
        while read := await self.read():
            data += read
            if len(data) > limit:
                return bytes(data[:limit]), False
        return bytes(data), True

    async def read_trailing(self) -> bytes:
        """Read on after an answer that is whole: what breaks or falls silent now is only its end."""
        self._handle.cancel()
        try:
            async with asyncio.timeout(TRAILING):
                return await self.read()
        except (TimeoutError, httpx.TransportError):
            return b""

    async def finish(self) -> None:
        """Read what little may follow the end of an answer; what takes long or more loses its connection."""
        self._handle.cancel()
        if self._body.at_end:
            return
        try:
            async with asyncio.timeout(LINGER):
                await self.read_all(MAX_ERROR_BODY)
        except (TimeoutError, httpx.TransportError):
            return

    def _look(self) -> None:
        # Re-armed here and not at each read: a timer a read would cost more than the read's own work.
        left = self._since + self._idle - self._loop.time() if self._waiting else self._idle
        if left > 0:
            self._handle = self._loop.call_later(left, self._look)
            self._doubted = False
        elif not self._doubted:
            # Bytes may have come that a busy loop has not handed over yet.
            self._handle = self._loop.call_later(_DOUBT, self._look)
            self._doubted = True
        else:
            self.expired = True
            self._deadline.reschedule(self._loop.time())
