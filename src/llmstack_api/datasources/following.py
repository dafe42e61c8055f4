"""Waiting for entries, and telling their progress as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from llmstack_api.datasources import entries
from llmstack_api.errors import NotFoundError
from llmstack_api.models import Entry, EntryStatus
from llmstack_api.resources import Resources

POLL_INTERVAL: Final = 0.5
"""Seconds between two looks at the row, for news that another process makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPlace:
    """Which entry of which account."""

    account_id: UUID
    datasource_id: UUID
    entry_id: UUID


async def follow(resources: Resources, place: EntryPlace) -> AsyncGenerator[Entry]:
    """Yield an entry as it is, and again at each change, until it is READY or FAILED, or the server stops.

    Raises:
        NotFoundError: there is none, or it was deleted meanwhile, by itself or with its datasource.
        UnavailableError: the database is away.
    """
    with resources.progress.following(place.entry_id) as news:
        shown: tuple[object, ...] = ()
        while True:
            news.clear()
            entry = await resources.db.read(
                entries.find_entry,
                account_id=place.account_id,
                datasource_id=place.datasource_id,
                entry_id=place.entry_id,
            )
            state = (entry.status, entry.stage, entry.version, entry.error)
            if state != shown:
                shown = state
                yield entry
            if entry.status != EntryStatus.PROCESSING or resources.draining:
                return
            try:
                async with asyncio.timeout(POLL_INTERVAL):
                    await news.wait()
            except TimeoutError:
                continue


async def wait_for(resources: Resources, place: EntryPlace, *, seconds: float) -> Entry | None:
    """Return an entry once it is READY or FAILED; None where that takes longer, or it was deleted."""
    try:
        async with asyncio.timeout(seconds):
            async for entry in follow(resources, place):
                if entry.status != EntryStatus.PROCESSING:
                    return entry
    except (TimeoutError, NotFoundError):
        return None
    return None
