"""`promptly/promptly_app`: another app of the account as a step."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, cast

from pydantic import Field

from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.processor import Emit, Processor, ProcessorModel
from llmstack_api.processors import other_apps
from llmstack_api.processors.chat import Object
from llmstack_api.processors.other_apps import OtherAppConfig
from llmstack_api.processors.values import as_text, emit_text


class PromptlyAppInput(ProcessorModel):
    """What the app is given."""

    input: Object = None
    """The app's input fields, by name; over those of `config.input`."""
    input_json: Object = None
    """The same, where `input` is empty."""


class PromptlyAppConfig(OtherAppConfig):
    """Which app is run."""


class PromptlyAppOutput(ProcessorModel):
    """What the app answered."""

    text: str = ""
    """Its first output key, as text; streams."""
    output: dict[str, Any] = Field(default_factory=dict[str, Any])
    """All of its output keys; each streams as the app's own stream does."""


class PromptlyApp(Processor[PromptlyAppInput, PromptlyAppConfig]):
    """Run another app of the account."""

    provider_slug: ClassVar[str] = "promptly"
    slug: ClassVar[str] = "promptly_app"
    Output: ClassVar[type[ProcessorModel]] = PromptlyAppOutput
    references: ClassVar[Mapping[str, Literal["datasource", "app"]]] = other_apps.REFERENCES

    @classmethod
    def adapt(cls, config: JsonObject) -> JsonObject:
        """See `Processor.adapt`."""
        return other_apps.adapt(config)

    async def run(self, emit: Emit) -> None:
        """Emit what the app answers while it does."""
        inputs = {**self.config.input, **(self.input.input or self.input.input_json or {})}
        relay = _Relay(emit)
        output = await self.context.ports.apps.call(
            self.config.app(), inputs, relay.receive, used=emit.usage, announce=relay.announce
        )
        await relay.finish(output)


class _Relay:
    """Passes on what an app answers, its first key as text too."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._first: str | None = None
        self._met: set[str] = set()
        self._said = False

    def announce(self, keys: Sequence[str]) -> None:
        """Learn the output keys."""
        self._first = keys[0] if keys else None

    async def receive(self, chunk: JsonObject) -> None:
        """Take chunks by key."""
        for key, value in chunk.items():
            if value == []:
                continue  # more may come; what stays empty is emitted at the end
            self._met.add(key)
            path = ("output", key)
            if isinstance(value, str):
                await self._emit.chunk(path, value)
                if key == self._first:
                    self._said = True
                    await self._emit.chunk("text", value)
            elif isinstance(value, list):
                for element in cast("list[Json]", value):
                    await self._emit.item(path, element)
            else:
                await self._emit.value(path, value)

    async def finish(self, output: JsonObject) -> None:
        """Emit what did not come in chunks."""
        for key, value in output.items():
            if key not in self._met:
                await self._emit.value(("output", key), value)
        if not output:
            await self._emit.value("output", {})
        if not self._said:
            await emit_text(self._emit, "text", as_text(next(iter(output.values()), "")))
