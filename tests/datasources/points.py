"""What the index of a running server holds, searched or not."""

import asyncio

from sqlalchemy import select
from sqlalchemy.orm import Session

from llmstack_api.models import Entry
from tests.datasources.watching import LOOK
from tests.server import RunningServer

BUNDLED = "builtin/wordllama-256"


async def points_of(server: RunningServer, datasource: str, *, model: str = BUNDLED) -> int:
    """Count the points of a datasource among those that a model made."""
    space = await server.resources.embedders.space(model)
    of_it = {"must": [{"key": "datasource_id", "match": {"any": [datasource]}}]}
    return await server.resources.index.store.count(space.collection, of_it)


async def until_points(
    server: RunningServer, datasource: str, number: int, *, model: str = BUNDLED, within: float = 25
) -> None:
    """Wait until a datasource has so many points."""
    found = -1
    try:
        async with asyncio.timeout(within):
            while (found := await points_of(server, datasource, model=model)) != number:
                await asyncio.sleep(LOOK)
    except TimeoutError:
        raise AssertionError(f"{found} points after {within} s, where {number} were due") from None


async def until_no_rows(server: RunningServer, *, within: float = 25) -> None:
    """Wait until the database has no entry at all, deleted ones included."""
    rows: list[tuple[str | None, ...]] = []
    try:
        async with asyncio.timeout(within):
            while rows := await server.resources.db.read(_rows):
                await asyncio.sleep(LOOK)
    except TimeoutError:
        raise AssertionError(f"after {within} s there are {rows}") from None


def _rows(session: Session) -> list[tuple[str | None, ...]]:
    found = session.execute(select(Entry.name, Entry.status, Entry.work, Entry.deleted_at, Entry.lease_until))
    return [tuple(None if value is None else str(value) for value in row) for row in found]
