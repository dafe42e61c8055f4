"""`promptly/splitter`: a text in pieces."""

import asyncio
import re
from typing import ClassVar, Final, Literal

import orjson
from pydantic import Field

from llmstack_api.engine.files import is_data_uri
from llmstack_api.engine.liquid import Budget
from llmstack_api.engine.ports import JsonObject
from llmstack_api.engine.processor import Emit, Processor, ProcessorModel
from llmstack_api.errors import ProcessorInputError
from llmstack_api.processors.chat import Text
from llmstack_api.processors.text_extract import read_file
from llmstack_api.processors.values import FilledText, fill

ITEM: Final = "_splitter_item"
"""Name that templates of the output schema have for a piece."""

MAX_PIECES: Final = 10_000

LARGEST: Final = 8000
"""Characters of a piece at most."""

_BETWEEN: Final = re.compile(r"\n[^\S\n]*\n\s*")


class SplitterInput(ProcessorModel):
    """What is split."""

    content: Text = ""
    """A text."""
    content_uri: Text = ""
    """Where `content` is empty: a file as a data URI, or the address of one or of a web page."""


class MergeStrategy(ProcessorModel):
    """How large pieces are made."""

    type: Literal["NoStrategy", "BasicStrategy", "ByTitleStrategy"] = "NoStrategy"
    """`NoStrategy`: each paragraph is a piece. The others: pieces as large as may be, cut where the text has seams,
    before headings first."""
    max_characters: int = Field(default=2000, ge=1)
    """Characters of a piece at most."""
    new_after_n_chars: int | None = Field(default=None, ge=0)
    """Characters after which a piece ends; as `max_characters`, where this is less."""
    overlap: int = Field(default=100, ge=0)
    """Characters that a piece of `BasicStrategy` may share with the one before."""
    overlap_all: bool = False
    """Kept, but it has no effect here."""
    multipage_sections: bool = True
    """Kept, but it has no effect here."""
    combine_text_under_n_chars: int | None = None
    """Kept, but it has no effect here."""

    def sizes(self) -> tuple[int, int] | None:
        """Give the size of a piece and the overlap; None where paragraphs are pieces."""
        if self.type == "NoStrategy":
            return None
        size = min(self.max_characters, self.new_after_n_chars or self.max_characters)
        return size, self.overlap if self.type == "BasicStrategy" else 0


class OutputField(ProcessorModel):
    """A field of what is made of a piece."""

    name: str = Field(min_length=1)
    """Its name."""
    value: FilledText = ""
    """Its value, in which `{{_splitter_item}}` is the piece."""


class OutputSchema(ProcessorModel):
    """What is made of a piece."""

    fields: list[OutputField] = Field(default_factory=list[OutputField])
    """Its fields."""


class SplitterConfig(ProcessorModel):
    """How the text is split. Without any size, each paragraph is a piece."""

    without_effect: ClassVar[frozenset[str]] = frozenset({"mode", "objref"})

    chunk_size: int | None = Field(default=None, ge=100, le=LARGEST)
    """Characters of a piece at most; over what `merge_strategy` says."""
    overlap: int = Field(default=0, ge=0)
    """Characters that a piece of `chunk_size` may share with the one before; less than half of it is taken."""
    merge_strategy: MergeStrategy | None = None
    """How large pieces are made."""
    output_schema: OutputSchema | None = None
    """What is made of each piece; by default an object with the field `part`."""


class SplitterOutput(ProcessorModel):
    """The pieces."""

    outputs: list[JsonObject] = Field(default_factory=list[JsonObject])
    """An object for each piece; streams one by one."""
    outputs_text: str = ""
    """The same as JSON text; streams."""


class Splitter(Processor[SplitterInput, SplitterConfig]):
    """Split a text, a file or a web page into pieces."""

    provider_slug: ClassVar[str] = "promptly"
    slug: ClassVar[str] = "splitter"
    Output: ClassVar[type[ProcessorModel]] = SplitterOutput
    own_names: ClassVar[frozenset[str]] = frozenset({ITEM})

    async def run(self, emit: Emit) -> None:
        """Emit the pieces."""
        pieces = await self._pieces(await self._text())
        if len(pieces) > MAX_PIECES:
            raise ProcessorInputError(f"The text makes more than {MAX_PIECES:,} pieces: make them larger.")
        if not pieces:
            await emit.value("outputs", [])
        await emit.chunk("outputs_text", "[")
        budget = Budget()
        for number, piece in enumerate(pieces):
            made = await self._made(piece, budget)
            await emit.item("outputs", made)
            written = orjson.dumps(made).decode()
            await emit.chunk("outputs_text", f", {written}" if number else written)
        await emit.chunk("outputs_text", "]")

    async def _text(self) -> str:
        if self.input.content.strip():
            return self.input.content
        uri = self.input.content_uri.strip()
        texts = self.context.ports.texts
        if not uri:
            return ""
        if is_data_uri(uri):
            return (await texts.read(await read_file(uri, "input.content_uri"))).text
        if uri.lower().startswith(("http://", "https://")):
            return (await texts.fetch(uri)).text
        raise ProcessorInputError("input.content_uri: must be a data URI, or start with http:// or https://.")

    async def _pieces(self, text: str) -> list[str]:
        config, texts = self.config, self.context.ports.texts
        sizes = (config.chunk_size, config.overlap) if config.chunk_size else None
        if sizes is None and config.merge_strategy is not None:
            sizes = config.merge_strategy.sizes()
        if sizes is not None:
            return await texts.split(text, size=sizes[0], overlap=sizes[1])
        pieces: list[str] = []
        for paragraph in await asyncio.to_thread(_BETWEEN.split, text):
            whole = paragraph.strip()
            if len(whole) > LARGEST:
                pieces += await texts.split(whole, size=LARGEST)
            elif whole:
                pieces.append(whole)
            if len(pieces) > MAX_PIECES:
                break
        return pieces

    async def _made(self, piece: str, budget: Budget) -> JsonObject:
        schema = self.config.output_schema
        if schema is None or not schema.fields:
            return {"part": piece}
        return {field.name: await fill(field.value, {ITEM: piece}, budget) for field in schema.fields}
