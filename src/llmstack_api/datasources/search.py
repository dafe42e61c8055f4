"""Search: the index proposes, the rows decide what may be seen."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy import Connection, bindparam, select

from llmstack_api.datasources.folders import want_reembedding
from llmstack_api.datasources.grouping import Grouping, Shown, collect
from llmstack_api.datasources.points import INTERNAL, language_of
from llmstack_api.datasources.service import NO_SUCH_DATASOURCE
from llmstack_api.engine.ports import JsonObject
from llmstack_api.errors import DatasourceNotFoundError, EmbeddingAwayError
from llmstack_api.models import Datasource, Entry
from llmstack_api.resources import Resources
from llmstack_api.vectors.index import EQUAL_WEIGHTS, Mode, Wanted, generation
from llmstack_api.vectors.languages import Language
from llmstack_api.vectors.store import Fusion, Hit

WIDE: Final = 500
"""Hits that are asked for from the second round on."""

ROUNDS: Final = 8
"""How often hits that may not be seen any more are searched around before the result is what it is."""

COPIES: Final = 100
"""Copies of a passage that are listed at most."""

AS_FOUND: Final = Grouping()
"""Every hit is shown."""

_Embedded: TypeAlias = tuple[list[float] | None, Fusion, tuple[float, float]]
"""The query's vector, if the mode needs one, and the weights of the halves."""

MOVES: Final = 3
"""How often a search is begun, where another embedding model takes over amid it."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the points of a datasource are."""

    model: str
    collection: str
    dimension: int


class SeveralPlacesError(Exception):
    """The datasources are of several embedding models; each group is searched alone."""

    def __init__(self, groups: Sequence[Sequence[UUID]]) -> None:
        super().__init__()
        self.groups = groups


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
    copies: Sequence["Found"] = ()
    """The same passage elsewhere, best first; empty unless copies are folded."""
    copies_count: int = 0
    """With those that are not listed."""


async def search(
    resources: Resources, wanted: Wanted, *, account_id: UUID, grouping: Grouping = AS_FOUND
) -> list[Found]:
    """Return the passages that answer best, best first; all datasources are of the account and of one model.

    Raises:
        SeveralPlacesError: they are of several models.
        DatasourceNotFoundError: the account has no such datasource.
        VectorStoreAwayError: the index does not answer.
        EmbeddingAwayError: the embedding model does not answer.
        EmbeddingRefusedError: the datasource's embedding model is not configured any more, or refuses.
    """
    hits: list[Shown] = []
    for _ in range(MOVES):
        places = await resources.db.peek(_places, account_id, wanted.datasources)
        if not places:
            await _require_models(resources, wanted, account_id)
            return []  # nothing has been stored yet
        if len(places) > 1:
            raise SeveralPlacesError([list(group) for group in places.values()])
        ((place, languages),) = places.items()
        asked = replace(wanted, language=_common(languages.values()))
        hits = await _collect(resources, asked, place, account_id=account_id, grouping=grouping)
        # Where another model took over meanwhile, what was searched may have been removed already.
        if len(hits) == wanted.limit:
            break
        if places.keys() == (await resources.db.peek(_places, account_id, wanted.datasources)).keys():
            break
    return [_found(each.hit, each.copies) for each in hits]


async def _collect(
    resources: Resources, wanted: Wanted, place: _Place, *, account_id: UUID, grouping: Grouping
) -> list[Shown]:
    embedded = await _embedded(resources, wanted, place)

    async def look(limit: int, *, without: AbstractSet[str]) -> list[Hit]:
        deeper = replace(wanted, limit=limit)
        return await _search(
            resources, deeper, place, embedded=embedded, account_id=account_id, passed=without
        )

    async def still_seen(generations: set[str]) -> set[str]:
        return await resources.db.peek(_live, account_id, generations)

    return await collect(look, grouping, limit=wanted.limit, still_seen=still_seen)


async def _search(
    resources: Resources,
    wanted: Wanted,
    place: _Place,
    *,
    embedded: _Embedded,
    account_id: UUID,
    passed: AbstractSet[str] = frozenset(),
) -> list[Hit]:
    dense, fusion, weights = embedded
    relative = wanted.mode == Mode.HYBRID  # the scores of what is seen must not depend on what is hidden
    met: set[str] = set()
    hidden: set[str] = set()
    seen: list[Hit] = []
    for number in range(ROUNDS):
        # where much is hidden, few hits would hide the rest one by one
        asked = wanted if number == 0 else replace(wanted, limit=max(wanted.limit, WIDE))
        hits = await resources.index.search(
            place.collection,
            asked,
            dense=dense,
            fusion=fusion,
            weights=weights,
            without=hidden,
            passed=passed,
        )
        met |= {hit.payload["generation"] for hit in hits}
        live = await resources.db.peek(_live, account_id, met)
        seen = [hit for hit in hits if hit.payload["generation"] in live]
        enough = len(seen) >= wanted.limit and not relative
        if hidden.isdisjoint(live) and (len(seen) == len(hits) or enough):
            break
        hidden = met - live  # what was hidden may be what is seen now
    return seen[: wanted.limit]


async def _require_models(resources: Resources, wanted: Wanted, account_id: UUID) -> None:
    """Raise where the embedding model being away may be why nothing has been stored yet."""
    if wanted.mode == Mode.KEYWORD:
        return
    for model in await resources.db.peek(_models, account_id, wanted.datasources):
        await resources.embedders.space(model)


async def _embedded(resources: Resources, wanted: Wanted, place: _Place) -> _Embedded:
    """Embed the query if the mode compares by meaning; return how both halves are fused too."""
    if wanted.mode == Mode.KEYWORD:
        return None, Fusion.NONE, EQUAL_WEIGHTS  # this needs no model
    space = await resources.embedders.space(place.model)
    if space.dimension != place.dimension:
        await resources.db.write(want_reembedding, wanted.datasources)
        raise EmbeddingAwayError(
            f"The embedding model {place.model!r} gives vectors of {space.dimension} dimensions now, and this "
            f"datasource has {place.dimension}; it is embedded again."
        )
    return await space.embedder.embed_query(wanted.query), space.fusion, space.weights


def _common(languages: Iterable[Language]) -> Language:
    """Return the language of all datasources; where they have several, the question itself is looked at."""
    distinct = set(languages)
    return distinct.pop() if len(distinct) == 1 else Language.AUTO


_PLACES: Final = select(
    Datasource.id,
    Datasource.embedding_model,
    Datasource.collection,
    Datasource.dimension,
    Datasource.config,
).where(
    Datasource.id.in_(bindparam("ids", expanding=True)),
    Datasource.account_id == bindparam("account_id"),
    Datasource.deleted_at.is_(None),
)
_LIVE: Final = (
    select(Entry.id, Entry.live_version)
    .join(Datasource, Datasource.id == Entry.datasource_id)
    .where(
        Entry.id.in_(bindparam("ids", expanding=True)),
        Entry.account_id == bindparam("account_id"),
        Entry.deleted_at.is_(None),
        Datasource.deleted_at.is_(None),
    )
)


def _places(
    connection: Connection, account_id: UUID, datasources: Sequence[UUID]
) -> dict[_Place, dict[UUID, Language]]:
    """Return where the points are, of which datasources, and their languages; those without any are nowhere."""
    ids = set(datasources)
    rows = connection.execute(_PLACES, {"ids": list(ids), "account_id": account_id}).all()
    if len(rows) < len(ids):
        raise DatasourceNotFoundError(NO_SUCH_DATASOURCE)
    places: dict[_Place, dict[UUID, Language]] = {}
    for id_, model, collection, dimension, config in rows:
        if collection is not None and dimension is not None:
            places.setdefault(_Place(model, collection, dimension), {})[id_] = language_of(config)
    return places


def missing(connection: Connection, account_id: UUID, datasources: Sequence[UUID]) -> list[UUID]:
    """Return those of the datasources that the account has not, in the order given."""
    rows = connection.execute(_PLACES, {"ids": list(set(datasources)), "account_id": account_id})
    known = {row.id for row in rows}
    return [id_ for id_ in datasources if id_ not in known]


def _models(connection: Connection, account_id: UUID, datasources: Sequence[UUID]) -> set[str]:
    rows = connection.execute(_PLACES, {"ids": list(set(datasources)), "account_id": account_id})
    return {row.embedding_model for row in rows}


def _live(connection: Connection, account_id: UUID, generations: set[str]) -> set[str]:
    """Return those of the generations that may be seen now."""
    ids = {UUID(name.partition(":")[0]) for name in generations}
    rows = connection.execute(_LIVE, {"ids": list(ids), "account_id": account_id})
    return {generation(id_, version) for id_, version in rows if version is not None} & generations


def _found(hit: Hit, copies: Sequence[Hit] = ()) -> Found:
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
        copies=[_found(copy) for copy in copies[:COPIES]],
        copies_count=len(copies),
    )
