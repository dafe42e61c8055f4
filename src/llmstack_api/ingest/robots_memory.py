"""What each site's robots.txt said, for an hour; asked once, however many want to know."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import httpx

from llmstack_api.errors import FetchError
from llmstack_api.ingest.robots import Rules

KEPT: Final = 3600.0
"""Seconds that rules hold."""

FAILURE_KEPT: Final = 30.0
"""Seconds that a failure holds: enough for those who wait for it, and a site that recovers is soon read."""

MAX_SITES: Final = 1024
MAX_SIZE: Final = 8_388_608
"""Characters of all rules together."""

Load = Callable[[httpx.URL], Awaitable[Rules]]
Site = tuple[str, bytes]
"""Scheme, and host with port: each has a robots.txt of its own."""


@dataclass(slots=True)
class _Known:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    said: Rules | FetchError = field(default_factory=Rules)
    until: float = 0.0
    size: int = 0


class RobotsMemory:
    """Remembers the sites that were asked last, bounded in number and size."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._sites: OrderedDict[Site, _Known] = OrderedDict()
        self._size = 0

    async def rules(self, url: httpx.URL) -> Rules:
        """Give the rules of an address's site.

        Raises:
            FetchError: its robots.txt could not be read, which lets nobody fetch anything there.
        """
        site = (url.scheme, url.netloc)
        known = self._sites.get(site)
        if known is None:
            known = self._sites[site] = _Known()
        self._sites.move_to_end(site)
        now = asyncio.get_running_loop().time
        if now() >= known.until:
            async with known.lock:
                if now() >= known.until:
                    await self._ask(url, site, known)
        if isinstance(known.said, FetchError):
            raise FetchError(str(known.said), code=known.said.code)
        return known.said

    async def _ask(self, url: httpx.URL, site: Site, known: _Known) -> None:
        try:
            known.said, kept = await self._load(url), KEPT
        except FetchError as error:
            known.said, kept = error.with_traceback(None), FAILURE_KEPT
        known.until = asyncio.get_running_loop().time() + kept
        if self._sites.get(site) is known:
            self._size -= known.size
            known.size = known.said.size if isinstance(known.said, Rules) else 0
            self._size += known.size
            self._forget()

    def _forget(self) -> None:
        """Drop those asked longest ago, but never the last one."""
        while len(self._sites) > 1 and (len(self._sites) > MAX_SITES or self._size > MAX_SIZE):
            _, dropped = self._sites.popitem(last=False)
            self._size -= dropped.size
