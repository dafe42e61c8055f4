"""Waiting for entries, and telling their progress as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final
from uuid import UUID

from llmstack_api.datasources import entries
from llmstack_api.models import Entry, EntryStatus
from llmstack_api.resources import Resources

POLL_INTERVAL: Final = 0.5
"""Seconds between two looks at the row, for news that another process makes."""


async def follow(
    resources: Resources, *, account_id: UUID, datasource_id: UUID, entry_id: UUID
) -> AsyncGenerator[Entry]:
    """Yield an entry as it is, and again at each change, until it is READY or FAILED.

    Raises:
        EntryNotFoundError: there is none, or it was deleted meanwhile.
    """
    with resources.progress.following(entry_id) as news:
        shown: tuple[object, ...] = ()
        while True:
            news.clear()
            entry = await resources.db.read(
                entries.find_entry, account_id=account_id, datasource_id=datasource_id, entry_id=entry_id
            )
            state = (entry.status, entry.stage, entry.version)
            if state != shown:
                shown = state
                yield entry
            if entry.status != EntryStatus.PROCESSING:
                return
            try:
                async with asyncio.timeout(POLL_INTERVAL):
                    await news.wait()
            except TimeoutError:
                continue


async def wait_for(
    resources: Resources, *, account_id: UUID, datasource_id: UUID, entry_id: UUID, seconds: float
) -> Entry | None:
    """Return an entry once it is READY or FAILED; None where that takes longer, or where it was deleted."""
    try:
        async with asyncio.timeout(seconds):
            async for entry in follow(
                resources, account_id=account_id, datasource_id=datasource_id, entry_id=entry_id
            ):
                if entry.status != EntryStatus.PROCESSING:
                    return entry
    except TimeoutError:
        return None
    return None
