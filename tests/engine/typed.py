"""A processor whose sides have every kind of field, to be compiled but not run."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from llmstack_api.engine.processor import Emit, Processor, ProcessorModel


class Link(ProcessorModel):
    url: str
    weight: int = 1


class Message(ProcessorModel):
    role: Literal["system", "user"] = "user"
    content: str | list[Link] = ""


class TypedInput(ProcessorModel):
    question: str
    messages: list[Message] = Field(default_factory=list[Message])
    count: int | None = None
    payload: Any = None


class TypedConfig(ProcessorModel):
    without_effect: ClassVar[frozenset[str]] = frozenset({"use_azure_if_available"})

    k: Annotated[int, Field(ge=1, le=10)] = 5
    mode: Literal["fast", "good"] = "fast"
    base_url: str | None = None
    low: int = 0
    high: int = 100
    links: list[Link] = Field(default_factory=list[Link])

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self


class Citation(ProcessorModel):
    text: str
    score: float
    page: int | None = None
    more: dict[str, Any] = Field(default_factory=dict[str, Any])


class TypedOutput(ProcessorModel):
    answer: str
    citations: list[Citation]
    best: Citation | None = None
    parsed: Any = None
    codes: list[int] = Field(default_factory=list[int])


class Typed(Processor[TypedInput, TypedConfig]):
    """Answers a question.

    More than the first paragraph is not told.
    """

    provider_slug: ClassVar[str] = "test"
    slug: ClassVar[str] = "typed"
    Output: ClassVar[type[ProcessorModel]] = TypedOutput

    async def run(self, emit: Emit) -> None:
        raise AssertionError(f"never run, {emit}")


REGISTRY = {"test/typed": Typed}


def typed(**more: Any) -> dict[str, Any]:
    return {"provider_slug": "test", "processor_slug": "typed", "input": {"question": "why?"}, **more}


def app(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "name": "App",
        "input_fields": [{"name": "q"}, {"name": "n", "type": "number", "default": 3}],
        "processors": list(steps),
        "output": {"answer": "done"},
        **more,
    }
