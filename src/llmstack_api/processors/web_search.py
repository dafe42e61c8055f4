"""`promptly/web_search`: hits of the search engine that the operator set."""

from typing import ClassVar, Final

from pydantic import Field

from llmstack_api.engine.processor import Emit, Processor, ProcessorModel
from llmstack_api.errors import ProcessorInputError
from llmstack_api.processors.chat import Text

MAX_QUERY: Final = 2000
"""Characters of what is searched for."""


class WebSearchInput(ProcessorModel):
    """What is searched for."""

    query: Text = ""
    """Words to search the web for."""


class WebSearchConfig(ProcessorModel):
    """How much is given. Which engine is asked, the operator sets."""

    without_effect: ClassVar[frozenset[str]] = frozenset({"search_engine", "advanced_params"})

    k: int = Field(default=5, ge=1, le=50)
    """Hits at most."""


class WebSearchHit(ProcessorModel):
    """One hit."""

    title: str
    """Title of the page."""
    text: str
    """Its title and what the engine shows of it."""
    source: str
    """Its address."""


class WebSearchOutput(ProcessorModel):
    """What was found."""

    results: list[WebSearchHit] = Field(default_factory=list[WebSearchHit])
    """The hits, best first; streams one by one."""
    results_text: str = ""
    """The same as text, numbered, with the addresses."""


class WebSearch(Processor[WebSearchInput, WebSearchConfig]):
    """Search the web by the search engine that the operator set."""

    provider_slug: ClassVar[str] = "promptly"
    slug: ClassVar[str] = "web_search"
    Output: ClassVar[type[ProcessorModel]] = WebSearchOutput

    async def run(self, emit: Emit) -> None:
        """Emit the hits."""
        query = " ".join(self.input.query.split())
        if not query:
            raise ProcessorInputError("input.query: there is nothing to search for.")
        if len(query) > MAX_QUERY:
            raise ProcessorInputError(f"input.query: more than {MAX_QUERY:,} characters.")
        hits = await self.context.ports.web.search(query, limit=self.config.k)
        if not hits:
            await emit.value("results", [])
            await emit.chunk("results_text", "")
        for number, hit in enumerate(hits, start=1):
            text = f"{hit.title}. {hit.text}" if hit.title and hit.text else hit.title or hit.text
            await emit.item("results", {"title": hit.title, "text": text, "source": hit.url})
            await emit.chunk("results_text", ("\n\n" if number > 1 else "") + f"[{number}] {text}\n{hit.url}")
