"""Describes apps and processors as JSON Schema."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from inspect import getdoc
from typing import Any

from llmstack_api.engine.definition import FILE_TYPES, InputField
from llmstack_api.engine.files import HOW_TO_WRITE
from llmstack_api.engine.filetypes import VOICE
from llmstack_api.engine.plan import Plan, StepPlan
from llmstack_api.engine.ports import JsonObject
from llmstack_api.engine.processor import FieldPath, Processor
from llmstack_api.engine.shapes import ANYTHING, at, shape_of
from llmstack_api.engine.strict import is_absent
from llmstack_api.engine.template import Constant, Elements, Members, ValueTemplate, Variable

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_DATA_URI = {
    "type": "string",
    "format": "data-url",
    "description": f"The file as a data URI: `{HOW_TO_WRITE}`.",
}
_SCHEMAS: Mapping[str, JsonObject] = {
    "string": {"type": "string"},
    "text": {"type": "string"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "file": _DATA_URI,
    "voice": _DATA_URI,
    "select": {},
    "multi": {"type": ["string", "array", "object"]},
}


def input_schema(fields: Sequence[InputField]) -> JsonObject:
    """Describe the `input` of a run."""
    properties = {field.name: _field_schema(field) for field in fields}
    required = [field.name for field in fields if field.required and is_absent(field.default)]
    return _object(properties, required)


def _field_schema(field: InputField) -> JsonObject:
    schema = {**_SCHEMAS[field.type], "title": field.title or field.name}
    if field.description:
        schema["description"] = field.description
    if field.type in FILE_TYPES:
        schema.update(_file_limits(field))
    if not is_absent(field.default):
        schema["default"] = field.default
    if field.type == "select":
        schema["enum"] = [option.value for option in field.options or ()]
    return schema


def _file_limits(field: InputField) -> JsonObject:
    """Say what JSON Schema has no words for: its `contentMediaType` is that of base64, not of a data URI."""
    accept = field.accept or (VOICE if field.type == "voice" else ())
    limits: JsonObject = {"x-accept": list(accept)} if accept else {}
    if field.max_bytes is not None:
        limits["x-max-bytes"] = field.max_bytes
    return limits


def output_schema(plan: Plan) -> JsonObject:
    """Describe the `output` of a run: a bare variable is what it names, any other template is a string."""
    properties = {key: _value_schema(template, plan) for key, template in plan.outputs}
    return _object(properties, list(properties))


def _object(properties: JsonObject, required: list[str]) -> JsonObject:
    schema: JsonObject = {
        "$schema": DIALECT,
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    return {**schema, "required": required} if required else schema


def _value_schema(template: ValueTemplate, plan: Plan) -> JsonObject:
    match template:
        case Constant(value):
            return {"const": value}
        case Variable(path):
            return _variable_schema(path, plan)
        case Elements(elements):
            items = [_value_schema(element, plan) for element in elements]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
        case Members(members):
            properties = {key: _value_schema(member, plan) for key, member in members}
            return {
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            }
        case _:
            return {"type": "string"}


def _variable_schema(path: FieldPath, plan: Plan) -> JsonObject:
    root, *rest = path
    if root == "_inputs0":
        return _input_variable_schema(rest, plan.input_fields)
    step = _step_named(str(root), plan)
    if step is None:  # an agent's input field, named bare
        return _input_variable_schema(list(path), plan.input_fields)
    schema = at(shape_of(step.processor.Output), rest)
    return _or_null(schema) if step.tolerant else schema


def _input_variable_schema(path: list[str | int], fields: Sequence[InputField]) -> JsonObject:
    if not path:
        return {"type": "object"}
    field = next((field for field in fields if field.name == path[0]), None)
    if field is None:
        return {"const": ""}
    if len(path) > 1:
        return ANYTHING
    schema = _field_schema(field)
    if (
        field.required
        or not is_absent(field.default)
        or (schema.get("type") == "string" and "enum" not in schema)
    ):
        return schema
    return {"anyOf": [schema, {"const": ""}]}  # not set, it renders empty


def _step_named(name: str, plan: Plan) -> StepPlan | None:
    return next((step for step in plan.steps if name in (step.id, f"_inputs{step.index + 1}")), None)


def _or_null(schema: JsonObject) -> JsonObject:
    return {"anyOf": [schema, {"type": "null"}]} if schema else schema


@lru_cache(maxsize=1024)
def describe_processor(kind: type[Processor[Any, Any]]) -> JsonObject:
    """Describe a processor: what it is, and the JSON Schemas of its three sides; not to be changed."""
    return {
        "provider_slug": kind.provider_slug,
        "slug": kind.slug,
        "name": f"{kind.provider_slug}/{kind.slug}",
        "description": (getdoc(kind) or "").partition("\n\n")[0].replace("\n", " "),
        "input": kind.Input.model_json_schema(),
        "config": kind.Config.model_json_schema(),
        "output": kind.Output.model_json_schema(mode="serialization"),
    }
