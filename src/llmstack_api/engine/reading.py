"""Reads a raw definition: every fault of its shape at once, and a warning for what is kept without effect."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, cast

from pydantic import ValidationError

from llmstack_api.engine.bounds import is_within_bounds
from llmstack_api.engine.definition import (
    AGENT,
    FILE_TYPES,
    NAME_LENGTH,
    AppDefinition,
    Findings,
    InputField,
    known_keys,
    message,
    place,
)
from llmstack_api.engine.inputs import value_fault
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.strict import is_absent

RESERVED_KEYS = frozenset({"session", "run", "errors", "done"})
"""Keys of the stream itself; no output key may be named so."""

STEP_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
POSITIONAL_ID = re.compile(r"_inputs([0-9]*)")
LIQUID_WORDS = frozenset({"true", "false", "nil", "null", "empty", "blank"})
STAND_IN = "?"
"""What a required name is taken for where the given one is refused, so that the rest can still be checked."""

_SECRET_KEY = re.compile(r"(.*[_-])?api[_-]?key", re.IGNORECASE)
_KEY_REFUSED = (
    "a definition holds no secret: set the key in the provider's settings (LLMSTACK_<PROVIDER>_API_KEY)"
)
_SCHEMA = "response_schema"
"""What describes an answer: a key in it names a member, and holds nothing."""

_IDLE = "kept, but it has no effect here"

APP_WITHOUT_EFFECT = frozenset({
    "slug", "icon", "category_slugs", "categories", "web_config", "twilio_config", "slack_config",
    "discord_config", "data_transformer", "example_input", "suggestions", "is_published", "logo",
    "visibility", "is_public", "template", "app_type", "app_type_name", "app_type_slug", "store_uuid",
    "last_modified_by_email", "read_accessible_by", "write_accessible_by", "access_permission",
    "unique_processors", "has_live_version",
})  # fmt: skip
STEP_WITHOUT_EFFECT = frozenset({
    "icon", "slug", "dependencies", "allowed_processors", "is_published", "input_fields",
})  # fmt: skip
FIELD_WITHOUT_EFFECT = frozenset({
    "placeholder", "stream", "help", "widget", "multiline", "allow_multiple_files", "allowFiles",
    "filesMultiple",
})  # fmt: skip
TEMPLATE_WITHOUT_EFFECT = frozenset({"jsonpath", "type", "a2ui", "layout"})

_Loc = tuple[str | int, ...]


def read_definition(raw: Json, findings: Findings) -> AppDefinition | None:
    """Check the shape of a definition; None where it is too broken to look further.

    Where only parts are wrong, those are left out of what is returned, so that the rest can still be checked.
    """
    if not isinstance(raw, dict):
        findings.fault("", "an app definition is an object")
        return None
    given = cast("JsonObject", raw)
    if not is_within_bounds(given, findings):
        return None
    _refuse_secrets({key: value for key, value in given.items() if key != "output"}, "", findings)
    known = _without_idle_fields(given, findings)
    try:
        definition = AppDefinition.model_validate(known)
    except ValidationError as error:
        items = error.errors(include_url=False, include_input=False)
        for item in items:
            if not findings.full:
                _report(item, findings)
        if findings.full:
            return None
        definition = _salvaged(known, [item["loc"] for item in items])
    if definition is not None:
        _check_output(definition, known, findings)
        _check_inputs(definition.input_fields, findings)
        _check_steps(definition, findings)
    return definition


def is_secret_key(key: object) -> bool:
    """Tell whether a key is one under which a secret would be kept."""
    return isinstance(key, str) and _SECRET_KEY.fullmatch(key) is not None


def _refuse_secrets(value: Json, loc: str, findings: Findings) -> None:
    if isinstance(value, dict):
        for key, member in cast("JsonObject", value).items():
            where = f"{loc}.{key}" if loc else key
            if is_secret_key(key) and not is_absent(member):
                findings.fault(where, _KEY_REFUSED)
            elif key != _SCHEMA:
                _refuse_secrets(member, where, findings)
    elif isinstance(value, list):
        for index, member in enumerate(cast("list[Json]", value)):
            _refuse_secrets(member, f"{loc}[{index}]", findings)


def _report(item: Mapping[str, Any], findings: Findings) -> None:
    loc: _Loc = item["loc"]
    if loc and is_secret_key(loc[-1]):
        return
    findings.fault(place(loc), message(item, known_keys(AppDefinition, loc)))


# --- what is left of a faulty definition -----------------------------------------------------------------


def _salvaged(known: JsonObject, faulty: Sequence[_Loc]) -> AppDefinition | None:
    """Validate again with every faulty part taken out, or a stand-in for it where it is required."""
    left = dict(known)
    for key in ("processors", "input_fields"):
        if (key,) in faulty:
            return None
        if key in left:
            left[key] = [copy(part) for part in cast("list[Json]", left[key])]
    for loc in faulty:
        _mend(left, loc)
    try:
        return AppDefinition.model_validate(left)
    except ValidationError:
        return None


def _mend(left: JsonObject, loc: _Loc) -> None:
    match loc:
        case ("processors", int(index)):
            left["processors"][index] = {"provider_slug": STAND_IN, "processor_slug": STAND_IN}
        case ("processors", int(index), ("provider_slug" | "processor_slug") as key):
            left["processors"][index][key] = STAND_IN
        case ("input_fields", int(index)) | ("input_fields", int(index), "name"):
            left["input_fields"][index] = {"name": f"{STAND_IN}{index}"}
        case ("processors" | "input_fields" as key, int(index), str(part), *_):
            left[key][index].pop(part, None)
        case ("name",):
            left["name"] = STAND_IN
        case _:
            left.pop(str(loc[0]), None)


# --- what has no effect ----------------------------------------------------------------------------------


def _without_idle_fields(raw: JsonObject, findings: Findings) -> JsonObject:
    """Take upstream's fields without a meaning here out of what is validated, each with a warning."""
    kept = _strip(raw, APP_WITHOUT_EFFECT, "", findings)
    for key, idle in (("processors", STEP_WITHOUT_EFFECT), ("input_fields", FIELD_WITHOUT_EFFECT)):
        parts = kept.get(key)
        if isinstance(parts, list):
            kept[key] = [
                _strip(part, idle, f"{key}[{index}].", findings)
                for index, part in enumerate(cast("list[Json]", parts))
            ]
    kept["output_template"] = _strip(
        kept.get("output_template"), TEMPLATE_WITHOUT_EFFECT, "output_template.", findings
    )
    config = kept.get("config")
    if isinstance(config, dict) and kept.get("type_slug") != "agent":  # an agent's are judged as a step's
        for key in cast("JsonObject", config):
            findings.warn(f"config.{key}", _IDLE)
    return kept


def _strip(part: Json, idle: frozenset[str], prefix: str, findings: Findings) -> Json:
    if not isinstance(part, dict):
        return part
    given = cast("JsonObject", part)
    for key in given:
        if key in idle:
            findings.warn(f"{prefix}{key}", _IDLE)
    return {key: value for key, value in given.items() if key not in idle}


# --- what the shape cannot say ---------------------------------------------------------------------------


def _check_output(definition: AppDefinition, known: JsonObject, findings: Findings) -> None:
    forms = [key for key in ("output", "output_template") if not is_absent(known.get(key))]
    if len(forms) > 1:
        findings.fault("output", "give either output or output_template, not both")
    if not forms and not definition.is_agent:
        findings.fault("output", "missing: give output (keys and their templates) or output_template")
    for key in definition.output or {}:
        if key in RESERVED_KEYS:
            findings.fault(
                f"output.{key}", f"reserved for the stream itself: {', '.join(sorted(RESERVED_KEYS))}"
            )
        elif not 0 < len(key) <= NAME_LENGTH:
            findings.fault(f"output.{key[:40]}", f"an output key has 1 to {NAME_LENGTH} characters")


def _check_inputs(fields: Sequence[InputField], findings: Findings) -> None:
    for index, name in _repeated(item.name for item in fields):
        findings.fault(f"input_fields[{index}].name", f"{name!r} is declared twice")
    for index, item in enumerate(fields):
        loc = f"input_fields[{index}]."
        if any(fault.loc.startswith(loc) for fault in findings.faults):
            continue
        if item.type == "select" and not item.options:
            findings.fault(f"{loc}options", "a select field needs options: [{label, value}]")
        elif not is_absent(item.default) and (fault := value_fault(item, item.default)):
            findings.fault(f"{loc}default", fault)
        if item.type not in FILE_TYPES and (item.accept or item.max_bytes):
            findings.warn(f"{loc}{'accept' if item.accept else 'max_bytes'}", _IDLE)


def _check_steps(definition: AppDefinition, findings: Findings) -> None:
    for index, name in _repeated(step.id for step in definition.processors):
        findings.fault(f"processors[{index}].id", f"{name!r} is used twice")
    for index, step in enumerate(definition.processors):
        loc = f"processors[{index}]"
        if not STEP_ID.fullmatch(step.id):
            findings.fault(f"{loc}.id", "an id is a letter or _ and then up to 63 letters, digits, _ or -")
        elif step.id in LIQUID_WORDS:
            findings.fault(f"{loc}.id", f"{step.id!r} is a word of Liquid's own")
        elif definition.is_agent and step.id == AGENT:
            findings.fault(f"{loc}.id", f"{AGENT!r} is the agent itself; give the tool another name")
        elif POSITIONAL_ID.fullmatch(step.id) and step.id != f"_inputs{index + 1}":
            findings.fault(f"{loc}.id", f"{step.id!r} names another place; this one is _inputs{index + 1}")
        if step.output_template and not definition.is_agent:
            findings.warn(f"{loc}.output_template", "kept for agents; it has no effect in this app")


def _repeated(names: Iterable[str]) -> Iterator[tuple[int, str]]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield index, name
        seen.add(name)
