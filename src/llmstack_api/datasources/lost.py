"""Points that a Qdrant server has lost: found by their number, and made again from the rows."""

from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from llmstack_api.datasources.folders import want_reembedding
from llmstack_api.models import Datasource, Entry, Work
from llmstack_api.resources import Resources

log = structlog.get_logger(__name__)

LOOKS: Final = 2
"""How often points have to be too few: what was deleted during the first look is gone from the rows at the second."""

_Chunks = dict[str, dict[UUID, int]]


async def check_points(resources: Resources) -> None:
    """Have every datasource embedded again of whose points a server has fewer than there are searched chunks.

    It asks once for each collection, and for each datasource of one that lacks points.

    Raises:
        VectorStoreAwayError: the server does not answer.
    """
    if resources.settings.qdrant_url is None:
        return  # folders have generations
    for collection, chunks in (await resources.db.read(_searched)).items():
        lost = set(chunks)
        if await resources.index.store.count(collection, {}) >= sum(chunks.values()):
            continue
        for _ in range(LOOKS):
            wanted = (await resources.db.read(_searched)).get(collection, {})
            lost = {
                id_ for id_ in lost & wanted.keys() if await _count(resources, collection, id_) < wanted[id_]
            }
        if lost:
            log.warning("points_are_lost", collection=collection, datasources=len(lost))
            await resources.db.write(want_reembedding, list(lost))


def have_points(session: Session) -> bool:
    """Tell whether a datasource may have points."""
    query = select(Datasource.id).where(Datasource.collection.is_not(None), Datasource.deleted_at.is_(None))
    return session.scalar(query.limit(1)) is not None


async def _count(resources: Resources, collection: str, datasource_id: UUID) -> int:
    of_it = {"must": [{"key": "datasource_id", "match": {"any": [str(datasource_id)]}}]}
    return await resources.index.store.count(collection, of_it)


def _searched(session: Session) -> _Chunks:
    """Count the chunks that searches find, by collection and datasource; each is a point since before it is found."""
    rows = session.execute(
        select(Datasource.collection, Datasource.id, func.sum(Entry.chunks_count))
        .join(Entry, Entry.datasource_id == Datasource.id)
        .where(
            Datasource.deleted_at.is_(None),
            or_(Datasource.work.is_(None), Datasource.work != Work.REEMBED),
            Datasource.collection.is_not(None),
            Entry.deleted_at.is_(None),
            Entry.live_version.is_not(None),
            Entry.chunks_count > 0,
        )
        .group_by(Datasource.collection, Datasource.id)
    )
    found: _Chunks = {}
    for collection, id_, chunks in rows:
        found.setdefault(str(collection), {})[id_] = int(chunks)
    return found
