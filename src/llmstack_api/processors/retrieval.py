"""What the processors that search share: fields of their configs, and how passages are shown to a model."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, cast

from pydantic import AfterValidator, BeforeValidator, Field

from llmstack_api.engine.ports import Json, JsonObject, Passage
from llmstack_api.errors import InvalidFilterError
from llmstack_api.vectors.filter_text import parse_filter_text
from llmstack_api.vectors.filter_tree import parse_filters
from llmstack_api.vectors.filters import Filter, Group

MAX_PASSAGES: Final = 100
"""Passages that one search returns at most."""

MAX_DATASOURCES: Final = 100
"""Datasources that one search looks into at most."""

SHORTEST_CUT: Final = 200
"""Characters that are left of a passage which is cut; less is left out."""


def _as_names(value: Json) -> Json:
    """Take one name, or a list in which blank ones are none; each counts once."""
    names = cast("list[Any]", value) if isinstance(value, list) else [value]
    given = [name.strip() if isinstance(name, str) else name for name in names if name is not None]
    return list(dict.fromkeys(given)) if all(isinstance(name, str) for name in given) else given


def _without_blank(names: list[str]) -> list[str]:
    return [name for name in names if name]


def _as_filter(value: Json) -> Json:
    return None if isinstance(value, str) and not value.strip() else value


def _parsed(value: str | JsonObject | None) -> str | JsonObject | None:
    """Refuse a filter that cannot be understood; it is searched with as it was written."""
    try:
        if isinstance(value, str):
            parse_filter_text(value)
        elif value is not None:
            parse_filters(value)
    except InvalidFilterError as error:
        places = (f"{fault.loc.partition('filters')[2].lstrip('.')}: {fault.msg}" for fault in error.faults)
        raise ValueError("; ".join(place.removeprefix(": ") for place in places)) from None
    return value


Datasources = Annotated[
    list[str],
    BeforeValidator(_as_names, json_schema_input_type=str | list[str]),
    AfterValidator(_without_blank),
    Field(max_length=MAX_DATASOURCES),
]
"""Ids of datasources; one alone may stand without brackets."""

Filters = Annotated[str | JsonObject | None, BeforeValidator(_as_filter), AfterValidator(_parsed)]
"""A metadata filter, as a line of text or as a JSON tree; null and blank are none."""

Ratio = Annotated[float | None, Field(ge=0, le=1)]
"""Weight of the search by meaning."""


def united(*names: Sequence[str]) -> list[str]:
    """Join lists of datasources; each counts once."""
    return list(dict.fromkeys(name for group in names for name in group))


def both(first: str | JsonObject | None, second: str | JsonObject | None) -> str | JsonObject | None:
    """Return the filter that holds where both do."""
    if first is None or second is None:
        return second if first is None else first
    return {"type": "and", "filters": [_tree(first), _tree(second)]}


def _tree(value: str | JsonObject) -> JsonObject:
    return _written(parse_filter_text(value)) if isinstance(value, str) else value


def _written(wanted: Filter) -> JsonObject:
    """Write a filter as a JSON tree."""
    if isinstance(wanted, Group):
        return {"type": wanted.kind.value, "filters": [_written(each) for each in wanted.filters]}
    return {"type": wanted.operator.value, "key": wanted.key, "value": wanted.value}


def within(passages: Sequence[Passage], budget: int) -> list[Passage]:
    """Return the best passages that fit into so many characters; the last of them may be cut."""
    kept: list[Passage] = []
    for passage in passages:
        if len(passage.content) > budget:
            if budget >= SHORTEST_CUT:
                kept.append(replace(passage, content=passage.content[:budget]))
            break
        kept.append(passage)
        budget -= len(passage.content)
    return kept


def one_line(text: str) -> str:
    """Return a text without line breaks."""
    return " ".join(text.split())
