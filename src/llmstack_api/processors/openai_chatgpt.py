"""`openai/chatgpt`: a chat model behind any OpenAI-compatible endpoint."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from llmstack_api.engine.ports import ChatRequest, JsonObject
from llmstack_api.engine.processor import Emit, FieldPath, Processor, ProcessorModel
from llmstack_api.errors import ProcessorInputError, StepTimeoutError
from llmstack_api.processors.chat import AnswerJoiner, Choice, Function, Message, Object, Text
from llmstack_api.processors.models import DEFAULT_MODELS, is_reasoning

PRUNED_HISTORY = 20
"""Messages of the history that are sent where `auto_prune_chat_history` is on and no limit is given."""

MAX_HISTORY = 1000
"""Most messages of the history that are ever sent."""

_ROUTINE = (
    "top_p",
    "n",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "seed",
    "reasoning_effort",
)


class ChatGPTInput(ProcessorModel):
    """What is said to the model."""

    system_message: Text = ""
    """Instructions; none are sent where this renders empty."""
    chat_history: list[Message] = Field(default_factory=list[Message])
    """Earlier messages that the app keeps itself; sent after those that the session remembers."""
    messages: list[Message] = Field(default_factory=list[Message])
    """Messages of this turn; at least one."""
    functions: list[Function] = Field(default_factory=list[Function])
    """Functions that the model may call; the call comes back in `choices[0].function_call`."""


class ChatGPTConfig(ProcessorModel):
    """How the model is called. What is not set is not sent, but for `max_tokens` and `temperature`."""

    without_effect: ClassVar[frozenset[str]] = frozenset(
        {"use_azure_if_available", "use_localai_if_available"}
    )

    provider: str = "openai"
    """Provider whose address and key are used."""
    base_url: str | None = None
    """Another address to call, without any key."""
    model: str = DEFAULT_MODELS["openai"]
    """Name of the model."""
    max_tokens: int = Field(default=1024, ge=1)
    """Most tokens of the answer. Reasoning models get it only where it is set."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    """Randomness. Reasoning models get it only where it is set."""
    top_p: float | None = Field(default=None, ge=0, le=1)
    """Share of the likeliest tokens that is drawn from."""
    n: int | None = Field(default=None, ge=1, le=128)
    """How many answers are given, as `choices`."""
    stop: str | list[str] | None = None
    """Texts that end the answer."""
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Above 0: less of what was said already."""
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Above 0: less of what was said often."""
    logit_bias: dict[str, float] | None = None
    """Bias of tokens, by their number."""
    seed: int | None = None
    """Makes answers repeat, as far as the provider can."""
    function_call: str | JsonObject | None = None
    """`auto`, `none` or `{"name": ...}`; sent only with functions."""
    reasoning_effort: str | None = None
    """How long a reasoning model thinks."""
    response_schema: Object = None
    """JSON Schema that the answer shall follow; `parsed` then has the answer as JSON."""
    stream: bool = True
    """Whether the answer is taken as it is made."""
    retain_history: bool = False
    """Whether the session remembers the messages and the answer."""
    auto_prune_chat_history: bool = False
    """Whether only the newest messages of the history are sent."""
    chat_history_limit: int | None = Field(default=None, ge=0, le=MAX_HISTORY)
    """How many messages of the history are sent."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds that the call may take."""


class ChatGPTOutput(ProcessorModel):
    """What the model answered."""

    choices: list[Choice] = Field(default_factory=list[Choice])
    """The answers; `choices[0].content` streams."""
    text: str = ""
    """The same as `choices[0].content`."""
    reasoning: str = ""
    """What a reasoning model lets be seen of its thoughts; streams."""
    tool_calls: list[JsonObject] = Field(default_factory=list[JsonObject])
    """Calls that the model asked for."""
    parsed: Any = None
    """The answer as JSON, where `response_schema` is set."""
    finish_reason: str | None = None
    """Why the answer ended: `stop`, `length`, `function_call`, ..."""


class ChatGPT(Processor[ChatGPTInput, ChatGPTConfig]):
    """Ask a chat model of OpenAI, or behind any compatible endpoint, and stream its answer."""

    provider_slug: ClassVar[str] = "openai"
    slug: ClassVar[str] = "chatgpt"
    Output: ClassVar[type[ProcessorModel]] = ChatGPTOutput
    aliases: ClassVar[Mapping[FieldPath, FieldPath]] = {("text",): ("choices", 0, "content")}

    async def run(self, emit: Emit) -> None:
        """Emit the answer as it comes, and what can only be told at its end."""
        turn = self._turn()
        request = ChatRequest(
            provider=self.config.provider,
            base_url=(self.config.base_url or "").strip() or None,
            model=(model := self._model()),
            messages=[*self._before(), *turn],
            parameters=self._parameters(model),
            stream=self.config.stream,
        )
        answer = AnswerJoiner(emit, self.config.n or 1)
        deadline = asyncio.timeout(self.config.timeout)
        try:
            async with deadline:
                emit.usage(await self.context.ports.chat.chat(request, answer.receive))
        except TimeoutError:
            if not deadline.expired():
                raise
            raise StepTimeoutError(
                f"The model took longer than config.timeout, {self.config.timeout:g} s."
            ) from None
        await answer.finish()
        if self.config.response_schema:
            await emit.value("parsed", answer.parsed())
        if self.config.retain_history:
            kept = [message for message in turn if message["role"] not in {"system", "developer"}]
            self.context.memory.remember(*kept, *answer.message())

    def _model(self) -> str:
        named = self.config.model.strip()
        if named and ("model" in self.config.model_fields_set or self.config.provider == "openai"):
            return named
        try:
            return DEFAULT_MODELS[self.config.provider]
        except KeyError:
            raise ProcessorInputError(
                f"config.model: the provider {self.config.provider!r} has no default model; name one."
            ) from None

    def _turn(self) -> list[JsonObject]:
        """Give the messages of this turn, without those that say nothing."""
        for position, message in enumerate(self.input.messages):
            if message.role == "user" and not message.content.strip():
                raise ProcessorInputError(f"input.messages[{position}].content: the user's message is empty.")
        turn = [message.wire() for message in self.input.messages if message.says_something]
        if not turn and not self.input.chat_history:
            raise ProcessorInputError("input.messages: there is no message to answer.")
        return turn

    def _before(self) -> list[JsonObject]:
        """Give the system message and the history."""
        given = [message.wire() for message in self.input.chat_history if message.says_something]
        history = [*self.context.memory.history, *given]
        limit = self.config.chat_history_limit
        if limit is None:
            limit = PRUNED_HISTORY if self.config.auto_prune_chat_history else MAX_HISTORY
        history = history[max(0, len(history) - limit) :]
        while history and history[0]["role"] == "function":
            # A result without the call that it answers is refused by providers.
            del history[0]
        system = self.input.system_message
        return [{"role": "system", "content": system}, *history] if system.strip() else history

    def _parameters(self, model: str) -> JsonObject:
        config, given = self.config, self.config.model_fields_set
        reasoning = is_reasoning(model)
        parameters: JsonObject = {}
        if not reasoning or "max_tokens" in given:
            parameters["max_completion_tokens" if reasoning else "max_tokens"] = config.max_tokens
        if not reasoning or "temperature" in given:
            parameters["temperature"] = config.temperature
        for name in _ROUTINE:
            value = getattr(config, name)
            if value not in (None, "", [], {}):
                parameters[name] = value
        if functions := [function.wire() for function in self.input.functions if function.name]:
            parameters["functions"] = functions
            if config.function_call:
                parameters["function_call"] = config.function_call
        if schema := config.response_schema:
            name = re.sub(r"\W+", "_", str(schema.get("title") or "response"), flags=re.ASCII)[:64]
            parameters["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": name, "schema": schema},
            }
        return parameters
