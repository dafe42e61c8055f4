"""Compiles a definition into a plan that can run, or into every reason why it cannot."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from llmstack_api.engine.constants import check_values
from llmstack_api.engine.definition import AppDefinition, Findings, InputField, StepDefinition, listed
from llmstack_api.engine.ports import Json
from llmstack_api.engine.processor import Processor
from llmstack_api.engine.reading import POSITIONAL_ID, STAND_IN, read_definition
from llmstack_api.engine.shapes import NoSuchFieldError, at, shape_of
from llmstack_api.engine.template import Use, ValueTemplate, compile_value, is_templated

Registry = Mapping[str, type[Processor[Any, Any]]]
"""Processor classes by `provider_slug/slug`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """One step, ready to run."""

    id: str
    index: int
    processor: type[Processor[Any, Any]]
    processor_name: str
    input: ValueTemplate
    config: ValueTemplate
    timeout: float | None
    tolerant: bool
    """Whether the run goes on when this step fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An app that can run."""

    input_fields: tuple[InputField, ...]
    steps: tuple[StepPlan, ...]
    outputs: tuple[tuple[str, ValueTemplate], ...]


def compile_app(raw: Json, registry: Registry) -> tuple[Plan | None, Findings]:
    """Check a definition as a whole; the plan is None exactly when there are faults."""
    findings = Findings()
    definition = read_definition(raw, findings)
    if definition is None:
        return None, findings
    names = _Names(definition, registry)
    steps = tuple(
        step
        for index, item in enumerate(definition.processors)
        if (step := _compile_step(item, index, registry, names, findings)) is not None
    )
    outputs: list[tuple[str, ValueTemplate]] = []
    for key, value in definition.output_keys().items():
        loc = f"output.{key}" if definition.output is not None else "output_template.markdown"
        template, uses = compile_value(value, loc, findings)
        names.check(uses, len(definition.processors), findings)
        outputs.append((key, template))
    if findings.faults:
        return None, findings
    return Plan(input_fields=tuple(definition.input_fields), steps=steps, outputs=tuple(outputs)), findings


def _compile_step(
    item: StepDefinition, index: int, registry: Registry, names: "_Names", findings: Findings
) -> StepPlan | None:
    loc = f"processors[{index}]"
    name = _name_of(item)
    kind = registry.get(name)
    if kind is None and not (findings.faults and STAND_IN in (item.provider_slug, item.processor_slug)):
        findings.fault(f"{loc}.processor_slug", f"unknown processor {name!r}{_hint(name, registry)}")
    values = {"input": item.input, "config": item.config}
    if kind is not None:
        values["input"] = check_values(item.input, kind.Input, f"{loc}.input", findings)
        values["config"] = check_values(item.config, kind.Config, f"{loc}.config", findings)
        for key in kind.addresses & item.config.keys():
            address = item.config[key]
            if isinstance(address, str) and address.strip() and not is_templated(address):
                findings.addresses.append((f"{loc}.config.{key}", address.strip()))
    templates: dict[str, ValueTemplate] = {}
    for part, value in values.items():
        templates[part], uses = compile_value(value, f"{loc}.{part}", findings, trimmed=True)
        names.check(uses, index, findings)
    if kind is None:
        return None
    return StepPlan(
        id=item.id,
        index=index,
        processor=kind,
        processor_name=name,
        input=templates["input"],
        config=templates["config"],
        timeout=item.timeout,
        tolerant=item.on_error == "continue",
    )


def _name_of(item: StepDefinition) -> str:
    return f"{item.provider_slug}/{item.processor_slug}"


def _hint(name: str, registry: Registry) -> str:
    close = get_close_matches(name, registry, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {listed(sorted(registry))}"


class _Names:
    """What templates may name, and from where."""

    def __init__(self, definition: AppDefinition, registry: Registry) -> None:
        self._inputs = {item.name for item in definition.input_fields}
        self._kinds = [registry.get(_name_of(step)) for step in definition.processors]
        self._steps: dict[str, int] = {}
        for index, step in enumerate(definition.processors):
            self._steps[f"_inputs{index + 1}"] = index
            self._steps.setdefault(step.id, index)

    def check(self, uses: tuple[Use, ...], before: int, findings: Findings) -> None:
        """Report every name that is not there for a template which sees the steps before a position."""
        for use in uses:
            root = str(use.path[0])
            if root == "_inputs0":
                if len(use.path) > 1 and use.path[1] not in self._inputs:
                    findings.warn(use.loc, f"{use.path[1]!r} is no declared input; it renders empty")
                continue
            index = self._steps.get(root)
            if index is None:
                findings.fault(use.loc, self._unknown(root))
            elif index >= before:
                findings.fault(use.loc, f"{root!r} is not an earlier step; a step sees those before it only")
            else:
                self._check_field(use, index, findings)

    def _check_field(self, use: Use, index: int, findings: Findings) -> None:
        kind = self._kinds[index]
        if kind is None:
            return
        try:
            at(shape_of(kind.Output), use.path[1:])
        except NoSuchFieldError as error:
            findings.fault(use.loc, f"step {use.path[0]!r}: {error}")

    def _unknown(self, root: str) -> str:
        match = POSITIONAL_ID.fullmatch(root)
        if match and match[1]:
            return f"unknown step {root!r}: the app has {len(self._kinds)} processors"
        return f"unknown name {root!r}; known are {listed(['_inputs0', *self._steps])}"
