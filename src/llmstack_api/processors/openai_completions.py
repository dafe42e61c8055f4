"""`openai/completions` and `localai/completions`: a model continues a text."""

from collections.abc import Mapping
from typing import ClassVar, Final, TypeVar

from pydantic import Field

from llmstack_api.engine.ports import ChatDelta, ChatRequest, JsonObject
from llmstack_api.engine.processor import Emit, FieldPath, Processor, ProcessorModel
from llmstack_api.errors import ProcessorInputError, ProviderFailedError
from llmstack_api.processors.chat import Text
from llmstack_api.processors.model_calls import NOTHING, ModelConfig, address_of, default_of, within

_SENT: Final = (
    "suffix",
    "top_p",
    "n",
    "logprobs",
    "echo",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "best_of",
    "logit_bias",
    "seed",
)


class CompletionsInput(ProcessorModel):
    """What is to be continued."""

    prompt: Text = ""
    """The text."""


class _Config(ModelConfig):
    """How the text is continued. What is not set is not sent, but for `max_tokens` and `temperature`."""

    max_tokens: int = Field(default=1024, ge=1)
    """Most tokens of the continuation."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    """Randomness."""
    suffix: str | None = None
    """What follows the continuation, for models that fill in."""
    top_p: float | None = Field(default=None, ge=0, le=1)
    """Share of the likeliest tokens that is drawn from."""
    n: int | None = Field(default=None, ge=1, le=128)
    """How many continuations are given, as `choices`."""
    logprobs: int | None = Field(default=None, ge=0, le=5)
    """Sent as it stands; the probabilities themselves are not given."""
    echo: bool | None = None
    """Whether the prompt is repeated before the continuation."""
    stop: str | list[str] | None = None
    """Texts that end the continuation."""
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Above 0: less of what was said already."""
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Above 0: less of what was said often."""
    best_of: int | None = Field(default=None, ge=1, le=20)
    """Of how many continuations the best is given; the model then gives it as a whole, so set `stream` to false."""
    logit_bias: dict[str, float] | None = None
    """Bias of tokens, by their number."""
    seed: int | None = None
    """Makes continuations repeat, as far as the provider can."""
    stream: bool = True
    """Whether the continuation is taken as it is made."""


class CompletionsConfig(_Config):
    """How the text is continued. What is not set is not sent, but for `max_tokens` and `temperature`."""


class LocalAICompletionsConfig(_Config):
    """How the text is continued. What is not set is not sent, but for `max_tokens` and `temperature`."""

    provider: str = "localai"
    """Provider whose address and key are used."""


class CompletionsOutput(ProcessorModel):
    """What the model wrote."""

    choices: list[str] = Field(default_factory=list[str])
    """The continuations; `choices[0]` streams."""
    text: str = ""
    """The same as `choices[0]`."""
    finish_reasons: list[str | None] = Field(default_factory=list[str | None])
    """Why each of them ended: `stop` or `length`."""


ConfigT = TypeVar("ConfigT", bound=_Config)


class _Completing(Processor[CompletionsInput, ConfigT]):
    """What both have in common."""

    slug: ClassVar[str] = "completions"
    Input: ClassVar[type[ProcessorModel]] = CompletionsInput
    Output: ClassVar[type[ProcessorModel]] = CompletionsOutput
    aliases: ClassVar[Mapping[FieldPath, FieldPath]] = {("text",): ("choices", 0)}

    async def run(self, emit: Emit) -> None:
        """Emit the continuations as they come."""
        config = self.config
        if not self.input.prompt.strip():
            raise ProcessorInputError("input.prompt: there is nothing to continue.")
        reasons: list[str | None] = [None] * (config.n or 1)
        said: set[int] = set()

        async def receive(deltas: list[ChatDelta]) -> None:
            for delta in deltas:
                if delta.index >= len(reasons):
                    raise ProviderFailedError(
                        f"The model gave more than the {len(reasons)} continuations asked for."
                    )
                if delta.text:
                    said.add(delta.index)
                    await emit.chunk(("choices", delta.index), delta.text)
                reasons[delta.index] = delta.finish_reason or reasons[delta.index]

        request = ChatRequest(
            provider=config.provider,
            base_url=address_of(config.base_url),
            model=default_of(self.context, "completion", provider=config.provider, named=config.model),
            prompt=self.input.prompt,
            parameters=self._parameters(),
            stream=config.stream,
        )
        emit.usage(await within(config.timeout, self.context.ports.chat.chat(request, receive)))
        for index in range(len(reasons)):
            if index not in said:
                await emit.chunk(("choices", index), "")
        await emit.value("finish_reasons", reasons)

    def _parameters(self) -> JsonObject:
        values = {name: getattr(self.config, name) for name in _SENT}
        chosen = {name: value for name, value in values.items() if value not in NOTHING}
        return {"max_tokens": self.config.max_tokens, "temperature": self.config.temperature, **chosen}


class Completions(_Completing[CompletionsConfig]):
    """Continue a text with a model of OpenAI, or behind any compatible endpoint."""

    provider_slug: ClassVar[str] = "openai"
    Config: ClassVar[type[ProcessorModel]] = CompletionsConfig


class LocalAICompletions(_Completing[LocalAICompletionsConfig]):
    """Continue a text with a model of a LocalAI server."""

    provider_slug: ClassVar[str] = "localai"
    Config: ClassVar[type[ProcessorModel]] = LocalAICompletionsConfig
