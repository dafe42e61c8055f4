"""Compiles a definition into a plan that can run, or into every reason why it cannot."""

from collections.abc import Iterable
from typing import Any, cast

from llmstack_api.engine.agents import compile_agent
from llmstack_api.engine.definition import AppDefinition, Findings, Reference
from llmstack_api.engine.names import AgentNames, ChainNames
from llmstack_api.engine.plan import Plan, Registry, StepPlan
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.reading import read_definition
from llmstack_api.engine.shapes import shape_of
from llmstack_api.engine.steps import AGENT_PROCESSOR, compile_step, find_kind, name_of, references_in
from llmstack_api.engine.template import Use, ValueTemplate, compile_value


def compile_app(raw: Json, registry: Registry) -> tuple[Plan | None, Findings]:
    """Check a definition as a whole; the plan is None exactly when there are faults."""
    findings = Findings()
    definition = read_definition(raw, findings)
    if definition is not None and definition.is_agent and AGENT_PROCESSOR not in registry:
        findings.fault("type_slug", "no processor here can be an agent")
        definition = None
    if definition is None:
        return None, findings
    compile_ = _compile_agent if definition.is_agent else _compile_chain
    steps, outputs = compile_(definition, registry, findings)
    if findings.faults:
        return None, findings
    return Plan(
        name=definition.name,
        input_fields=tuple(definition.input_fields),
        steps=steps,
        outputs=outputs,
        is_agent=definition.is_agent,
    ), findings


_Compiled = tuple[tuple[StepPlan, ...], tuple[tuple[str, ValueTemplate], ...]]


def _compile_chain(definition: AppDefinition, registry: Registry, findings: Findings) -> _Compiled:
    kinds = [registry.get(name_of(step)) for step in definition.processors]
    names = ChainNames(definition, (kind and shape_of(kind.Output) for kind in kinds))
    steps: list[StepPlan] = []
    for index, item in enumerate(definition.processors):
        kind = find_kind(item, index, registry, findings)
        step, uses = compile_step(item, index, kind, item.input, findings)
        names.check(uses, index, findings)
        if step is not None:
            steps.append(step)
    outputs: list[tuple[str, ValueTemplate]] = []
    for key, template, uses in _outputs(definition, findings):
        names.check(uses, len(definition.processors), findings)
        outputs.append((key, template))
    return tuple(steps), tuple(outputs)


def _compile_agent(definition: AppDefinition, registry: Registry, findings: Findings) -> _Compiled:
    agent = compile_agent(definition, registry, findings)
    names = AgentNames(definition)
    outputs: list[tuple[str, ValueTemplate]] = []
    for key, template, uses in _outputs(definition, findings):
        names.check_output(uses, shape_of(agent.processor.Output), findings)
        outputs.append((key, template))
    return (agent,), tuple(outputs)


def _outputs(
    definition: AppDefinition, findings: Findings
) -> Iterable[tuple[str, ValueTemplate, tuple[Use, ...]]]:
    for key, value in definition.output_keys().items():
        loc = f"output.{key}" if definition.output is not None else "output_template.markdown"
        yield key, *compile_value(value, loc, findings)


def apps_named_in(raw: JsonObject, registry: Registry) -> set[str]:
    """Return the ids of other apps that a saved definition runs, without compiling it."""
    found: list[Reference] = []
    for index, step in enumerate(cast("list[Any]", raw.get("processors") or [])):
        kind = registry.get(f"{step.get('provider_slug')}/{step.get('processor_slug')}")
        if kind is not None:
            found += references_in(step.get("config") or {}, kind, f"processors[{index}].config")
    return {reference.id for reference in found if reference.kind == "app"}
