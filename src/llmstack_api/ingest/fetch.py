"""Fetching of addresses that users name: guarded, bounded, polite."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, overload

import httpx

from llmstack_api.errors import FetchError
from llmstack_api.ingest.address import origin, parse_address, redirected, shown
from llmstack_api.ingest.headers import charset_of, file_name_of, media_type_of, retry_after_of, validator
from llmstack_api.ingest.robots import MAX_BYTES, Rules, parse_robots
from llmstack_api.ingest.robots_memory import RobotsMemory
from llmstack_api.ingest.transfer import RESET, Answer, get
from llmstack_api.ingest.turns import Turns, slot
from llmstack_api.outbound import Egress, guarded_client

MAX_REDIRECTS: Final = 5
MAX_RETRIES: Final = 2
"""Retries of one fetch, over all its redirects."""

AT_ONCE: Final = 4
"""Requests at a time to one host."""

ALL_AT_ONCE: Final = 16
"""Requests at a time to all hosts; their bodies are in memory."""

SITEMAPS_AT_ONCE: Final = 2
"""Sitemaps in memory at a time."""

PATIENCE: Final = 60.0
"""Seconds that a fetch waits until it may ask, which its time-out does not count."""

BACKOFF: Final = 0.3
"""Seconds before the first retry, give or take; three times as long before the second."""

_RETRIED: Final = frozenset({429, 500, 502, 503, 504})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_AS_THE_PAGE: Final = frozenset({"address-refused", "dns", "tls", "unreachable"})
_MANY_RULES: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What stands at an address."""

    url: str
    """Where it was found in the end, after redirects."""
    data: bytes = field(repr=False)
    """Inflated."""
    media_type: str | None = None
    """`type/subtype` in lower case, as the server says."""
    charset: str | None = None
    """One that Python knows, as the server says."""
    file_name: str | None = None
    """From Content-Disposition, without folders."""
    etag: str | None = None
    last_modified: str | None = None

    @property
    def content_type(self) -> str | None:
        """Media type with the charset, if the server names one."""
        if self.charset is None:
            return self.media_type
        return f"{self.media_type or 'text/plain'}; charset={self.charset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotModified:
    """What stands at an address is what it was."""

    url: str
    """Where that was found out, after redirects."""


@dataclass(slots=True)
class Allowance:
    """Time that several fetches, one after the other, have together."""

    seconds: float


@dataclass(slots=True)
class _Trip:
    """One fetch on its way."""

    clock: asyncio.Timeout
    held: AsyncExitStack
    """What is released when nobody needs the body any more."""
    room: asyncio.Semaphore | None = None
    retries: int = MAX_RETRIES

    def may_retry(self, pause: float, *, cost: int = 1) -> bool:
        """Tell whether there are retries and time left for one more after a pause, and count it if so."""
        when = self.clock.when()
        if self.retries < cost or (when is not None and asyncio.get_running_loop().time() + pause >= when):
            return False
        self.retries -= cost
        return True


@asynccontextmanager
async def open_fetcher(
    egress: Egress,
    *,
    timeout: float,  # noqa: ASYNC109 # that of each fetch
    max_bytes: int,
    at_once: int = ALL_AT_ONCE,
) -> AsyncGenerator["Fetcher"]:
    """Open a fetcher; `timeout` (seconds) is for each fetch as a whole, `max_bytes` before and after inflation.

    `at_once` is how many fetches have a request going. Those who wait for their host are not counted.
    """
    async with guarded_client(egress) as client:
        yield Fetcher(client, timeout=timeout, max_bytes=max_bytes, at_once=at_once)


class Fetcher:
    """Fetches; knows what each site's robots.txt said and who waits for which host. Shared by all fetches."""

    def __init__(
        self, client: httpx.AsyncClient, *, timeout: float, max_bytes: int, at_once: int = ALL_AT_ONCE
    ) -> None:
        self.timeout = timeout
        self._client = client
        self._max_bytes = max_bytes
        self._turns = Turns(AT_ONCE)
        self._slots = asyncio.Semaphore(at_once)
        self.sitemaps = asyncio.Semaphore(SITEMAPS_AT_ONCE)
        """Room for sitemaps: each may be large, and larger inflated."""
        self._robots = RobotsMemory(self._load_robots)

    @overload
    async def fetch(self, url: str) -> Fetched: ...

    @overload
    async def fetch(
        self, url: str, *, etag: str | None = None, last_modified: str | None = None
    ) -> Fetched | NotModified: ...

    async def fetch(
        self, url: str, *, etag: str | None = None, last_modified: str | None = None
    ) -> Fetched | NotModified:
        """Fetch what stands at an address, unless it is still what had these validators.

        Raises:
            FetchError: with the `code` and, for the user, the reason. `host-busy` means that too many others
                fetch, from the host or at all: it can be put off.
        """
        async with self.fetching(url, etag=etag, last_modified=last_modified) as fetched:
            return fetched

    @overload
    def fetching(
        self, url: str, *, room: asyncio.Semaphore | None = None, allowance: Allowance | None = None
    ) -> AbstractAsyncContextManager[Fetched]: ...

    @overload
    def fetching(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        room: asyncio.Semaphore | None = None,
        allowance: Allowance | None = None,
    ) -> AbstractAsyncContextManager[Fetched | NotModified]: ...

    @asynccontextmanager
    async def fetching(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        room: asyncio.Semaphore | None = None,
        allowance: Allowance | None = None,
    ) -> AsyncGenerator[Fetched | NotModified]:
        """Fetch as `fetch` does, and count the body among those in memory until the block ends.

        A place in `room` is taken, too, when it is the fetch's turn at the host. With an `allowance` the
        fetch has what is left of it, and takes off what it used; waiting costs nothing of it.
        """
        target = parse_address(url)
        conditions = {"If-None-Match": validator(etag), "If-Modified-Since": validator(last_modified)}
        headers = {name: value for name, value in conditions.items() if value}
        async with AsyncExitStack() as held:
            answer = await self._fetch(target, headers=headers, held=held, room=room, allowance=allowance)
            yield _found(answer, conditional=bool(headers))

    async def _fetch(
        self,
        target: httpx.URL,
        *,
        headers: dict[str, str],
        held: AsyncExitStack,
        room: asyncio.Semaphore | None,
        allowance: Allowance | None,
    ) -> Answer:
        clock = asyncio.timeout(allowance.seconds if allowance else self.timeout)
        try:
            async with clock:
                try:
                    return await self._follow(target, headers=headers, trip=_Trip(clock, held, room))
                finally:
                    when = clock.when()
                    if allowance and when is not None:
                        allowance.seconds = max(0.0, when - asyncio.get_running_loop().time())
        except TimeoutError:
            if not clock.expired():
                raise
            raise FetchError(
                f"{shown(target)} could not be fetched within {self.timeout:g} seconds.", code="timeout"
            ) from None

    async def _follow(
        self, url: httpx.URL, *, headers: dict[str, str], trip: _Trip, for_robots: bool = False
    ) -> Answer:
        """Ask, and go where redirects lead; every address on the way is judged as the first was."""
        start, met = url, {str(url)}
        while True:
            try:
                answer = await self._ask(url, headers=headers, trip=trip, for_robots=for_robots)
            except FetchError as error:
                if url is start:
                    raise
                raise FetchError(f"{shown(start)} was redirected. {error}", code=error.code) from None
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or location is None:
                return answer
            url = redirected(url, location)
            if len(met) > MAX_REDIRECTS or str(url) in met:
                raise FetchError(
                    f"{shown(start)} redirects in a circle, or more than {MAX_REDIRECTS} times.",
                    code="too-many-redirects",
                )
            met.add(str(url))

    async def _ask(self, url: httpx.URL, *, headers: dict[str, str], trip: _Trip, for_robots: bool) -> Answer:
        """Ask one address, again where that may help and there is time."""
        while True:
            backoff = _backoff(MAX_RETRIES - trip.retries)
            try:
                if for_robots:
                    answer = await get(self._client, url, headers=headers, max_bytes=MAX_BYTES, cut=True)
                else:
                    answer = await self._take_turn(url, headers=headers, trip=trip)
            except FetchError as error:
                pause = backoff
                # The client itself sends a GET whose connection broke once more, so this is two in one.
                if error.code != RESET or not trip.may_retry(pause, cost=2):
                    raise
            else:
                said = retry_after_of(answer.headers.get("retry-after"))
                pause = backoff if said is None else said
                if answer.status not in _RETRIED or not trip.may_retry(pause):
                    return answer
            await asyncio.sleep(pause)

    async def _take_turn(self, url: httpx.URL, *, headers: dict[str, str], trip: _Trip) -> Answer:
        """Ask once when it is our turn and the site lets us."""
        async with self._turn(url, trip=trip) as turn:
            rules = await self._robots.rules(url)
            path = url.raw_path.decode("ascii")
            many = len(rules.rules) > _MANY_RULES
            allowed = await asyncio.to_thread(rules.allows, path) if many else rules.allows(path)
            if not allowed:
                raise FetchError(
                    f"The robots.txt of {origin(url)} does not let us fetch {shown(url)}.",
                    code="robots-disallowed",
                )
            answer = await get(self._client, url, headers=headers, max_bytes=self._max_bytes)
            if answer.success:
                trip.held.push_async_exit(turn.pop_all())
            return answer

    @asynccontextmanager
    async def _turn(self, url: httpx.URL, *, trip: _Trip) -> AsyncGenerator[AsyncExitStack]:
        """Wait for our turn at the host, and only then for a slot; the slot is on the stack that is given.

        The slot is for the site's robots.txt as well.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        entered = False
        try:
            async with (
                self._turns.turn(url.host, clock=trip.clock, patience=PATIENCE),
                AsyncExitStack() as stack,
            ):
                for slots in filter(None, (trip.room, self._slots)):
                    left = max(0.0, until - loop.time())
                    await stack.enter_async_context(slot(slots, clock=trip.clock, patience=left))
                entered = True
                yield stack
        except TimeoutError:
            if entered:
                raise
            raise FetchError(
                f"Too many others fetch from {url.host}, or at all, at this time.", code="host-busy"
            ) from None

    async def _load_robots(self, url: httpx.URL) -> Rules:
        """Read the robots.txt of the site of an address, in half of a fetch's time at most."""
        robots = httpx.URL(f"{origin(url)}/robots.txt")
        clock = asyncio.timeout(self.timeout / 2)
        try:
            async with clock, AsyncExitStack() as held:
                answer = await self._follow(robots, headers={}, trip=_Trip(clock, held), for_robots=True)
        except TimeoutError:
            if not clock.expired():
                raise
            raise FetchError(
                f"{robots} was not answered within {self.timeout / 2:g} seconds.", code="timeout"
            ) from None
        except FetchError as error:
            if error.code == "too-many-redirects":
                return Rules()
            if error.code in _AS_THE_PAGE:
                raise
            raise FetchError(f"{robots} must be read first: {error}", code=error.code) from None
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise FetchError(
                f"{robots} must be read first, and answers HTTP {answer.status}.", code="robots-disallowed"
            )
        if not answer.success:
            return Rules()
        return await asyncio.to_thread(parse_robots, answer.data) if answer.data else Rules()


def _found(answer: Answer, *, conditional: bool) -> Fetched | NotModified:
    if answer.status == HTTPStatus.NOT_MODIFIED and conditional:
        return NotModified(url=str(answer.url))
    if not answer.success:
        raise _refused(answer)
    content_type = answer.headers.get("content-type")
    return Fetched(
        url=str(answer.url),
        data=answer.data,
        media_type=media_type_of(content_type),
        charset=charset_of(content_type),
        file_name=file_name_of(answer.headers.get("content-disposition")),
        etag=validator(answer.headers.get("etag")),
        last_modified=validator(answer.headers.get("last-modified")),
    )


# --- failures --------------------------------------------------------------------------------------------


def _backoff(tried: int) -> float:
    return BACKOFF * 3**tried * random.uniform(0.75, 1.25)  # noqa: S311 # no secret


def _refused(answer: Answer) -> FetchError:
    try:
        phrase = f" ({HTTPStatus(answer.status).phrase})"
    except ValueError:
        phrase = ""
    return FetchError(
        f"{shown(answer.url)} answered HTTP {answer.status}{phrase}.", code=f"http-{answer.status}"
    )
