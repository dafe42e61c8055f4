"""Compiles one step: its processor, and the templates of its input and its config."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, cast

from llmstack_api.engine.constants import check_values
from llmstack_api.engine.definition import Findings, Reference, StepDefinition, listed
from llmstack_api.engine.plan import Registry, StepPlan
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.processor import Processor
from llmstack_api.engine.reading import STAND_IN
from llmstack_api.engine.template import Use, ValueTemplate, compile_value, is_templated

AGENT_PROCESSOR = "builtin/agent"
"""Stands for an agent app itself; no step of an app."""

Kind = type[Processor[Any, Any]]


def name_of(item: StepDefinition) -> str:
    """Return the name of a step's processor."""
    return f"{item.provider_slug}/{item.processor_slug}"


def find_kind(item: StepDefinition, index: int, registry: Registry, findings: Findings) -> Kind | None:
    """Find the processor of a step; report where there is none such."""
    name = name_of(item)
    loc = f"processors[{index}].processor_slug"
    kind = registry.get(name)
    if name == AGENT_PROCESSOR:
        findings.fault(loc, "an agent is an app: set type_slug: agent, and its processors are the tools")
    elif kind is None and not (findings.faults and STAND_IN in (item.provider_slug, item.processor_slug)):
        findings.fault(loc, f"unknown processor {name!r}{_hint(name, registry)}")
    return kind


def _hint(name: str, registry: Registry) -> str:
    known = sorted(registry.keys() - {AGENT_PROCESSOR})
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {listed(known)}"


def compile_step(
    item: StepDefinition,
    index: int,
    kind: Kind | None,
    given: JsonObject,
    findings: Findings,
    *,
    partial: bool = False,
) -> tuple[StepPlan | None, tuple[Use, ...]]:
    """Compile a step with this input, and return what its templates name; no plan where there is no processor.

    With `partial`, more input comes at run.
    """
    loc = f"processors[{index}]."
    values = {"input": given, "config": item.config}
    own: Mapping[str, frozenset[str]] = {}
    if kind is not None:
        config = kind.adapt(item.config)
        values["input"] = check_values(given, kind.Input, f"{loc}input", findings, partial=partial)
        values["config"] = check_values(config, kind.Config, f"{loc}config", findings)
        look_around(config, kind, f"{loc}config", findings)
        own = {"config": kind.own_names}
    templates: dict[str, ValueTemplate] = {}
    uses: tuple[Use, ...] = ()
    for part, value in values.items():
        templates[part], used = compile_value(
            value, f"{loc}{part}", findings, trimmed=True, own=own.get(part, frozenset())
        )
        uses += used
    if kind is None:
        return None, uses
    return StepPlan(
        id=item.id,
        index=index,
        loc=loc,
        processor=kind,
        processor_name=name_of(item),
        input=templates["input"],
        config=templates["config"],
        timeout=item.timeout,
        tolerant=item.on_error == "continue",
    ), uses


def look_around(config: JsonObject, kind: Kind, loc: str, findings: Findings) -> None:
    """Note the addresses and the things of the account that a config names, for others to judge."""
    for key in kind.addresses & config.keys():
        address = config[key]
        if isinstance(address, str) and address.strip() and not is_templated(address):
            findings.addresses.append((f"{loc}.{key}", address.strip()))
    findings.references.extend(references_in(config, kind, loc))


def references_in(config: JsonObject, kind: Kind, loc: str) -> Iterator[Reference]:
    """Give the constant ids in a config."""
    config = kind.adapt(config)
    for key, what in kind.references.items():
        value: Json = config.get(key)
        if isinstance(value, list):
            for position, element in enumerate(cast("list[Json]", value)):
                if _is_constant(element):
                    yield Reference(f"{loc}.{key}[{position}]", what, element.strip())
        elif _is_constant(value):
            yield Reference(f"{loc}.{key}", what, value.strip())


def _is_constant(value: Json) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not is_templated(value)
