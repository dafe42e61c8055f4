"""`promptly/datasource_search`: the passages of datasources that answer a query best."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from llmstack_api.engine.ports import JsonObject, Passage
from llmstack_api.engine.processor import Emit, Processor, ProcessorModel
from llmstack_api.errors import ProcessorInputError
from llmstack_api.processors.chat import Text
from llmstack_api.processors.retrieval import MAX_PASSAGES, Datasources, Filters, Ratio, one_line, united


class DatasourceSearchInput(ProcessorModel):
    """What is searched for."""

    query: Text
    """Words, or a question."""


class DatasourceSearchConfig(ProcessorModel):
    """Where is searched, and how."""

    datasources: Datasources = Field(default_factory=list[str])
    """Ids of the datasources that are searched; one alone may stand without brackets."""
    datasource: Datasources = Field(default_factory=list[str])
    """The same; both are searched."""
    document_limit: int = Field(default=4, ge=1, le=MAX_PASSAGES)
    """Passages that are returned."""
    search_filters: Filters = None
    """Metadata filter: `lang == "en" || lang == "de" && year >= 2020`, or a JSON tree as in searches."""
    hybrid_semantic_search_ratio: Ratio = None
    """Weight of the search by meaning, 0 (by words only) to 1; left out, the datasource's own."""


class Answer(ProcessorModel):
    """A passage that was found."""

    content: str
    """Its text."""
    source: str
    """Where it is from: URL, file name or entry name."""
    score: float
    """On the search's own scale."""
    metadata: JsonObject = Field(default_factory=dict[str, object])
    """Its `score`, and where it is: `datasource` and `entry`, by their ids."""
    additional_properties: JsonObject = Field(default_factory=dict[str, object])
    """The metadata that is stored with it: `source`, `name`, `md_<key>`, ..."""


class DatasourceSearchOutput(ProcessorModel):
    """What was found."""

    answers: list[Answer] = Field(default_factory=list[Answer])
    """The passages, best first."""
    answers_text: str = ""
    """The same as one text, each passage with its source."""


class DatasourceSearch(Processor[DatasourceSearchInput, DatasourceSearchConfig]):
    """Search datasources by meaning and by words. Needs no model but the one that embeds."""

    provider_slug: ClassVar[str] = "promptly"
    slug: ClassVar[str] = "datasource_search"
    Output: ClassVar[type[ProcessorModel]] = DatasourceSearchOutput
    references: ClassVar[Mapping[str, Literal["datasource", "app"]]] = {
        "datasource": "datasource",
        "datasources": "datasource",
    }

    async def run(self, emit: Emit) -> None:
        """Emit the passages one by one."""
        config = self.config
        query = self.input.query.strip()
        if not query:
            raise ProcessorInputError("input.query: the query is empty.")
        passages: list[Passage] = []
        if datasources := united(config.datasources, config.datasource):
            passages = await self.context.ports.retriever.search(
                query,
                datasources=datasources,
                limit=config.document_limit,
                filters=config.search_filters,
                vector_weight=config.hybrid_semantic_search_ratio,
            )
        for passage in passages:
            await emit.item("answers", _answer(passage))
            text = f"Content: {passage.content}\n\nSource: {one_line(passage.source)}\n\n\n"
            await emit.chunk("answers_text", text)
        if not passages:
            await emit.value("answers", [])
            await emit.chunk("answers_text", "")


def _answer(passage: Passage) -> JsonObject:
    return {
        "content": passage.content,
        "source": passage.source,
        "score": passage.score,
        "metadata": {"score": passage.score, "datasource": passage.datasource, "entry": passage.entry},
        "additional_properties": passage.metadata,
    }
