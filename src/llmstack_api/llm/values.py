"""Reads the JSON of model servers strictly and within bounds; what is not as it should be is a ValueError."""

import re
from typing import Any, Final, cast

import orjson

from llmstack_api.engine.ports import MAX_TOKENS, Json, JsonObject

MAX_CHOICES: Final = 128
"""Most choices of one answer, and most tool calls of a choice; OpenAI's own limits."""

_SMALL: Final = 65_536
_MAX_OBJECTS: Final = 50_000
"""Most objects and arrays of one event, or of an answer in one piece."""

_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


class NonsenseError(ValueError):
    """A value that is not what an answer is made of."""


def loads(data: bytes) -> Json:
    """Read JSON; what stands for no character becomes U+FFFD."""
    if len(data) > _SMALL and data.count(b"{") + data.count(b"[") > _MAX_OBJECTS:
        raise NonsenseError  # before it is parsed: objects take many times the bytes that they are written in
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return orjson.loads(_harmless(data))


def as_object(value: Json) -> JsonObject:
    """Take an object."""
    if type(value) is not dict:
        raise NonsenseError
    return cast("JsonObject", value)


def as_list(value: Json) -> list[Any]:
    """Take a list of choices, calls or parts."""
    if type(value) is not list or len(cast("list[Any]", value)) > MAX_CHOICES:
        raise NonsenseError
    return cast("list[Any]", value)


def as_text(value: Json) -> str:
    """Take a text."""
    if type(value) is not str:
        raise NonsenseError
    return value


def as_index(value: Json) -> int:
    """Take the place of a choice or a call."""
    if type(value) is not int or not 0 <= value < MAX_CHOICES:
        raise NonsenseError
    return value


def as_count(value: Json) -> int | None:
    """Take a number of tokens; None where it is none."""
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else None


def _harmless(data: bytes) -> str:
    """Put U+FFFD where bytes or escapes stand for no character, which would break every later encoding."""
    return _ESCAPE.sub(
        lambda escape: r"\ufffd" if escape[1] else escape[0], data.decode("utf-8", errors="replace")
    )
