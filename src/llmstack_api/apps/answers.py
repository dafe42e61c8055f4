"""Writes apps as the API answers them: as their authors wrote them, with the defaults filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import cast

import orjson

from llmstack_api.apps.service import StoredApp
from llmstack_api.apps.templates import Template, needs_of
from llmstack_api.engine.plan import Registry
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.strict import is_absent
from llmstack_api.errors import Fault


def app_json(app: StoredApp) -> JsonObject:
    """Return an app as the API answers it, defaults filled in."""
    return {
        "uuid": str(app.id),
        "version": app.version,
        "created_at": app.created_at,
        "updated_at": app.updated_at,
        **_with_defaults(app.definition),
    }


def saved_app_json(app: StoredApp, warnings: Sequence[Fault]) -> JsonObject:
    """Return an app as the API answers a save."""
    return {**app_json(app), "warnings": [{"loc": item.loc, "msg": item.msg} for item in warnings]}


def template_json(template: Template, registry: Registry) -> JsonObject:
    """Return a template as the API answers it."""
    filled = _with_defaults(template.definition)
    return {
        "slug": template.slug,
        "name": filled["name"],
        "description": filled.get("description", ""),
        "type_slug": filled["type_slug"],
        "needs": asdict(needs_of(template.definition, registry)),
        "input_fields": filled["input_fields"],
        "definition": template.definition,
    }


def dump(value: Json) -> bytes:
    """Write an answer's body."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


def _with_defaults(definition: JsonObject) -> JsonObject:
    filled = _filled(definition, {"type_slug": "web", "config": {}, "input_fields": [], "processors": []})
    filled["input_fields"] = [
        _filled(item, {"title": item["name"], "type": "string", "required": False})
        for item in cast("list[JsonObject]", filled["input_fields"])
    ]
    filled["processors"] = [
        _filled(item, {"id": f"_inputs{position}", "input": {}, "config": {}, "on_error": "fail"})
        for position, item in enumerate(cast("list[JsonObject]", filled["processors"]), start=1)
    ]
    return filled


def _filled(part: JsonObject, defaults: Mapping[str, Json]) -> JsonObject:
    return {**part, **{key: value for key, value in defaults.items() if is_absent(part.get(key))}}
