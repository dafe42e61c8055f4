"""Search: the index proposes, the rows decide what may be seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from llmstack_api.datasources.points import INTERNAL
from llmstack_api.datasources.service import NO_SUCH_DATASOURCE
from llmstack_api.engine.ports import JsonObject
from llmstack_api.errors import DatasourceNotFoundError
from llmstack_api.models import Datasource, Entry
from llmstack_api.resources import Resources
from llmstack_api.vectors.index import Mode, Wanted, generation
from llmstack_api.vectors.store import Hit

ROUNDS: Final = 4
"""How often hits that may not be seen any more are searched around before the result is what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A passage that was found."""

    content: str
    score: float
    metadata: JsonObject
    """As it is stored."""
    datasource_id: UUID
    entry_id: UUID
    number: int
    start: int
    end: int


async def search(resources: Resources, wanted: Wanted, *, account_id: UUID) -> list[Found]:
    """Return the passages that answer best, best first; all datasources are of the account and of one model.

    Raises:
        DatasourceNotFoundError: the account has no such datasource.
        VectorStoreAwayError: the index does not answer.
        EmbeddingAwayError: the embedding model does not answer.
        EmbeddingRefusedError: the datasource's embedding model is not configured any more, or refuses.
    """
    models = await resources.db.read(_models, account_id, wanted.datasources)
    if not models:
        return []  # nothing has been stored yet
    (model,) = models
    space = await resources.embedders.space(model)
    dense = None if wanted.mode == Mode.KEYWORD else await space.embedder.embed_query(wanted.query)
    hidden: set[str] = set()
    seen: list[Hit] = []
    for _ in range(ROUNDS):
        hits = await resources.index.search(space, wanted, dense=dense, without=hidden)
        live = await resources.db.read(_live, account_id, {hit.payload["generation"] for hit in hits})
        seen = [hit for hit in hits if hit.payload["generation"] in live]
        if len(seen) == len(hits):
            break
        hidden |= {hit.payload["generation"] for hit in hits} - live
    return [_found(hit) for hit in seen]


def _models(session: Session, account_id: UUID, datasources: Sequence[UUID]) -> set[str]:
    rows = session.execute(
        select(Datasource.embedding_model, Datasource.collection).where(
            Datasource.id.in_(datasources),
            Datasource.account_id == account_id,
            Datasource.deleted_at.is_(None),
        )
    ).all()
    if len(rows) < len(set(datasources)):
        raise DatasourceNotFoundError(NO_SUCH_DATASOURCE)
    return {model for model, collection in rows if collection is not None}


def _live(session: Session, account_id: UUID, generations: set[str]) -> set[str]:
    """Return those of the generations that may be seen now."""
    ids = {UUID(name.partition(":")[0]) for name in generations}
    rows = session.execute(
        select(Entry.id, Entry.live_version)
        .join(Datasource, Datasource.id == Entry.datasource_id)
        .where(
            Entry.id.in_(ids),
            Entry.account_id == account_id,
            Entry.deleted_at.is_(None),
            Datasource.deleted_at.is_(None),
        )
    )
    return {generation(id_, version) for id_, version in rows if version is not None} & generations


def _found(hit: Hit) -> Found:
    payload = hit.payload
    return Found(
        content=payload["text"],
        score=hit.score,
        metadata={key: value for key, value in payload.items() if key not in INTERNAL},
        datasource_id=UUID(payload["datasource_id"]),
        entry_id=UUID(payload["entry_id"]),
        number=payload["number"],
        start=payload["start"],
        end=payload["end"],
    )
