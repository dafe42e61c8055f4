"""Answers that follow a JSON Schema: asked for, read while they arrive, checked when they are whole."""

import asyncio
import re
from typing import Annotated, Final, assert_never, cast

import orjson
from pydantic import AfterValidator

from llmstack_api.engine.answer_schema import answer_schema
from llmstack_api.engine.jsonstream import Event, Item, JsonStream, Piece, Value
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.processor import Emit
from llmstack_api.errors import AnswerMismatchError
from llmstack_api.processors.chat import Object

FIELD: Final = "parsed"
"""Output field below which the answer streams."""

_SLICE: Final = 4096
"""Characters that are read before others may run."""

_BEGINNING: Final = 120
_STRICT_KEYWORDS: Final = frozenset({
    "$defs", "$ref", "$schema", "additionalProperties", "anyOf", "const", "description", "enum", "exclusiveMaximum",
    "exclusiveMinimum", "format", "items", "maxItems", "maximum", "minItems", "minimum", "multipleOf", "pattern",
    "properties", "required", "title", "type",
})  # fmt: skip
_STRICT_FORMATS: Final = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"}
)
_STRICT_PROPERTIES: Final = 100
_STRICT_DEPTH: Final = 5
"""Objects inside each other."""


def _checked(schema: JsonObject | None) -> JsonObject | None:
    if schema:
        answer_schema(schema)
    return schema


ResponseSchema = Annotated[Object, AfterValidator(_checked)]
"""A JSON Schema, or its JSON; blank or an empty object is none."""


def response_format(schema: JsonObject) -> JsonObject:
    """Ask for answers of a schema in OpenAI's wire form; strictly, where the schema is one that allows it."""
    name = re.sub(r"\W+", "_", str(schema.get("title") or "response"), flags=re.ASCII)[:64]
    described: JsonObject = {"name": name, "schema": schema}
    if schema.get("type") == "object" and "anyOf" not in schema and _Strictness().allows(schema):
        described["strict"] = True
    return {"type": "json_schema", "json_schema": described}


class _Strictness:
    """Looks whether a schema keeps to what OpenAI's strict mode takes; a request with any other is refused."""

    def __init__(self) -> None:
        self._properties = 0

    def allows(self, schema: Json, depth: int = 0) -> bool:
        """Tell whether a schema may be sent as strict."""
        if not isinstance(schema, dict):
            return False
        fields = cast("JsonObject", schema)
        if not fields.keys() <= _STRICT_KEYWORDS or isinstance(fields.get("items"), list):
            return False
        if fields.get("format", "date") not in _STRICT_FORMATS:
            return False
        properties: JsonObject = fields.get("properties") or {}
        kind = fields.get("type")
        if properties or kind == "object" or (isinstance(kind, list) and "object" in kind):
            depth += 1
            self._properties += len(properties)
            if fields.get("additionalProperties") is not False:
                return False
            if set(fields.get("required") or ()) != properties.keys():
                return False
        if depth > _STRICT_DEPTH or self._properties > _STRICT_PROPERTIES:
            return False
        inner: list[Json] = [
            *properties.values(),
            *(fields.get("anyOf") or ()),
            *(fields.get("$defs") or {}).values(),
        ]
        if "items" in fields:
            inner.append(fields["items"])
        return all(self.allows(part, depth) for part in inner)


class ParsedAnswer:
    """Emits below `parsed` what an answer says, member by member, and checks it at its end."""

    def __init__(self, emit: Emit, schema: JsonObject) -> None:
        self._emit = emit
        self._schema = schema
        self._stream = JsonStream()
        self._beginning = ""

    async def take(self, text: str) -> None:
        """Read more of the answer. What is wrong with it is told at its end: until then it may be looked at."""
        if len(self._beginning) < _BEGINNING:
            self._beginning += text[:_BEGINNING]
        for start in range(0, len(text), _SLICE):
            for event in self._stream.feed(text[start : start + _SLICE]):
                await self._tell(event)
            if start:
                await asyncio.sleep(0)

    async def finish(self, finish_reason: str | None) -> None:
        """Note that the answer is over.

        Raises:
            AnswerMismatchError: it is no JSON, or not what the schema asks for.
        """
        for event in self._stream.finish():
            await self._tell(event)
        if self._stream.failure is not None:
            raise AnswerMismatchError(self._why(self._stream.failure, finish_reason))
        mismatch = answer_schema(self._schema).mismatch(self._stream.value, name=FIELD)
        if mismatch is not None:
            raise AnswerMismatchError(f"The answer does not fit config.response_schema: {mismatch}.")

    def _why(self, failure: str, finish_reason: str | None) -> str:
        what = "The answer is not the JSON that config.response_schema asks for"
        if self._stream.is_cut:
            if finish_reason == "length":
                return f"{what}: it was cut off at max_tokens, before it was whole."
            if finish_reason == "content_filter":
                return f"{what}: the provider's content filter cut it off."
        beginning = " ".join(self._beginning.split())[:_BEGINNING]
        begins = f" It begins: {orjson.dumps(beginning).decode()}" if beginning else ""
        return f"{what}: {failure} (finish reason: {finish_reason}).{begins}"

    async def _tell(self, event: Event) -> None:
        path = (FIELD, *event.path)
        match event:
            case Piece():
                await self._emit.chunk(path, event.text)
            case Item():
                await self._emit.item(path, event.element)
            case Value():
                await self._emit.value(path, event.value)
            case _:
                assert_never(event)
