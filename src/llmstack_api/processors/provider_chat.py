"""What the chat processors of single providers have in common: a turn, a config, one text as the answer."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, TypeVar

from pydantic import Field

from llmstack_api.engine.ports import JsonObject
from llmstack_api.engine.processor import Emit, Processor, ProcessorModel
from llmstack_api.processors.conversation import (
    MAX_HISTORY,
    AnswerJoiner,
    Question,
    ask,
    chosen,
    model_of,
    sampling,
)
from llmstack_api.processors.structured import ResponseSchema, response_format


class TurnInput(ProcessorModel):
    """What is said to the model."""

    @abstractmethod
    def turn(self) -> list[JsonObject]:
        """Give the messages of this turn in OpenAI's wire form; at least one."""

    def instructions(self) -> str:
        """Return the system message, where the input has it."""
        return ""

    def parameters(self) -> JsonObject:
        """Give what else is sent."""
        return {}


class ConversationConfig(ProcessorModel):
    """How the model is called."""

    wire_names: ClassVar[Mapping[str, str]] = {}
    """Further fields that are sent where they are set, and their names on the wire."""

    model: str | None = None
    """Name of the model; where it is left out, the provider's default model."""
    retain_history: bool = False
    """Whether the session remembers the messages and the answer."""
    chat_history_limit: int = Field(default=MAX_HISTORY, ge=0, le=MAX_HISTORY)
    """How many messages of the history are sent."""
    response_schema: ResponseSchema = None
    """JSON Schema that the answer shall follow; `parsed` then has the answer as JSON, which streams."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds that the call may take."""

    def instructions(self) -> str:
        """Return the system message, where the config has it."""
        return ""

    @abstractmethod
    def sampling(self, model: str) -> JsonObject:
        """Give how long and how random the answer shall be."""


class SampledConfig(ConversationConfig):
    """How the model is called."""

    max_tokens: int = Field(default=256, ge=1)
    """Most tokens of the answer."""
    temperature: float = Field(default=0.5, ge=0, le=2)
    """Randomness."""

    def sampling(self, model: str) -> JsonObject:
        """See `ConversationConfig`."""
        return sampling(
            model,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            given=self.model_fields_set,
        )


InputT = TypeVar("InputT", bound=TurnInput)
ConfigT = TypeVar("ConfigT", bound=ConversationConfig)


class ProviderChat(Processor[InputT, ConfigT]):
    """What the chat processors of single providers have in common."""

    answer_field: ClassVar[str]
    """Output field in which the answer streams."""

    async def run(self, emit: Emit) -> None:
        """Emit the answer as it comes, and what can only be told at its end."""
        config = self.config
        model = model_of(self.context, provider=self.provider_slug, named=config.model)
        schema = config.response_schema
        question = Question(
            provider=self.provider_slug,
            model=model,
            system=self.input.instructions() or config.instructions(),
            turn=self.input.turn(),
            history_limit=config.chat_history_limit,
            parameters={
                **config.sampling(model),
                **chosen(config, config.wire_names),
                **self.input.parameters(),
                **({"response_format": response_format(schema)} if schema else {}),
            },
            timeout=config.timeout,
            retain=config.retain_history,
        )
        await ask(question, self.context, emit=emit, answer=self.answer(emit))

    def answer(self, emit: Emit) -> AnswerJoiner:
        """Make what takes the answer."""
        return AnswerJoiner(emit, [(self.answer_field,)], schema=self.config.response_schema)
