"""`openai/chatgpt`, and the same for Azure and LocalAI: chat models behind OpenAI-compatible endpoints."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import quote

from pydantic import Field

from llmstack_api.engine.ports import JsonObject
from llmstack_api.engine.processor import Emit, FieldPath, Processor, ProcessorModel
from llmstack_api.processors.chat import Choice, Function, Message, Text
from llmstack_api.processors.conversation import (
    MAX_HISTORY,
    AnswerJoiner,
    Question,
    ask,
    chosen,
    model_of,
    sampling,
    there_is,
    turn_of,
)
from llmstack_api.processors.structured import ResponseSchema, response_format

PRUNED_HISTORY: Final = 20
"""Messages of the history that are sent where `auto_prune_chat_history` is on and no limit is given."""

_ROUTINE: Final = {
    name: name
    for name in (
        "top_p",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "seed",
        "reasoning_effort",
    )
}


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


class OpenAIConfig(ProcessorModel):
    """How the model is called. What is not set is not sent, but for `max_tokens` and `temperature`."""

    without_effect: ClassVar[frozenset[str]] = frozenset(
        {"use_azure_if_available", "use_localai_if_available"}
    )

    max_tokens: int = Field(default=1024, ge=1)
    """Most tokens of the answer. Reasoning models get it only where it is set."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    """Randomness. Reasoning models get it only where it is set."""
    top_p: float | None = Field(default=None, ge=0, le=1)
    """Share of the likeliest tokens that is drawn from."""
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
    reasoning_effort: str | None = None
    """How long a reasoning model thinks."""
    response_schema: ResponseSchema = None
    """JSON Schema that the answer shall follow; `parsed` then has the answer as JSON, which streams."""
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

    def history_limit(self) -> int:
        """Return how many messages of the history are sent."""
        if self.chat_history_limit is not None:
            return self.chat_history_limit
        return PRUNED_HISTORY if self.auto_prune_chat_history else MAX_HISTORY

    def parameters(self, model: str) -> JsonObject:
        """Give what is sent with every message, whatever is asked."""
        schema = self.response_schema
        return {
            **sampling(
                model,
                max_tokens=self.max_tokens,
                temperature=self.temperature,
                given=self.model_fields_set,
            ),
            **chosen(self, _ROUTINE),
            **({"response_format": response_format(schema)} if schema else {}),
        }


class ChoicesConfig(OpenAIConfig):
    """How the model is called. What is not set is not sent, but for `max_tokens` and `temperature`."""

    n: int | None = Field(default=None, ge=1, le=128)
    """How many answers are given, as `choices`."""
    function_call: str | JsonObject | None = None
    """`auto`, `none` or `{"name": ...}`; sent only with functions."""


class ChatGPTConfig(ChoicesConfig):
    """How the model is called. What is not set is not sent, but for `max_tokens` and `temperature`."""

    provider: str = "openai"
    """Provider whose address and key are used."""
    base_url: str | None = None
    """Another address to call, without any key."""
    model: str | None = None
    """Name of the model; where it is left out, the provider's default model."""


class LocalAIConfig(ChoicesConfig):
    """How the model is called. What is not set is not sent, but for `max_tokens` and `temperature`."""

    base_url: str | None = None
    """Address of the LocalAI server; where it is left out, that of the provider's settings."""
    model: str | None = None
    """Name of the model; where it is left out, the provider's default model."""


class AzureConfig(ChoicesConfig):
    """How the model is called. What is not set is not sent, but for `max_tokens` and `temperature`."""

    base_url: str | None = None
    """Another address to call, without any key; where it is left out, that of the provider's settings."""
    api_version: str | None = None
    """With `base_url`: call its deployments in this version of the API, not in the newer form without versions."""
    deployment_name: str | None = None
    """Name of the deployment; where it is left out, the provider's default model."""
    retain_history: bool = True
    """Whether the session remembers the messages and the answer."""


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
    """The answer as JSON, where `response_schema` is set; streams member by member."""
    finish_reason: str | None = None
    """Why the answer ended: `stop`, `length`, `function_call`, ..."""


class ChoicesJoiner(AnswerJoiner):
    """An answer of several choices, each with its role and the call that it asks for."""

    def __init__(self, emit: Emit, count: int, *, schema: JsonObject | None) -> None:
        super().__init__(emit, [("choices", index, "content") for index in range(count)], schema=schema)

    async def emit_rest(self) -> None:
        """See `AnswerJoiner`."""
        for index, role in enumerate(self.roles):
            await self.emit.value(("choices", index, "role"), role)
            if call := self.calls[index]:
                await self.emit.value(("choices", index, "function_call"), call)
        await self.emit.value("tool_calls", self.tool_calls)


InputT = TypeVar("InputT", bound=ChatGPTInput)
ConfigT = TypeVar("ConfigT", bound=ChoicesConfig)


class OpenAIChat(Processor[InputT, ConfigT]):
    """What the processors of OpenAI-compatible chat models have in common."""

    Output: ClassVar[type[ProcessorModel]] = ChatGPTOutput
    aliases: ClassVar[Mapping[FieldPath, FieldPath]] = {("text",): ("choices", 0, "content")}

    @abstractmethod
    def place(self) -> tuple[str, str, str | None]:
        """Return the provider, the model and the address that are asked."""

    async def run(self, emit: Emit) -> None:
        """Emit the answer as it comes, and what can only be told at its end."""
        config = self.config
        turn = turn_of(self.input.messages)
        if not self.input.chat_history:
            there_is(turn)
        provider, model, base_url = self.place()
        question = Question(
            provider=provider,
            model=model,
            base_url=base_url,
            system=self.input.system_message,
            earlier=[message.wire() for message in self.input.chat_history if message.says_something],
            turn=turn,
            history_limit=config.history_limit(),
            parameters={**config.parameters(model), **self._calls(), **chosen(config, {"n": "n"})},
            stream=config.stream,
            timeout=config.timeout,
            retain=config.retain_history,
        )
        answer = ChoicesJoiner(emit, config.n or 1, schema=config.response_schema)
        await ask(question, self.context, emit=emit, answer=answer)

    def _calls(self) -> JsonObject:
        functions = [function.wire() for function in self.input.functions if function.name]
        if not functions:
            return {}
        call = self.config.function_call
        return {"functions": functions, **({"function_call": call} if call else {})}


class ChatGPT(OpenAIChat[ChatGPTInput, ChatGPTConfig]):
    """Ask a chat model of OpenAI, or behind any compatible endpoint, and stream its answer."""

    provider_slug: ClassVar[str] = "openai"
    slug: ClassVar[str] = "chatgpt"

    def place(self) -> tuple[str, str, str | None]:
        """See `OpenAIChat`."""
        provider = self.config.provider
        model = model_of(self.context, provider=provider, named=self.config.model)
        return provider, model, self.config.base_url


class LocalAIChatGPT(OpenAIChat[ChatGPTInput, LocalAIConfig]):
    """Ask a chat model of a LocalAI server and stream its answer."""

    provider_slug: ClassVar[str] = "localai"
    slug: ClassVar[str] = "chatgpt"

    def place(self) -> tuple[str, str, str | None]:
        """See `OpenAIChat`."""
        model = model_of(self.context, provider=self.provider_slug, named=self.config.model)
        return self.provider_slug, model, self.config.base_url


class AzureChatGPT(OpenAIChat[ChatGPTInput, AzureConfig]):
    """Ask a deployment of Azure OpenAI and stream its answer."""

    provider_slug: ClassVar[str] = "azure"
    slug: ClassVar[str] = "chatgpt"

    def place(self) -> tuple[str, str, str | None]:
        """See `OpenAIChat`."""
        model = model_of(
            self.context,
            provider=self.provider_slug,
            named=self.config.deployment_name,
            place="config.deployment_name",
        )
        return self.provider_slug, model, azure_address(self.config, model)


def azure_address(config: AzureConfig, deployment: str) -> str | None:
    """Return the address that an app gives, down to the deployment where it names a version of the API."""
    base_url = (config.base_url or "").strip().rstrip("/")
    version = (config.api_version or "").strip()
    if not base_url or not version or "/openai" in base_url:
        return base_url or None
    return f"{base_url}/openai/deployments/{quote(deployment, safe='')}?api-version={quote(version, safe='')}"
