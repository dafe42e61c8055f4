"""Chat processors of single providers, in upstream's shapes: what each takes, and where its answer stands."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from llmstack_api.engine.ports import JsonObject
from llmstack_api.engine.processor import Emit, ProcessorModel
from llmstack_api.processors.chat import AnswerOutput, Function, Message, Text
from llmstack_api.processors.conversation import AnswerJoiner, sampling, there_is, turn_of
from llmstack_api.processors.provider_chat import (
    ConversationConfig,
    ProviderChat,
    SampledConfig,
    TurnInput,
)
from llmstack_api.processors.vision import MessageOfParts, Messages, Part, turn_of_parts

# --- messages of a role and a text: Anthropic, Mistral, Meta -----------------------------------------------


class RoleMessage(ProcessorModel):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"] = "user"
    """Who says it."""
    message: Text = ""
    """The text."""


class MessagesInput(TurnInput):
    """What is said to the model."""

    messages: list[RoleMessage] = Field(default_factory=list[RoleMessage])
    """Messages of this turn; at least one."""

    def turn(self) -> list[JsonObject]:
        """See `TurnInput`."""
        messages = [Message(role=message.role, content=message.message) for message in self.messages]
        return there_is(turn_of(messages, text="message"))


class ResultOutput(AnswerOutput):
    """What the model answered."""

    result: str = ""
    """The answer; streams."""


class AnthropicConfig(SampledConfig):
    """How the model is called."""

    system_prompt: Text = ""
    """Instructions; none are sent where this renders empty."""

    def instructions(self) -> str:
        """See `ConversationConfig`."""
        return self.system_prompt


class AnthropicOutput(AnswerOutput):
    """What the model answered."""

    message: str = ""
    """The answer; streams."""


class AnthropicMessages(ProviderChat[MessagesInput, AnthropicConfig]):
    """Ask a model of Anthropic and stream its answer."""

    provider_slug: ClassVar[str] = "anthropic"
    slug: ClassVar[str] = "messages"
    answer_field: ClassVar[str] = "message"
    Output: ClassVar[type[ProcessorModel]] = AnthropicOutput


class MistralConfig(AnthropicConfig):
    """How the model is called."""

    wire_names: ClassVar[Mapping[str, str]] = {"safe_prompt": "safe_prompt", "seed": "random_seed"}

    safe_prompt: bool | None = None
    """Whether Mistral puts its safety prompt before the conversation."""
    seed: int | None = None
    """Makes answers repeat, as far as the provider can."""


class MistralChat(ProviderChat[MessagesInput, MistralConfig]):
    """Ask a model of Mistral and stream its answer."""

    provider_slug: ClassVar[str] = "mistral"
    slug: ClassVar[str] = "chat_completions"
    answer_field: ClassVar[str] = "result"
    Output: ClassVar[type[ProcessorModel]] = ResultOutput


class MetaConfig(SampledConfig):
    """How the model is called."""

    without_effect: ClassVar[frozenset[str]] = frozenset({"deployment_names", "top_k"})
    wire_names: ClassVar[Mapping[str, str]] = {
        name: name for name in ("top_p", "repetition_penalty", "stop", "seed")
    }

    system_message: Text = "You are a helpful assistant."
    """Instructions; none are sent where this renders empty."""
    top_p: float | None = Field(default=0.9, ge=0, le=1)
    """Share of the likeliest tokens that is drawn from."""
    repetition_penalty: float | None = Field(default=None, gt=0)
    """Above 1: less of what was said already."""
    stop: str | list[str] | None = None
    """Texts that end the answer."""
    seed: int | None = None
    """Makes answers repeat, as far as the provider can."""

    def instructions(self) -> str:
        """See `ConversationConfig`."""
        return self.system_message


class MetaChat(ProviderChat[MessagesInput, MetaConfig]):
    """Ask a Llama model of Meta and stream its answer."""

    provider_slug: ClassVar[str] = "meta"
    slug: ClassVar[str] = "chat_completions"
    answer_field: ClassVar[str] = "result"
    Output: ClassVar[type[ProcessorModel]] = ResultOutput


# --- one message: Cohere -----------------------------------------------------------------------------------


class CohereInput(TurnInput):
    """What is said to the model."""

    message: Text = ""
    """The message."""

    def turn(self) -> list[JsonObject]:
        """See `TurnInput`."""
        turn = [{"role": "user", "content": self.message}] if self.message.strip() else []
        return there_is(turn, place="input.message")


class CohereConfig(SampledConfig):
    """How the model is called."""

    without_effect: ClassVar[frozenset[str]] = frozenset({"prompt_truncation", "enable_web_search"})
    wire_names: ClassVar[Mapping[str, str]] = {"seed": "seed"}

    system_message: Text = ""
    """Instructions; none are sent where this renders empty."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    """Randomness."""
    seed: int | None = None
    """Makes answers repeat, as far as the provider can."""

    def instructions(self) -> str:
        """See `ConversationConfig`."""
        return self.system_message


class CohereOutput(AnswerOutput):
    """What the model answered."""

    output_message: str = ""
    """The answer; streams."""


class CohereChat(ProviderChat[CohereInput, CohereConfig]):
    """Ask a model of Cohere and stream its answer."""

    provider_slug: ClassVar[str] = "cohere"
    slug: ClassVar[str] = "cohere_chat"
    answer_field: ClassVar[str] = "output_message"
    Output: ClassVar[type[ProcessorModel]] = CohereOutput


# --- texts and images: Google ------------------------------------------------------------------------------


class GoogleInput(TurnInput):
    """What the model is shown and told."""

    system_message: Text = ""
    """Instructions; none are sent where this renders empty."""
    messages: Messages = Field(default_factory=list[Part | MessageOfParts])
    """The parts of one message of the user, or messages `{role, content: [parts]}`."""
    functions: list[Function] = Field(default_factory=list[Function])
    """Functions that the model may call; the calls come back in `function_calls`."""

    def turn(self) -> list[JsonObject]:
        """See `TurnInput`."""
        return turn_of_parts(self.messages)

    def instructions(self) -> str:
        """See `TurnInput`."""
        return self.system_message

    def parameters(self) -> JsonObject:
        """See `TurnInput`."""
        tools = [
            {"type": "function", "function": function.wire()} for function in self.functions if function.name
        ]
        return {"tools": tools} if tools else {}


class GenerationConfig(ProcessorModel):
    """How long and how random the answer shall be."""

    temperature: float = Field(default=0.5, ge=0, le=2)
    """Randomness."""
    max_output_tokens: int = Field(default=2048, ge=1)
    """Most tokens of the answer."""


class GoogleConfig(ConversationConfig):
    """How the model is called."""

    # Google's OpenAI-compatible endpoint refuses requests that have them.
    without_effect: ClassVar[frozenset[str]] = frozenset({"safety_settings"})

    generation_config: GenerationConfig = Field(default_factory=GenerationConfig)
    """Length and randomness of the answer."""

    def sampling(self, model: str) -> JsonObject:
        """See `ConversationConfig`."""
        given = self.generation_config
        return sampling(
            model,
            max_tokens=given.max_output_tokens,
            temperature=given.temperature,
            given=given.model_fields_set,
        )


class GoogleOutput(AnswerOutput):
    """What the model answered."""

    content: str = ""
    """The answer; streams."""
    function_calls: list[JsonObject] = Field(default_factory=list[JsonObject])
    """Calls that the model asked for: `{id, type, function: {name, parameters}}`, the parameters as JSON text."""


class GoogleJoiner(AnswerJoiner):
    """An answer with calls in upstream's shape."""

    async def emit_rest(self) -> None:
        """See `AnswerJoiner`."""
        calls = [
            {
                **call,
                "function": {
                    "name": call["function"].get("name", ""),
                    "parameters": call["function"].get("arguments", ""),
                },
            }
            for call in self.tool_calls
        ]
        await self.emit.value("function_calls", calls)


class GoogleChat(ProviderChat[GoogleInput, GoogleConfig]):
    """Ask a Gemini model of Google, about texts and images, and stream its answer."""

    provider_slug: ClassVar[str] = "google"
    slug: ClassVar[str] = "chat"
    answer_field: ClassVar[str] = "content"
    Output: ClassVar[type[ProcessorModel]] = GoogleOutput

    def answer(self, emit: Emit) -> AnswerJoiner:
        """See `ProviderChat`."""
        return GoogleJoiner(emit, [(self.answer_field,)], schema=self.config.response_schema)
