"""An app that can run: steps, and in an agent their tools, with compiled templates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmstack_api.engine.definition import InputField
from llmstack_api.engine.ports import ToolSpec
from llmstack_api.engine.processor import Processor
from llmstack_api.engine.template import ValueTemplate

Registry = Mapping[str, type[Processor[Any, Any]]]
"""Processor classes by `provider_slug/slug`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """One step, ready to run."""

    id: str
    index: int
    loc: str
    """Where it stands in the definition, such as `processors[0].`; empty for an agent itself."""
    processor: type[Processor[Any, Any]]
    processor_name: str
    input: ValueTemplate
    config: ValueTemplate
    timeout: float | None
    tolerant: bool
    """Whether the run goes on when this step fails."""
    tools: tuple["ToolPlan", ...] | None = None
    """What an agent may call; None where it is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolPlan:
    """One tool of an agent."""

    step: StepPlan
    """Its `input` has what the definition fixes; the model gives the rest."""
    fixed: frozenset[str]
    """Input fields that the model does not give."""
    spec: ToolSpec
    told: ValueTemplate | None
    """What the model is told, over the tool's own output; None: all of that, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An app that can run."""

    name: str
    input_fields: tuple[InputField, ...]
    steps: tuple[StepPlan, ...]
    outputs: tuple[tuple[str, ValueTemplate], ...]
    is_agent: bool = False
    """Its templates may name input fields bare."""
