"""Calls of a Qdrant server: bounded, repeated where that helps, their failures told as ours."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from json import JSONDecodeError
from typing import Any, Final, TypeVar

import httpx
import structlog
from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from llmstack_api.errors import StorageFullError, VectorStoreAwayError
from llmstack_api.outbound import operator_client

REPEATS: Final = 2
"""Times that a call is made again; each of ours is safe to repeat."""

BACKOFF: Final = 0.2
"""Seconds before the first repeat, twice as many before the second, and up to as many again at random."""

PATIENCE: Final = 2.0
"""Longest `Retry-After`, in seconds, that is waited for here; a longer one is left to the caller."""

_IDLE: Final = 120
"""Seconds of silence that the client itself allows; every call is bounded by less."""

_FULL: Final = 507
_NO_SPACE: Final = b"No space left on device"
_NO_COLLECTION: Final = b"doesn't exist"

_NONSENSE: Final = "The Qdrant server's answer makes no sense."

T = TypeVar("T")
_log: Any = structlog.get_logger(__name__)


class MissingCollectionError(Exception):
    """The server has no such collection."""


class ExistingCollectionError(Exception):
    """Somebody else made the collection first."""


@dataclass(frozen=True, slots=True)
class _Setback:
    """Why a call did not succeed this time."""

    reason: str
    repeat: bool = True
    after: float | None = None
    """Seconds that the server asked to wait."""


class _Outbound(httpx.AsyncBaseTransport):
    """Sends by the client that all outbound HTTP goes through: connections are kept, failures have true names."""

    def __init__(self) -> None:
        self._client = operator_client()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._client.send(request, stream=True)

    async def aclose(self) -> None:
        await self._client.aclose()


def open_client(url: str, api_key: str | None) -> AsyncQdrantClient:
    """Make a client over our own outbound HTTP. Whoever opens it closes it."""
    return AsyncQdrantClient(
        url=url,
        port=None,  # what the address says, or its scheme
        # Not as `api_key`, which warns about every server without TLS.
        headers={"api-key": api_key} if api_key else {},
        check_compatibility=False,
        timeout=_IDLE,
        transport=_Outbound(),
    )


async def call(attempt: Callable[[], Awaitable[T]], *, within: float) -> T:
    """Make a call, and again at most twice, each time within so many seconds.

    Raises:
        VectorStoreAwayError: the server does not answer, is busy, or refuses the key.
        StorageFullError: its disk is full.
        MissingCollectionError: it has no such collection.
        ExistingCollectionError: it has it already.
        UnexpectedResponse: it refuses what we ask, which is a bug.
    """
    done = 0
    while True:
        try:
            async with asyncio.timeout(within):
                return await attempt()
        except TimeoutError:
            setback = _Setback(f"The Qdrant server did not answer within {within:g} s.", repeat=False)
        except UnexpectedResponse as error:
            setback = _refused(error)
        except ResourceExhaustedResponse as error:
            setback = _Setback("The Qdrant server is busy.", after=max(0.0, float(error.retry_after_s)))
        except QdrantException:  # a `Retry-After` that is no number
            setback = _Setback("The Qdrant server is busy.")
        except ResponseHandlingException as error:
            setback = _broken(error.source)
        except (JSONDecodeError, UnicodeDecodeError, AssertionError):  # the client takes answers for sound
            setback = _Setback(_NONSENSE)
        wait = _pause(done) if setback.after is None else setback.after
        if not setback.repeat or done == REPEATS or wait > PATIENCE:
            _log.warning("qdrant_away", reason=setback.reason, repeats=done)
            raise VectorStoreAwayError(setback.reason, retry_after=setback.after or 5.0)
        done += 1
        await asyncio.sleep(wait)


def _pause(done: int) -> float:
    return BACKOFF * 2**done * (1 + random.random())  # noqa: S311 # to spread repeats, no secret


def _refused(error: UnexpectedResponse) -> _Setback:
    """Judge an answer that is no success; what is our own fault is raised as it is."""
    status, content = error.status_code or 0, error.content
    if status == _FULL or _NO_SPACE in content:
        raise StorageFullError("The disk of the Qdrant server is full.") from error
    match status:
        case 401 | 403:
            return _Setback("The Qdrant server refuses LLMSTACK_QDRANT_API_KEY.", repeat=False)
        case 404 if _NO_COLLECTION in content:
            raise MissingCollectionError from error
        case 409:
            raise ExistingCollectionError from error
        case 408:
            return _Setback("The Qdrant server is slow.")
        case 429:
            return _Setback("The Qdrant server is busy.")
        case _ if status >= 500:  # noqa: PLR2004 # the server's own failures
            return _Setback(f"The Qdrant server failed ({status}).")
        case _:
            raise error


def _broken(source: Exception) -> _Setback:
    """Judge a call without an answer, or with one that makes no sense."""
    match source:
        case httpx.TimeoutException():
            return _Setback("The Qdrant server did not answer in time.", repeat=False)
        case httpx.ConnectError():
            return _Setback("The Qdrant server cannot be reached.")
        case httpx.TransportError():
            return _Setback("The connection to the Qdrant server broke.")
        case ValueError():
            return _Setback(_NONSENSE)
        case _:
            raise source
