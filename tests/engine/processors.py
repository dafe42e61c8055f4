"""Small processors that tests chain: each does one thing a real one may do."""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from llmstack_api.engine.processor import Emit, FieldPath, Processor, ProcessorModel
from llmstack_api.errors import ProviderFailedError


class NoConfig(ProcessorModel):
    without_effect: ClassVar[frozenset[str]] = frozenset({"legacy"})


class ScriptInput(ProcessorModel):
    text: str = ""
    """Words, emitted one by one; `!fail`, `!crash`, `!hang` and `!gate` act."""
    any: Any = None


class ScriptOutput(ProcessorModel):
    text: str = ""
    rows: list[Any] = Field(default_factory=list[Any])
    first: str = ""
    echo: Any = None
    choices: list[Any] = Field(default_factory=list[Any])


class Script(Processor[ScriptInput, NoConfig]):
    """Emits words as text, as array elements and as a value; acts on the words that begin with `!`."""

    provider_slug: ClassVar[str] = "test"
    slug: ClassVar[str] = "script"
    Output: ClassVar[type[ProcessorModel]] = ScriptOutput
    aliases: ClassVar[Mapping[FieldPath, FieldPath]] = {("text",): ("choices", 0, "content")}

    gate: ClassVar[asyncio.Event]
    closed: ClassVar[list[str]] = []

    async def run(self, emit: Emit) -> None:
        words = self.input.text.split(" ")
        await emit.value("echo", self.input.any)
        await emit.value("first", words[0])
        try:
            for word in words:
                await self.act(word, emit)
        finally:
            self.closed.append(self.context.step_id)
        self.context.memory.remember({"role": "user", "content": self.input.text})

    async def act(self, word: str, emit: Emit) -> None:
        match word:
            case "!fail":
                raise ProviderFailedError("It broke.")
            case "!crash":
                raise KeyError("secret")
            case "!hang":
                await asyncio.Event().wait()
            case "!gate":
                await self.gate.wait()
            case "!big":
                await emit.chunk(("choices", 0, "content"), "x" * 100_000)
            case _:
                await emit.chunk(("choices", 0, "content"), word + " ")
                await emit.item("rows", word)
        await asyncio.sleep(0)


REGISTRY = {"test/script": Script}


def step(text: str, **more: Any) -> dict[str, Any]:
    return {"provider_slug": "test", "processor_slug": "script", "input": {"text": text}, **more}
