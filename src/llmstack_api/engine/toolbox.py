"""The tools of an agent while a run is going: its processors, called with what the model wants."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import orjson

from llmstack_api.engine.liquid import Budget
from llmstack_api.engine.output import StepOutput
from llmstack_api.engine.plan import StepPlan, ToolPlan
from llmstack_api.engine.ports import Json, JsonObject, Ports, ToolSpec, Usage
from llmstack_api.engine.processor import StepContext, StepMemory
from llmstack_api.engine.template import Scope
from llmstack_api.errors import OutputTooLargeError, ProcessorInputError

MAX_TOLD: Final = 65_536
"""Characters of one tool's result that the model is told."""

CUT: Final = "\n[... cut: the result is longer than a tool's may be]"


class Host(Protocol):
    """The run, as its tools see it."""

    ports: Ports
    budget: Budget

    @property
    def names(self) -> Mapping[str, object]:
        """The input fields, as templates may name them."""
        ...

    @property
    def inputs(self) -> JsonObject:
        """The input."""
        ...

    def recalled(self, step_id: str) -> tuple[JsonObject, ...]:
        """Return what a step remembers of the session."""
        ...

    def learn(self, step_id: str, messages: list[JsonObject]) -> None:
        """Keep messages for the next turn."""
        ...

    async def process(
        self,
        step: StepPlan,
        inputs: Json,
        config: Json,
        context: StepContext,
        *,
        output: StepOutput,
        used: Callable[[Usage], None],
    ) -> None:
        """Run a processor to its end, and tell what it used, however it ends.

        Raises:
            RunError: whatever went wrong.
        """
        ...


class ToolRunner:
    """See `ports.Toolbox`."""

    def __init__(self, host: Host, tools: Sequence[ToolPlan]) -> None:
        self._host = host
        self._tools = {tool.spec.name: tool for tool in tools}
        self.specs: Sequence[ToolSpec] = [tool.spec for tool in tools]
        self.usage = Usage()
        """Tokens that the tools used so far."""

    async def call(self, name: str, arguments: JsonObject) -> str:
        """See `ports.Toolbox`."""
        tool = self._tools.get(name)
        if tool is None:
            known = ", ".join(self._tools) or "none"
            raise ProcessorInputError(f"There is no tool {name!r}; there are: {known}.")
        host, step = self._host, tool.step
        blank = dict.fromkeys(step.processor.Input.model_fields, "")
        scope = Scope(host.inputs, {}, {**host.names, **blank, **arguments})
        fixed: JsonObject = await step.input.render(scope, host.budget)
        config = await step.config.render(scope, host.budget)
        free = {key: value for key, value in arguments.items() if key not in tool.fixed}
        output = StepOutput(step.processor.aliases)
        memory = StepMemory(history=host.recalled(step.id))
        context = StepContext(step_id=step.id, ports=host.ports, memory=memory)
        await host.process(step, {**free, **fixed}, config, context, output=output, used=self._count)
        output.end()
        if memory.learned:
            host.learn(step.id, memory.learned)
        return await _told(tool, output.document(), host)

    def _count(self, usage: Usage) -> None:
        self.usage += usage


async def _told(tool: ToolPlan, document: JsonObject, host: Host) -> str:
    if tool.told is None:
        return cut(_as_text(document))
    told = await tool.told.render(Scope(host.inputs, {}, {**host.names, **document}), host.budget)
    return cut(_as_text(told).strip())


def _as_text(value: Json) -> str:
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        raise OutputTooLargeError("The result of a tool is nested too deep.") from None


def cut(text: str) -> str:
    """Shorten what a model is told, and say so."""
    return text if len(text) <= MAX_TOLD else text[:MAX_TOLD] + CUT
