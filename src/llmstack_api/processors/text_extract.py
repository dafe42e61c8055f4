"""`promptly/data_uri_text_extract` and `promptly/http_uri_text_extract`: the text of a file, or of an address."""

from typing import ClassVar

from pydantic import Field

from llmstack_api.engine.files import is_data_uri, read_base64, read_data_uri
from llmstack_api.engine.ports import File
from llmstack_api.engine.processor import Emit, Processor, ProcessorModel, StepContext
from llmstack_api.errors import ProcessorInputError
from llmstack_api.processors.chat import Text
from llmstack_api.processors.values import aside, emit_text


class _ExtractConfig(ProcessorModel):
    """What is given of a text when something is asked."""

    document_limit: int = Field(default=1, ge=0, le=100)
    """How many passages are given where there is a query; 0 is 1."""
    text_chunk_size: int = Field(default=1500, ge=100, le=8000)
    """Characters of a passage at most."""


class DataUriTextExtractConfig(_ExtractConfig):
    """What is given of a file's text when something is asked."""

    without_effect: ClassVar[frozenset[str]] = frozenset({"text_extractor_provider"})


class HttpUriTextExtractConfig(_ExtractConfig):
    """What is given of an address's text when something is asked."""


class DataUriTextExtractInput(ProcessorModel):
    """A file, and what is asked of it."""

    file: Text = ""
    """The file, as a data URI or as base64."""
    file_data: Text = ""
    """The same, where `file` is empty."""
    query: Text = ""
    """What is asked: only the passages that fit it best are given. Without it, all of the text."""


class HttpUriTextExtractInput(ProcessorModel):
    """An address, and what is asked of what stands there."""

    url: Text = ""
    """Address of a web page or of a file."""
    query: Text = ""
    """What is asked: only the passages that fit it best are given. Without it, all of the text."""


class PageText(ProcessorModel):
    """A page, slide or sheet."""

    number: int
    """From 1 on."""
    text: str
    """What stands on it."""


class DataUriTextExtractOutput(ProcessorModel):
    """The text."""

    text: str = ""
    """The text, or the passages in the order in which they stand; streams."""
    pages: list[PageText] = Field(default_factory=list[PageText])
    """The pages, where nothing is asked and the file has such."""


class HttpUriTextExtractOutput(ProcessorModel):
    """The text."""

    text: str = ""
    """The text, or the passages in the order in which they stand; streams."""


class DataUriTextExtract(Processor[DataUriTextExtractInput, DataUriTextExtractConfig]):
    """Read the text of a file: PDF, Office, e-book, e-mail, web page, table or plain text."""

    provider_slug: ClassVar[str] = "promptly"
    slug: ClassVar[str] = "data_uri_text_extract"
    Output: ClassVar[type[ProcessorModel]] = DataUriTextExtractOutput

    async def run(self, emit: Emit) -> None:
        """Emit the text, or what of it fits."""
        given = self.input.file if self.input.file.strip() else self.input.file_data
        if not given.strip():
            raise ProcessorInputError("input.file: there is no file.")
        read = await self.context.ports.texts.read(await read_file(given, "input.file"))
        if self.input.query.strip():
            await _emit_passages(
                self.context, read.text, query=self.input.query, config=self.config, emit=emit
            )
            return
        await emit_text(emit, "text", read.text)
        for number, page in enumerate(read.pages, start=1):
            await emit.item("pages", {"number": number, "text": page})


class HttpUriTextExtract(Processor[HttpUriTextExtractInput, HttpUriTextExtractConfig]):
    """Read the text that stands at a web address: of a page without its menus, or of a file. Heeds robots.txt."""

    provider_slug: ClassVar[str] = "promptly"
    slug: ClassVar[str] = "http_uri_text_extract"
    Output: ClassVar[type[ProcessorModel]] = HttpUriTextExtractOutput

    async def run(self, emit: Emit) -> None:
        """Emit the text, or what of it fits."""
        url = self.input.url.strip()
        if not url:
            raise ProcessorInputError("input.url: there is no address.")
        read = await self.context.ports.texts.fetch(url)
        if self.input.query.strip():
            await _emit_passages(
                self.context, read.text, query=self.input.query, config=self.config, emit=emit
            )
        else:
            await emit_text(emit, "text", read.text)


async def read_file(text: str, loc: str) -> File:
    """Decode a data URI, or plain base64.

    Raises:
        ProcessorInputError: it is neither.
    """
    try:
        return await aside(_decode, text)
    except ValueError as error:
        raise ProcessorInputError(f"{loc}: {error}.") from None


def _decode(text: str) -> File:
    if is_data_uri(text):
        return read_data_uri(text)
    try:
        return File(read_base64(text))
    except ValueError:
        raise ValueError("is neither a data URI nor base64; write data:<mime>;base64,<data>") from None


async def _emit_passages(
    context: StepContext,
    text: str,
    *,
    query: str,
    config: _ExtractConfig,
    emit: Emit,
) -> None:
    texts = context.ports.texts
    pieces = await texts.split(text, size=config.text_chunk_size)
    fitting = await texts.select(pieces, query=query, limit=max(config.document_limit, 1))
    await emit_text(emit, "text", "\n".join(fitting))
