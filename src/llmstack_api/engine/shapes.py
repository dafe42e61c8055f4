"""The shape of what processors give: JSON Schemas without references, and what stands at a path in them."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import cast

from pydantic import BaseModel

from llmstack_api.engine.definition import listed
from llmstack_api.engine.ports import Json, JsonObject

ANYTHING: JsonObject = {}
_NUMBER: JsonObject = {"type": "integer"}
_ENDS = frozenset({"first", "last"})


class NoSuchFieldError(LookupError):
    """The path leads to nothing; the message says where it went wrong."""


@lru_cache(maxsize=1024)
def shape_of(model: type[BaseModel]) -> JsonObject:
    """Return the JSON Schema of a model with its references written out; not to be changed."""
    schema = model.model_json_schema(mode="serialization")
    return cast("JsonObject", _inlined(schema, schema.get("$defs", {}), ()))


@lru_cache(maxsize=1024)
def input_shape(model: type[BaseModel]) -> JsonObject:
    """Return the JSON Schema of what a model takes, with its references written out; not to be changed."""
    schema = model.model_json_schema()
    return cast("JsonObject", _inlined(schema, schema.get("$defs", {}), ()))


def _inlined(value: Json, definitions: Mapping[str, Json], inside: tuple[str, ...]) -> Json:
    if isinstance(value, list):
        return [_inlined(item, definitions, inside) for item in cast("list[Json]", value)]
    if not isinstance(value, dict):
        return value
    schema = cast("JsonObject", value)
    rest = {
        key: _inlined(item, definitions, inside)
        for key, item in schema.items()
        if key not in {"$defs", "$ref", "discriminator"}
    }
    if not isinstance(reference := schema.get("$ref"), str):
        return rest
    name = reference.rpartition("/")[2]
    if name in inside:
        return rest  # a model that holds itself: from here on anything goes
    return {**_inlined(definitions[name], definitions, (*inside, name)), **rest}


def at(shape: JsonObject, path: Sequence[str | int]) -> JsonObject:
    """Return the shape of what stands at a path, as Liquid follows it; `ANYTHING` where that cannot be told.

    Raises:
        NoSuchFieldError: nothing can ever stand there.
    """
    for segment in path:
        shape = _step(shape, segment)
    return shape


def _step(shape: JsonObject, segment: str | int) -> JsonObject:
    if options := cast("list[JsonObject] | None", shape.get("anyOf") or shape.get("oneOf")):
        return _any_of(options, segment)
    match shape.get("type"):
        case "object":
            return _member(shape, str(segment))
        case "array":
            return _element(shape, segment)
        case "string" if segment == "size":
            return _NUMBER
        case "string" | "number" | "integer" | "boolean" | "null" as kind:
            raise NoSuchFieldError(f"{str(segment)!r} cannot be taken of a {kind}")
        case _:
            return ANYTHING


def _any_of(options: Sequence[JsonObject], segment: str | int) -> JsonObject:
    found: list[JsonObject] = []
    reasons: list[NoSuchFieldError] = []
    for option in options:
        try:
            found.append(_step(option, segment))
        except NoSuchFieldError as error:
            reasons.append(error)
    if not found:
        raise reasons[0]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _member(shape: JsonObject, name: str) -> JsonObject:
    properties = cast("Mapping[str, JsonObject]", shape.get("properties", {}))
    if name in properties:
        return properties[name]
    if shape.get("additionalProperties", True) is not False:
        more = shape.get("additionalProperties")
        return cast("JsonObject", more) if isinstance(more, dict) else ANYTHING
    if name == "size":
        return _NUMBER
    raise NoSuchFieldError(f"there is no field {name!r}; there is {listed(sorted(properties))}")


def _element(shape: JsonObject, segment: str | int) -> JsonObject:
    if segment == "size":
        return _NUMBER
    if isinstance(segment, int) or segment in _ENDS:
        return cast("JsonObject", shape.get("items", ANYTHING))
    raise NoSuchFieldError(f"{segment!r} cannot be taken of an array; write [0], first, last or size")
