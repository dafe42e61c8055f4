"""The port `Retriever` over the datasources of one account."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from llmstack_api.datasources.search import Found, SeveralPlacesError, missing, search
from llmstack_api.engine.ports import JsonObject, Passage
from llmstack_api.errors import (
    DatasourceNotFoundError,
    EmbeddingRefusedError,
    InvalidFilterError,
    ProcessorInputError,
    ProviderRefusedError,
    RetrievalAwayError,
    UnavailableError,
)
from llmstack_api.resources import Resources
from llmstack_api.vectors.filter_text import parse_filter_text
from llmstack_api.vectors.filter_tree import parse_filters
from llmstack_api.vectors.filters import Filter
from llmstack_api.vectors.index import Mode, Wanted
from llmstack_api.vectors.store import RRF_K

MAX_QUERY: Final = 8192
"""Characters of a query that are searched for; what follows is left out."""

FILTERS: Final = "config.search_filters"


@dataclass(frozen=True, slots=True)
class DatasourceRetriever:
    """Searches datasources of an account, of one embedding model or of several."""

    resources: Resources
    account_id: UUID

    async def search(
        self,
        query: str,
        *,
        datasources: Sequence[str],
        limit: int,
        filters: str | JsonObject | None = None,
        vector_weight: float | None = None,
    ) -> list[Passage]:
        """See `Retriever`.

        Besides what the port names it raises `ProviderRefusedError` where the embedding model refuses, or is not
        configured any more.
        """
        parsed = None if filters is None else _parse(filters)
        ids = _ids(datasources)
        if not ids or not query.strip():
            return []
        mode = Mode.KEYWORD if vector_weight == 0 else Mode.SEMANTIC if vector_weight == 1 else Mode.HYBRID
        wanted = Wanted(
            query=query[:MAX_QUERY],
            datasources=ids,
            limit=limit,
            mode=mode,
            filters=parsed,
            semantic_ratio=vector_weight if mode is Mode.HYBRID else None,
        )
        try:
            found = await self._search(wanted)
        except DatasourceNotFoundError as error:
            raise ProcessorInputError(await self._unknown(ids)) from error
        except EmbeddingRefusedError as error:
            raise ProviderRefusedError(str(error)) from error
        except UnavailableError as error:
            raise RetrievalAwayError(str(error), retry_after=error.retry_after) from error
        return [_passage(each) for each in found]

    async def _search(self, wanted: Wanted) -> list[Found]:
        try:
            return await search(self.resources, wanted, account_id=self.account_id)
        except SeveralPlacesError as error:
            groups = [replace(wanted, datasources=group) for group in error.groups]
        found = [await search(self.resources, group, account_id=self.account_id) for group in groups]
        return _merged(found, wanted.limit)

    async def _unknown(self, ids: Sequence[UUID]) -> str:
        try:
            unknown = await self.resources.db.peek(missing, self.account_id, ids)
        except UnavailableError as error:
            raise RetrievalAwayError(str(error), retry_after=error.retry_after) from error
        return _no_such(", ".join(map(str, unknown or ids)))


def _ids(datasources: Sequence[str]) -> list[UUID]:
    ids: dict[UUID, None] = {}
    for name in datasources:
        try:
            ids[UUID(name)] = None
        except ValueError:
            raise ProcessorInputError(_no_such(repr(name[:100]))) from None
    return list(ids)


def _no_such(names: str) -> str:
    return f"config.datasource: this account has no such datasource: {names}."


def _parse(filters: str | JsonObject) -> Filter:
    try:
        if isinstance(filters, str):
            return parse_filter_text(filters, loc=FILTERS)
        return parse_filters(filters, loc=FILTERS)
    except InvalidFilterError as error:
        raise ProcessorInputError(str(error), faults=error.faults) from None


def _merged(groups: Sequence[list[Found]], limit: int) -> list[Found]:
    """Merge by rank, as scores of several models do not compare: first all that come first, and so on."""
    ranked = [
        replace(found, score=1 / (RRF_K + rank)) for group in groups for rank, found in enumerate(group)
    ]
    return sorted(ranked, key=lambda found: -found.score)[:limit]


def _passage(found: Found) -> Passage:
    return Passage(
        content=found.content,
        source=str(found.metadata["source"]),
        score=found.score,
        metadata=found.metadata,
        datasource=str(found.datasource_id),
        entry=str(found.entry_id),
    )
