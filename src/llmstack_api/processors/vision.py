"""`openai/chatgpt_vision`, and messages that are made of texts and images."""

import asyncio
from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from llmstack_api.engine.files import is_data_uri, read_data_uri, write_data_uri
from llmstack_api.engine.ports import File, Json, JsonObject
from llmstack_api.engine.processor import Emit, Processor, ProcessorModel
from llmstack_api.errors import ProcessorInputError
from llmstack_api.processors.chat import AnswerOutput, Text
from llmstack_api.processors.conversation import AnswerJoiner, Question, ask, model_of, there_is
from llmstack_api.processors.openai_chatgpt import OpenAIConfig


def _as_image(value: Json) -> Json:
    """Take an address alone; null is none."""
    return {"url": value or ""} if value is None or isinstance(value, str) else value


def _as_parts(value: Json) -> Json:
    """Take a text alone, or a part alone."""
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    return [value] if isinstance(value, dict) else value


class Image(ProcessorModel):
    """Where an image is."""

    url: Text = ""
    """`https://` address, which the provider fetches, or data URI."""
    detail: Literal["auto", "low", "high"] | None = None
    """How closely the model looks."""


class Part(ProcessorModel):
    """A text or an image."""

    type: Literal["text", "image_url"] = "text"
    """Which of them; told by what is given where it is left out."""
    text: Text = ""
    """The text."""
    image_url: Annotated[Image, BeforeValidator(_as_image)] = Field(default_factory=Image)
    """The image: its address or data URI, alone or as `{"url": ...}`; a part without one is left out."""

    def _is_image(self) -> bool:
        named = "type" in self.model_fields_set
        return self.type == "image_url" if named else bool(self.image_url.url)

    def wire(self, place: str) -> JsonObject | None:
        """Give it in the provider's form; None where it says nothing."""
        if not self._is_image():
            return {"type": "text", "text": self.text} if self.text.strip() else None
        url = self.image_url.url.strip()
        if not url:
            return None
        image: JsonObject = {"url": _image_url(url, place)}
        if self.image_url.detail:
            image["detail"] = self.image_url.detail
        return {"type": "image_url", "image_url": image}


class MessageOfParts(ProcessorModel):
    """One message."""

    role: Literal["system", "developer", "user", "assistant"] = "user"
    """Who says it."""
    content: Annotated[list[Part], BeforeValidator(_as_parts)] = Field(default_factory=list[Part])
    """Texts and images; a text alone is taken too."""


Messages = list[Part | MessageOfParts]
"""Messages, or the parts of one message of the user, without more around them."""


def turn_of_parts(messages: Messages) -> list[JsonObject]:
    """Give the messages of a turn in the provider's form; parts in a row are one message of the user.

    Raises:
        ProcessorInputError: an image that is none, or nothing is said at all.
    """
    turn: list[JsonObject] = []
    loose: list[JsonObject] | None = None
    for position, message in enumerate(messages):
        place = f"input.messages[{position}]"
        if isinstance(message, Part):
            if loose is None:
                loose = []
                turn.append({"role": "user", "content": loose})
            loose += _wired([(message, f"{place}.image_url")])
            continue
        loose = None
        parts = ((part, f"{place}.content[{index}].image_url") for index, part in enumerate(message.content))
        turn.append({"role": message.role, "content": _wired(parts)})
    return there_is([_plain(message) for message in turn if message["content"]])


def _wired(parts: Iterable[tuple[Part, str]]) -> list[JsonObject]:
    return [wire for part, place in parts if (wire := part.wire(place)) is not None]


def _plain(message: JsonObject) -> JsonObject:
    """Write a message of one text as every provider takes it."""
    match message["content"]:
        case [{"type": "text", "text": text}]:
            return {**message, "content": text}
        case _:
            return message


def _image_url(url: str, place: str) -> str:
    if url[:8].lower().startswith(("https://", "http://")):
        return url
    if not is_data_uri(url):
        raise ProcessorInputError(f"{place}: must be an https:// address or a data URI.")
    try:
        file = read_data_uri(url)
    except ValueError as error:
        raise ProcessorInputError(f"{place}: {error}.") from None
    kind = (file.media_type or "").partition(";")[0].strip().lower()
    if not kind.startswith("image/"):
        raise ProcessorInputError(f"{place}: is no image, but {kind or 'of an unknown type'}.")
    # Without the name and parameters, which providers refuse.
    return write_data_uri(File(file.data, media_type=kind))


class VisionInput(ProcessorModel):
    """What the model is shown and told."""

    system_message: Text = ""
    """Instructions; none are sent where this renders empty."""
    messages: Messages = Field(default_factory=list[Part | MessageOfParts])
    """Messages `{role, content: [parts]}`, or the parts of one message of the user."""


class VisionOutput(AnswerOutput):
    """What the model answered."""

    result: str = ""
    """The answer; streams."""


class VisionConfig(OpenAIConfig):
    """How the model is called. What is not set is not sent, but for `max_tokens` and `temperature`."""

    without_effect: ClassVar[frozenset[str]] = OpenAIConfig.without_effect | {"n", "function_call"}

    provider: str = "openai"
    """Provider whose address and key are used."""
    base_url: str | None = None
    """Another address to call, without any key."""
    model: str | None = None
    """Name of the model; where it is left out, the provider's default model."""


class ChatGPTVision(Processor[VisionInput, VisionConfig]):
    """Ask a model of OpenAI, or behind any compatible endpoint, about images, and stream its answer."""

    provider_slug: ClassVar[str] = "openai"
    slug: ClassVar[str] = "chatgpt_vision"
    Output: ClassVar[type[ProcessorModel]] = VisionOutput

    async def run(self, emit: Emit) -> None:
        """Emit the answer as it comes, and what can only be told at its end."""
        config = self.config
        model = model_of(self.context, provider=config.provider, named=config.model)
        question = Question(
            provider=config.provider,
            model=model,
            base_url=config.base_url,
            system=self.input.system_message,
            turn=await asyncio.to_thread(
                turn_of_parts, self.input.messages
            ),  # images are read and written again
            history_limit=config.history_limit(),
            parameters=config.parameters(model),
            stream=config.stream,
            timeout=config.timeout,
            retain=config.retain_history,
        )
        answer = AnswerJoiner(emit, [("result",)], schema=config.response_schema)
        await ask(question, self.context, emit=emit, answer=answer)
