"""Compiles an agent: one step that is the model, with the app's processors as its tools."""

from collections.abc import Sequence
from inspect import getdoc
from typing import cast

from llmstack_api.engine.constants import check_values
from llmstack_api.engine.definition import AGENT, AppDefinition, Findings, InputField, StepDefinition
from llmstack_api.engine.names import AgentNames
from llmstack_api.engine.plan import Registry, StepPlan, ToolPlan
from llmstack_api.engine.ports import Json, JsonObject, ToolSpec
from llmstack_api.engine.shapes import input_shape, shape_of
from llmstack_api.engine.steps import AGENT_PROCESSOR, Kind, compile_step, find_kind, look_around
from llmstack_api.engine.strict import is_absent
from llmstack_api.engine.template import Constant, Use, ValueTemplate, compile_value, is_templated

MAX_TOOLS = 64
"""Tools of one agent; models choose badly among more."""

_TASK = "task"
"""The input field that upstream's agents have."""

_ANYTHING: JsonObject = {}
_OF_TEXT = frozenset({"string", "text", "select", "number", "boolean", "multi"})


def compile_agent(definition: AppDefinition, registry: Registry, findings: Findings) -> StepPlan:
    """Compile an agent and its tools; report what is wrong with either."""
    kind = registry[AGENT_PROCESSOR]
    names = AgentNames(definition)
    config = dict(definition.config)
    if is_absent(config.get("user_message")):
        config["user_message"] = _user_message(definition.input_fields)
        if not config["user_message"]:
            findings.fault("config.user_message", "required where the app has no input field with a text")
    known = check_values(config, kind.Config, "config", findings)
    look_around(config, kind, "config", findings)
    _note_servers(config.get("mcp_servers"), findings)
    template, uses = compile_value(known, "config", findings, trimmed=True)
    names.check(uses, findings, also={}, of="an agent")
    if len(definition.processors) > MAX_TOOLS:
        findings.fault("processors", f"an agent has at most {MAX_TOOLS} tools")
    tools = [
        _compile_tool(item, index, registry, names, findings)
        for index, item in enumerate(definition.processors[:MAX_TOOLS])
    ]
    return StepPlan(
        id=AGENT,
        index=0,
        loc="",
        processor=kind,
        processor_name=AGENT_PROCESSOR,
        input=Constant({}),
        config=template,
        timeout=None,
        tolerant=False,
        tools=tuple(tool for tool in tools if tool is not None),
    )


def _user_message(fields: Sequence[InputField]) -> str:
    """Make the message of an agent that names none: its task, its one text, or all that was given."""
    texts = [field.name for field in fields if field.type in _OF_TEXT]
    if _TASK in texts or len(texts) == 1:
        return _reference(_TASK if _TASK in texts else texts[0])
    return "\n".join(f"{name}: {_reference(name)}" for name in texts if "{" not in name)


def _reference(name: str) -> str:
    quote = '"' if "'" in name else "'"
    return f"{{{{_inputs0[{quote}{name}{quote}]}}}}"


def _note_servers(servers: Json, findings: Findings) -> None:
    if not isinstance(servers, list):
        return
    for index, server in enumerate(cast("list[Json]", servers)):
        url: Json = cast("JsonObject", server).get("url") if isinstance(server, dict) else None
        if isinstance(url, str) and url.strip() and not is_templated(url):
            findings.addresses.append((f"config.mcp_servers[{index}].url", url.strip()))


def _compile_tool(
    item: StepDefinition, index: int, registry: Registry, names: AgentNames, findings: Findings
) -> ToolPlan | None:
    kind = find_kind(item, index, registry, findings)
    fixed = {key: value for key, value in item.input.items() if not _is_blank(value)}
    step, uses = compile_step(item, index, kind, fixed, findings, partial=True)
    told, told_uses = _compile_told(item, index, findings)
    if kind is None or step is None:
        return None
    arguments = set(kind.Input.model_fields)
    names.check(uses, findings, also=dict.fromkeys(arguments, _ANYTHING), of="the input of a tool")
    shape = shape_of(kind.Output)
    own = cast("dict[str, JsonObject]", shape.get("properties", {}))
    names.check(told_uses, findings, also=own, of="the output_template of a tool")
    open_ = arguments - fixed.keys()
    named = {str(use.path[0]) for use in uses} & arguments
    return ToolPlan(
        step=step,
        fixed=frozenset(fixed),
        spec=ToolSpec(
            name=item.id,
            description=_description(item, kind),
            parameters=_parameters(kind, item, open_ | named),
        ),
        told=told,
    )


def _is_blank(value: Json) -> bool:
    """Tell whether an editor left a field empty, which leaves it to the model."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or value in ([], {})


def _compile_told(
    item: StepDefinition, index: int, findings: Findings
) -> tuple[ValueTemplate | None, tuple[Use, ...]]:
    loc = f"processors[{index}].output_template"
    markdown = item.output_template.get("markdown")
    for key in item.output_template.keys() - {"markdown"}:
        findings.warn(f"{loc}.{key}", "kept, but it has no effect here")
    if _is_blank(markdown):
        return None, ()
    if not isinstance(markdown, str):
        findings.fault(f"{loc}.markdown", "must be a string")
        return None, ()
    return compile_value(markdown, f"{loc}.markdown", findings)


def _description(item: StepDefinition, kind: Kind) -> str:
    """Say what a tool does: what its author wrote, else what the processor is."""
    named = [text.strip() for text in (item.name, item.description) if text and text.strip()]
    return ": ".join(named) or (getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")


def _parameters(kind: Kind, item: StepDefinition, wanted: set[str]) -> JsonObject:
    """Describe what the model gives, as JSON Schema."""
    shape = input_shape(kind.Input)
    properties = {**cast("dict[str, JsonObject]", shape.get("properties", {})), **kind.shapes(item.config)}
    schema: JsonObject = {
        "type": "object",
        "properties": {name: _untitled(properties[name]) for name in properties if name in wanted},
    }
    if required := [name for name in cast("list[str]", shape.get("required", [])) if name in wanted]:
        schema["required"] = required
    if shape.get("additionalProperties") is True:
        schema["additionalProperties"] = True
    return schema


def _untitled(value: Json) -> Json:
    """Leave out the titles that Pydantic makes of names: they cost tokens and say nothing."""
    if isinstance(value, list):
        return [_untitled(element) for element in cast("list[Json]", value)]
    if not isinstance(value, dict):
        return value
    return {
        key: {name: _untitled(member) for name, member in cast("JsonObject", inner).items()}
        if key == "properties"
        else _untitled(inner)
        for key, inner in cast("JsonObject", value).items()
        if not (key == "title" and isinstance(inner, str))
    }
