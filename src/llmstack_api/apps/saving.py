"""Saves definitions: checked off the loop and off the database, then written in one short transaction."""

import asyncio
from typing import cast
from uuid import UUID
from weakref import WeakValueDictionary

import orjson
from anyio import to_thread

from llmstack_api.apps import service
from llmstack_api.apps.answers import app_json, dump
from llmstack_api.apps.references import check_references
from llmstack_api.apps.service import StoredApp
from llmstack_api.egress import check_url
from llmstack_api.engine.definition import MAX_FINDINGS, AppDefinition, Findings
from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.reading import APP_WITHOUT_EFFECT
from llmstack_api.engine.strict import is_absent
from llmstack_api.errors import (
    AddressRefusedError,
    BodyTooLargeError,
    ConflictError,
    Fault,
    InvalidDefinitionError,
)
from llmstack_api.resources import Resources

MAX_DEFINITION_BYTES = 1024 * 1024
"""Largest definition, as JSON."""

ATTEMPTS = 5
"""How often a change is made again on a version that somebody else saved meanwhile."""

_ALTERNATIVES = {"output": "output_template", "output_template": "output"}
_REMOVABLE = APP_WITHOUT_EFFECT.union(
    name for name, field in AppDefinition.model_fields.items() if not field.is_required()
)

SERVER_KEYS = ("uuid", "version", "created_at", "updated_at")

Warnings = tuple[Fault, ...]

_changing: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
"""Changes of one app take turns in this process; those of other replicas are found out by the version."""


async def check(
    definition: Json, resources: Resources, *, account_id: UUID, app_id: UUID | None = None
) -> Warnings:
    """Check a definition as a whole; return what in it has no effect. `app_id` is the app that it will be.

    Raises:
        BodyTooLargeError: it is larger than a definition may be.
        InvalidDefinitionError: it cannot run; every fault is named.
    """
    findings = await to_thread.run_sync(_compile, definition, resources)
    if findings.references:
        findings.faults += await resources.db.read(
            check_references,
            findings.references[:MAX_FINDINGS],
            account_id=account_id,
            app_id=app_id,
            registry=resources.registry,
        )
    if findings.faults:
        first = findings.faults[0]
        raise InvalidDefinitionError(
            f"{first.loc}: {first.msg}" if first.loc else first.msg, faults=tuple(findings.faults)
        )
    return tuple(findings.warnings)


def _compile(definition: Json, resources: Resources) -> Findings:
    check_size(len(orjson.dumps(definition)))
    _, findings = compile_app(definition, resources.registry)
    for loc, address in findings.addresses:
        try:
            check_url(address, resources.egress)
        except AddressRefusedError as error:
            findings.fault(loc, str(error))
    return findings


def check_size(size: int) -> None:
    """Refuse what is larger than a definition may be."""
    if size > MAX_DEFINITION_BYTES:
        raise BodyTooLargeError(f"An app definition has at most {MAX_DEFINITION_BYTES} bytes.")


async def change_app(
    resources: Resources, changes: Json, *, account_id: UUID, app_id: UUID
) -> tuple[StoredApp, Warnings]:
    """Change keys of a definition; what changes makes a new version.

    Raises:
        ConflictError: others changed the app all the time.
    """
    async with _changing.setdefault(app_id, asyncio.Lock()):
        return await _change_app(resources, changes, account_id=account_id, app_id=app_id)


async def _change_app(
    resources: Resources, changes: Json, *, account_id: UUID, app_id: UUID
) -> tuple[StoredApp, Warnings]:
    db = resources.db
    for _ in range(ATTEMPTS):
        current = await db.read(service.get_app, account_id=account_id, app_id=app_id)
        definition = changed(current.definition, _without_servers_keys(changes, current))
        warnings = await check(definition, resources, account_id=account_id, app_id=app_id)
        if _canonical(definition) == _canonical(current.definition):
            return current, warnings
        saved = await db.write(
            service.add_version,
            account_id=account_id,
            app_id=app_id,
            base=current.version,
            definition=cast("JsonObject", definition),
        )
        if saved is not None:
            return saved, warnings
    raise ConflictError("The app is being changed by others at the same time; try again.", retry_after=1)


def _without_servers_keys(changes: Json, current: StoredApp) -> Json:
    """Leave out what a client got from us and sends back as it was."""
    if not isinstance(changes, dict):
        return changes
    ours: JsonObject = orjson.loads(dump(app_json(current)))
    return {
        key: value
        for key, value in cast("JsonObject", changes).items()
        if key not in SERVER_KEYS or ours.get(key) != value
    }


def changed(definition: JsonObject, changes: Json) -> Json:
    """Return a definition with keys replaced; null and the empty string take an optional one away.

    Giving one of `output` and `output_template` takes the other away.
    """
    if not isinstance(changes, dict):
        return changes
    given = cast("JsonObject", changes)
    result = dict(definition)
    for key, other in _ALTERNATIVES.items():
        if not is_absent(given.get(key)) and other not in given:
            result.pop(other, None)
    for key, value in given.items():
        if is_absent(value) and key in _REMOVABLE:
            result.pop(key, None)
        else:
            result[key] = value
    return result


def _canonical(definition: Json) -> bytes:
    return orjson.dumps(definition, option=orjson.OPT_SORT_KEYS)
