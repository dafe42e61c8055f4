"""Lists: a bare array, newest first, with the next page in a `Link` header (RFC 8288)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from pydantic import BeforeValidator
from sqlalchemy import Select

BLANK_IS_ABSENT = BeforeValidator(lambda text: text or None)
"""An empty query parameter is none."""

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted."""

    limit: int
    cursor: UUID | None
    """Id of the last row of the page before."""


async def _page(
    limit: Annotated[
        int,
        BeforeValidator(lambda text: text or DEFAULT_LIMIT),
        Query(ge=1, le=MAX_LIMIT, description="How many rows at most."),
    ] = DEFAULT_LIMIT,
    cursor: Annotated[
        UUID | None,
        BLANK_IS_ABSENT,
        Query(description="Where to go on: taken from the `Link` header of the page before."),
    ] = None,
) -> Page:
    return Page(limit, cursor)


PageDep = Annotated[Page, Depends(_page)]

LINK_HEADER = {
    "Link": {
        "description": 'The next page, if there is one: `<...>; rel="next"` (RFC 8288).',
        "schema": {"type": "string"},
    }
}


class Identified(Protocol):
    """A row with an id."""

    @property
    def id(self) -> Any:  # noqa: ANN401 # a mapped attribute is a UUID on rows only
        """The UUIDv7 that orders it."""
        ...


Row = TypeVar("Row", bound=Identified)
AnySelect = TypeVar("AnySelect", bound=Select[*tuple[Any, ...]])


def newest_first(query: AnySelect, column: Any, page: Page) -> AnySelect:  # noqa: ANN401 # any mapped id
    """Select one row more than the page holds, so that `cut` can tell whether there is a next one."""
    if page.cursor is not None:
        query = query.where(column < page.cursor)
    return query.order_by(column.desc()).limit(page.limit + 1)


def cut(rows: Sequence[Row], page: Page, request: Request, response: Response) -> Sequence[Row]:
    """Return the page's rows; name the next page in the answer's `Link` header."""
    if len(rows) <= page.limit:
        return rows
    rows = rows[: page.limit]
    lead_on(page, rows[-1].id, request, response)
    return rows


def lead_on(page: Page, last: object, request: Request, response: Response) -> None:
    """Name the page after the row `last` in the answer's `Link` header."""
    query = {**request.query_params, "limit": str(page.limit), "cursor": str(last)}
    response.headers["Link"] = f'<{request.url.path}?{urlencode(query)}>; rel="next"'
