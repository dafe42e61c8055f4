"""Runs one processor as the runner would, and keeps what it emits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmstack_api.engine.constants import check_values
from llmstack_api.engine.definition import Findings
from llmstack_api.engine.liquid import Budget
from llmstack_api.engine.output import StepOutput
from llmstack_api.engine.ports import ChunkReceiver, Json, JsonObject, Ports, Usage
from llmstack_api.engine.processor import FieldPath, Processor, StepContext, StepMemory
from llmstack_api.engine.template import Scope, compile_value


@dataclass(slots=True)
class Emitted:
    """Takes what a processor emits."""

    output: StepOutput = field(default_factory=StepOutput)
    paths: list[FieldPath] = field(default_factory=list[FieldPath])
    """Where something was emitted, in order."""
    usages: list[Usage] = field(default_factory=list[Usage])

    async def chunk(self, path: str | FieldPath, text: str) -> None:
        """See `Emit`."""
        self.output.append_text(self._note(path), text)

    async def item(self, path: str | FieldPath, element: Json) -> None:
        """See `Emit`."""
        self.output.append_item(self._note(path), element)

    async def value(self, path: str | FieldPath, value: Json) -> None:
        """See `Emit`."""
        self.output.set(self._note(path), value)

    def usage(self, usage: Usage) -> None:
        """See `Emit`."""
        self.usages.append(usage)

    def _note(self, path: str | FieldPath) -> FieldPath:
        place = (path,) if isinstance(path, str) else path
        self.paths.append(place)
        return place


async def run_step(
    kind: type[Processor[Any, Any]],
    ports: Ports,
    input_: JsonObject | None = None,
    config: JsonObject | None = None,
    emitted: Emitted | None = None,
) -> JsonObject:
    """Compile a config as the graph does, run the processor, and return its output."""
    findings = Findings()
    known = check_values(kind.adapt(config or {}), kind.Config, "config", findings)
    template, uses = compile_value(known, "config", findings, trimmed=True, own=kind.own_names)
    assert (findings.faults, uses) == ([], ())
    emitted = emitted or Emitted()
    rendered: Json = await template.render(Scope({}, {}), Budget())
    processor = kind(
        kind.Input.model_validate(input_ or {}),
        kind.Config.model_validate(rendered),
        StepContext(step_id="step", ports=ports, memory=StepMemory()),
    )
    await processor.run(emitted)
    document = emitted.output.document()
    assert document.keys() <= kind.Output.model_fields.keys()
    kind.Output.model_validate(document)
    return document


class OtherApps:
    """The port `AppCaller` over a function: what an app makes of its input, key by key."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys or ("output",)
        self.calls: list[tuple[str, JsonObject]] = []

    async def answer(self, inputs: JsonObject) -> Sequence[JsonObject]:
        """Return the chunks of one run; tests say here what the app does."""
        return [dict.fromkeys(self.keys, f"<{inputs}>")]

    async def call(
        self,
        app: str,
        inputs: JsonObject,
        receive: ChunkReceiver | None = None,
        *,
        used: Callable[[Usage], None],
        announce: Any = None,
    ) -> JsonObject:
        """See `AppCaller`."""
        self.calls.append((app, inputs))
        if announce is not None:
            announce(self.keys)
        output: JsonObject = {}
        for chunk in await self.answer(inputs):
            if receive is not None:
                await receive(chunk)
            for key, value in chunk.items():
                output[key] = (
                    output[key] + value if isinstance(value, str | list) and key in output else value
                )
        used(Usage(2, 1))
        return {key: output[key] for key in self.keys if key in output}
