"""One step outside of a run: what it is given, what it emits."""

from typing import Any

from llmstack_api.engine.output import StepOutput
from llmstack_api.engine.ports import Json, JsonObject, Ports, Usage
from llmstack_api.engine.processor import FieldPath, Processor, StepContext, StepMemory
from tests.fake_model import FakeModel


class Step:
    """Runs a processor as the runner would, and keeps what it emits."""

    def __init__(self, kind: type[Processor[Any, Any]], ports: Ports, model: FakeModel) -> None:
        self._kind = kind
        self._ports = ports
        self._model = model
        self.chunks: list[tuple[FieldPath, str]] = []
        self.items: list[tuple[FieldPath, Json]] = []
        self.usages: list[Usage] = []
        self.output = StepOutput(kind.aliases)
        self.memory = StepMemory()

    async def run(self, config: JsonObject | None = None, **values: Any) -> JsonObject:
        """Run once more; return the output document so far."""
        processor = self._kind(
            self._kind.Input.model_validate(values),
            self._kind.Config.model_validate(config or {}),
            StepContext(step_id="step", ports=self._ports, memory=self.memory),
        )
        await processor.run(self)
        return self.output.document()

    @property
    def sent(self) -> JsonObject:
        """The body of the newest call of the model."""
        return self._model.last.body

    def next_turn(self) -> None:
        """Begin anew, with what was learned as the history."""
        self.memory = StepMemory(history=(*self.memory.history, *self.memory.learned))
        self.output = StepOutput(self._kind.aliases)

    async def chunk(self, path: str | FieldPath, text: str) -> None:
        """See `Emit`."""
        place = (path,) if isinstance(path, str) else path
        self.chunks.append((place, text))
        self.output.append_text(place, text)

    async def item(self, path: str | FieldPath, element: Json) -> None:
        """See `Emit`."""
        place = (path,) if isinstance(path, str) else path
        self.items.append((place, element))
        self.output.append_item(place, element)

    async def value(self, path: str | FieldPath, value: Json) -> None:
        """See `Emit`."""
        self.output.set((path,) if isinstance(path, str) else path, value)

    def usage(self, usage: Usage) -> None:
        """See `Emit`."""
        self.usages.append(usage)
