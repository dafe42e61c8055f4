"""Values as apps give them to processors: JSON or its text, templates that a processor fills itself."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar, cast

import orjson
from pydantic import BeforeValidator, InstanceOf, WithJsonSchema

from llmstack_api.engine.jsontext import read_json
from llmstack_api.engine.liquid import Budget
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.processor import Emit, FieldPath
from llmstack_api.engine.template import OwnTemplate

PIECE: Final = 16_384
"""Characters of a text that are emitted at once."""

LARGE: Final = 262_144
"""Bytes or characters from which on data is worked on in a thread."""

MAX_OBJECTS: Final = 100_000
"""Most objects and arrays in JSON that is read; they take many times the bytes that they are written in."""

_SMALL: Final = 65_536

_Data = TypeVar("_Data", str, bytes)
_Result = TypeVar("_Result")


async def aside(work: Callable[[_Data], _Result], data: _Data) -> _Result:
    """Work on data where it holds up nobody: in a thread, if there is much of it."""
    return await asyncio.to_thread(work, data) if len(data) > LARGE else work(data)


def read_body(content: bytes) -> Json:
    """Read a body as JSON; None where it is none, or has more objects than are read."""
    if len(content) > _SMALL and content.count(b"{") + content.count(b"[") > MAX_OBJECTS:
        return None
    try:
        return orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        return None


def as_text(value: Json) -> str:
    """Write a value as text: a string as it is, nothing as nothing, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return orjson.dumps(value).decode()


def _text_or_template(value: Json) -> Json:
    return value if isinstance(value, OwnTemplate) else as_text(value)


FilledText = Annotated[
    str | InstanceOf[OwnTemplate],
    BeforeValidator(_text_or_template),
    WithJsonSchema({"type": "string"}),
]
"""A text, or a template with names that the processor fills."""


def _as_list(value: Json) -> Json:
    """Take a list that is written as JSON text; blank is none."""
    if value is None:
        return []
    if not isinstance(value, str):
        return value
    if not value.strip():
        return []
    try:
        return read_json(value)
    except ValueError as error:
        raise ValueError(f"must be a list or its JSON: {error}") from None


JsonList = Annotated[list[Any], BeforeValidator(_as_list)]
"""A list, or its JSON."""


async def fill(value: Json, names: JsonObject, budget: Budget) -> Json:
    """Fill the templates of one's own within a value."""
    if isinstance(value, OwnTemplate):
        return await value.fill(names, budget)
    if isinstance(value, dict):
        members = cast("JsonObject", value)
        return {key: await fill(member, names, budget) for key, member in members.items()}
    if isinstance(value, list):
        return [await fill(element, names, budget) for element in cast("list[Json]", value)]
    return value


async def emit_text(emit: Emit, path: str | FieldPath, text: str) -> None:
    """Emit a text that is there already, in pieces that leave one after the other."""
    for start in range(0, len(text) or 1, PIECE):
        await emit.chunk(path, text[start : start + PIECE])
