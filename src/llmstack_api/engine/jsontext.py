"""JSON that people and models write as text, read no deeper than every store and every answer can take it."""

from typing import Final, cast

import orjson

from llmstack_api.engine.ports import Json, JsonObject

MAX_DEPTH: Final = 64
"""Arrays and objects inside each other."""


def read_json(text: str) -> Json:
    """Read a text.

    Raises:
        ValueError: it is no JSON, or nested too deep; the message says which.
    """
    value: Json = orjson.loads(text)
    if text.count("[") + text.count("{") > MAX_DEPTH:
        check_depth(value)
    return value


def check_depth(value: Json) -> None:
    """Look how deep a value is nested.

    Raises:
        ValueError: deeper than is read.
    """
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise ValueError(f"the JSON is nested deeper than {MAX_DEPTH} levels")


def _children(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return list(cast("JsonObject", value).values())
    return cast("list[Json]", value) if isinstance(value, list) else []
