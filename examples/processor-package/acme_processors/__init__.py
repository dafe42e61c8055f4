"""Processors of Acme: `acme/redact` takes e-mail addresses out of a text before anybody else gets it."""

import re
from typing import ClassVar

from llmstack_api.engine.processor import Emit, Processor, ProcessorModel
from llmstack_api.processors.chat import Text

ADDRESS = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")


class RedactInput(ProcessorModel):
    """What may hold addresses."""

    text: Text
    """The text."""


class RedactConfig(ProcessorModel):
    """What the text looks like afterwards."""

    mark: str = "[address]"
    """What stands in place of an address."""


class RedactOutput(ProcessorModel):
    """What is left."""

    text: str = ""
    """The text without addresses; it streams, line by line."""
    count: int = 0
    """How many addresses there were."""


class Redact(Processor[RedactInput, RedactConfig]):
    """Replace the e-mail addresses in a text."""

    provider_slug: ClassVar[str] = "acme"
    slug: ClassVar[str] = "redact"
    Output: ClassVar[type[ProcessorModel]] = RedactOutput

    async def run(self, emit: Emit) -> None:
        """Emit the text as it gets done, and how many addresses there were."""
        count = 0
        for line in self.input.text.splitlines(keepends=True) or [""]:
            redacted, found = ADDRESS.subn(lambda _: self.config.mark, line)
            count += found
            await emit.chunk("text", redacted)
        await emit.value("count", count)
