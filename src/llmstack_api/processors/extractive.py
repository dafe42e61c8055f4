"""`builtin/extractive`: answers by sentences of the passages, word for word, without any model."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, cast

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field

from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.processor import Emit, Processor, ProcessorModel
from llmstack_api.errors import EmbeddingRefusedError, ProcessorInputError, ProviderRefusedError
from llmstack_api.processors.answering import Material, choose
from llmstack_api.processors.chat import Text
from llmstack_api.processors.retrieval import MAX_PASSAGES, Datasources, Filters, Ratio, united

MAX_GIVEN: Final = 1000
"""Passages that a step is given at most."""

MAX_CHARACTERS: Final = 500_000
"""Characters of all passages that a step is given."""

MAX_QUESTION: Final = 2000
"""Characters of a question that are looked at."""

MAX_SENTENCES: Final = 20
NO_ANSWER: Final = "No passage answers this question."


class GivenPassage(ProcessorModel):
    """A passage from an earlier step; what else it has is not looked at."""

    model_config = ConfigDict(extra="ignore")

    content: Text = Field(default="", validation_alias=AliasChoices("content", "text"))
    """What it says; `text` is taken as well."""
    source: Text = ""
    """Where it is from."""


def _as_passages(value: Json) -> Json:
    """Take one text, or a list of texts and of passages."""
    if value is None:
        return None
    given = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [{"content": element} if isinstance(element, str) else element for element in given]


Passages = Annotated[
    list[GivenPassage] | None,
    BeforeValidator(_as_passages, json_schema_input_type=str | list[str | JsonObject] | None),
    Field(max_length=MAX_GIVEN),
]


class ExtractiveInput(ProcessorModel):
    """What is asked, and what is answered from."""

    question: Text
    """The question; it also is what is searched for."""
    passages: Passages = None
    """Texts, or passages `{content, source}` such as a search gives; where they are given nothing is searched."""


class ExtractiveConfig(ProcessorModel):
    """Where is searched, and how much is quoted."""

    datasource: Datasources = Field(default_factory=list[str])
    """Ids of the datasources that are searched; one alone may stand without brackets."""
    datasources: Datasources = Field(default_factory=list[str])
    """The same; both are searched."""
    k: int = Field(default=8, ge=1, le=MAX_PASSAGES)
    """Passages that are looked through for answering sentences."""
    search_filters: Filters = None
    """Metadata filter: `lang == "en" || lang == "de" && year >= 2020`, or a JSON tree as in searches."""
    hybrid_semantic_search_ratio: Ratio = None
    """Weight of the search by meaning, 0 (by words only) to 1; left out, the datasource's own."""
    max_sentences: int = Field(default=5, ge=1, le=MAX_SENTENCES)
    """Sentences that are quoted at most."""
    no_answer: Text = NO_ANSWER
    """The answer where no passage answers."""


class Quotation(ProcessorModel):
    """A sentence that was quoted."""

    n: int
    """Its number in the answer."""
    text: str
    """The sentence."""
    source: str
    """Where it is from: URL, file name or entry name."""
    score: float
    """How well it answers; to be compared within one answer only."""


class ExtractiveOutput(ProcessorModel):
    """The sentences that answer."""

    answer: str = ""
    """Sentences as they stand in the passages, best first, each followed by its number: ` [1]`; streams."""
    citations: list[Quotation] = Field(default_factory=list[Quotation])
    """The same with their sources."""
    answered: bool = False
    """Whether anything was quoted; else the answer is `config.no_answer`."""
    generated: bool = False
    """Always false: no model wrote any of it."""


class Extractive(Processor[ExtractiveInput, ExtractiveConfig]):
    """Answer a question by sentences of the passages, word for word and with their sources. Needs no model."""

    provider_slug: ClassVar[str] = "builtin"
    slug: ClassVar[str] = "extractive"
    Output: ClassVar[type[ProcessorModel]] = ExtractiveOutput
    references: ClassVar[Mapping[str, Literal["datasource", "app"]]] = {
        "datasource": "datasource",
        "datasources": "datasource",
    }

    async def run(self, emit: Emit) -> None:
        """Emit the sentences one by one, or that there is no answer."""
        question = self.input.question.strip()[:MAX_QUESTION]
        if not question:
            raise ProcessorInputError("input.question: the question is empty.")
        await emit.value("generated", value=False)
        try:
            quotes = await choose(question, await self._passages(question), most=self.config.max_sentences)
        except EmbeddingRefusedError as error:
            raise ProviderRefusedError(str(error)) from error
        await emit.value("answered", value=bool(quotes))
        for n, quote in enumerate(quotes, start=1):
            citation = {"n": n, "text": quote.text, "source": quote.source, "score": quote.score}
            await emit.item("citations", citation)
            await emit.chunk("answer", ("" if n == 1 else "\n\n") + f"{quote.text} [{n}]")
        if not quotes:
            await emit.value("citations", [])
            await emit.chunk("answer", self.config.no_answer)

    async def _passages(self, question: str) -> list[Material]:
        given = self.input.passages
        if given is not None:
            if sum(len(passage.content) for passage in given) > MAX_CHARACTERS:
                raise ProcessorInputError(f"input.passages: more than {MAX_CHARACTERS:,} characters.")
            return [Material(passage.content, passage.source) for passage in given]
        config = self.config
        datasources = united(config.datasource, config.datasources)
        if not datasources:
            raise ProcessorInputError("input.passages: give passages, or a datasource in config.datasource.")
        found = await self.context.ports.retriever.search(
            question,
            datasources=datasources,
            limit=config.k,
            filters=config.search_filters,
            vector_weight=config.hybrid_semantic_search_ratio,
        )
        return [
            Material(passage.content, passage.source, str(passage.metadata.get("heading") or ""))
            for passage in found
        ]
