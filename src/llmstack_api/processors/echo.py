"""`promptly/echo`: returns its input text, word by word."""

import asyncio
import re
from itertools import islice
from typing import ClassVar

from pydantic import Field

from llmstack_api.engine.processor import Emit, Processor, ProcessorModel

WORDS = 1_000
"""Words that come one by one; what follows them comes at once."""

_WORD = re.compile(r"\S+\s*|\s+")


class EchoInput(ProcessorModel):
    """What to echo."""

    input_str: str = ""
    """Text to return."""
    stream: bool = True
    """Whether the text is emitted word by word rather than at once."""


class EchoConfig(ProcessorModel):
    """Echo has no settings."""


class EchoOutput(ProcessorModel):
    """What was echoed."""

    output_str: str = Field(default="")
    """The input text."""


class Echo(Processor[EchoInput, EchoConfig]):
    """Return the input text, word by word. Needs no model."""

    provider_slug: ClassVar[str] = "promptly"
    slug: ClassVar[str] = "echo"
    Output: ClassVar[type[ProcessorModel]] = EchoOutput

    async def run(self, emit: Emit) -> None:
        """Emit `output_str`."""
        text = self.input.input_str
        position = 0
        if self.input.stream:
            for match in islice(_WORD.finditer(text), WORDS):
                await emit.chunk("output_str", match.group())
                await asyncio.sleep(0)  # as a model would: each word can leave before the next one comes
                position = match.end()
        if position < len(text) or not text:
            await emit.chunk("output_str", text[position:])
