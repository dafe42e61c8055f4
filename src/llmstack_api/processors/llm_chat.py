"""`promptly/llm`: one message to a model of any provider."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from llmstack_api.engine.processor import Emit, FieldPath, Processor, ProcessorModel
from llmstack_api.processors.chat import AnswerOutput, Text
from llmstack_api.processors.conversation import (
    AnswerJoiner,
    Question,
    ask,
    chosen,
    model_of,
    sampling,
    there_is,
)
from llmstack_api.processors.structured import ResponseSchema, response_format


class LLMInput(ProcessorModel):
    """What is said to the model."""

    input_message: Text = ""
    """The message."""


class ModelChoice(ProcessorModel):
    """Which model is asked."""

    provider: str = "openai"
    """Provider whose address and key are used."""
    model: str | None = None
    """Name of the model; where it is left out, the provider's default model."""


class LLMConfig(ProcessorModel):
    """How the model is called."""

    without_effect: ClassVar[frozenset[str]] = frozenset({"objref"})

    system_message: Text = "You are a helpful assistant."
    """Instructions; none are sent where this renders empty."""
    provider_config: ModelChoice = Field(default_factory=ModelChoice)
    """Provider and name of the model."""
    max_tokens: int = Field(default=100, ge=0)
    """Most tokens of the answer; 0: as many as the model gives. Reasoning models get it only where it is set."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    """Randomness. Reasoning models get it only where it is set."""
    seed: int | None = None
    """Makes answers repeat, as far as the provider can."""
    retain_history: bool = False
    """Whether the session remembers the message and the answer."""
    max_history: int = Field(default=5, ge=0, le=100)
    """How many messages of the history are sent."""
    response_schema: ResponseSchema = None
    """JSON Schema that the answer shall follow; `parsed` then has the answer as JSON, which streams."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds that the call may take."""


class LLMOutput(AnswerOutput):
    """What the model answered."""

    text: str = ""
    """The answer; streams."""
    output_str: str = ""
    """The same as `text`."""


class LLM(Processor[LLMInput, LLMConfig]):
    """Ask a chat model of any provider and stream its answer."""

    provider_slug: ClassVar[str] = "promptly"
    slug: ClassVar[str] = "llm"
    Output: ClassVar[type[ProcessorModel]] = LLMOutput
    aliases: ClassVar[Mapping[FieldPath, FieldPath]] = {("output_str",): ("text",)}

    async def run(self, emit: Emit) -> None:
        """Emit the answer as it comes, and what can only be told at its end."""
        config, choice = self.config, self.config.provider_config
        message = self.input.input_message
        turn = [{"role": "user", "content": message}] if message.strip() else []
        model = model_of(
            self.context,
            provider=choice.provider,
            named=choice.model,
            place="config.provider_config.model",
        )
        schema = config.response_schema
        question = Question(
            provider=choice.provider,
            model=model,
            system=config.system_message,
            turn=there_is(turn, place="input.input_message"),
            history_limit=config.max_history,
            parameters={
                **sampling(
                    model,
                    max_tokens=config.max_tokens,
                    temperature=config.temperature,
                    given=config.model_fields_set,
                ),
                **chosen(config, {"seed": "random_seed" if choice.provider == "mistral" else "seed"}),
                **({"response_format": response_format(schema)} if schema else {}),
            },
            timeout=config.timeout,
            retain=config.retain_history,
        )
        await ask(
            question,
            self.context,
            emit=emit,
            answer=AnswerJoiner(emit, [("text",)], schema=schema),
        )
