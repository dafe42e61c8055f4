"""`openai/image_generations`: images out of words."""

from typing import Any, ClassVar, Final, Literal, cast

from pydantic import Field

from llmstack_api.engine.files import read_base64
from llmstack_api.engine.ports import JsonObject
from llmstack_api.engine.processor import Emit, Processor, ProcessorModel
from llmstack_api.errors import ProcessorInputError, ProviderFailedError
from llmstack_api.processors.chat import Text
from llmstack_api.processors.model_calls import ModelConfig, call_model, default_of, usage_of
from llmstack_api.processors.values import aside, read_body

MAX_PROMPT: Final = 32_000
"""Characters of a prompt: the most that a model of OpenAI takes."""

MAX_IMAGES: Final = 10
MAX_URL: Final = 16_384

_KINDS: Final = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"RIFF", "image/webp"),
    (b"GIF8", "image/gif"),
)


class ImageInput(ProcessorModel):
    """What shall be seen."""

    prompt: Text
    """Description of the image."""


class ImageConfig(ModelConfig):
    """How the images are made. What is not set is not sent."""

    size: Text = ""
    """Width and height, such as `1024x1024`, or a name that the model knows."""
    n: int | None = Field(default=None, ge=1, le=MAX_IMAGES)
    """How many images; one where it is not set."""
    response_format: Literal["url", "b64_json"] | None = None
    """`url` or `b64_json`; the models of today's OpenAI take neither and always give the data."""
    quality: Text = ""
    """Such as `standard` or `hd`, `low`, `medium` or `high`; models differ."""


class Image(ProcessorModel):
    """One image."""

    url: str | None = None
    """Its address, where the model gives one; it does not last."""
    b64_json: str | None = None
    """Its data in base64, where `response_format` asks for it."""
    revised_prompt: str | None = None
    """The prompt as the model made it over."""


class ImageOutput(ProcessorModel):
    """The images."""

    data: list[str] = Field(default_factory=list[str])
    """The images, in the model's order: of each a data URI, or its address; fit for `<img src>`."""
    images: list[Image] = Field(default_factory=list[Image])
    """What else the model said of each."""


class ImageGenerations(Processor[ImageInput, ImageConfig]):
    """Make images out of a description."""

    provider_slug: ClassVar[str] = "openai"
    slug: ClassVar[str] = "image_generations"
    Output: ClassVar[type[ProcessorModel]] = ImageOutput

    async def run(self, emit: Emit) -> None:
        """Emit the images."""
        prompt, config = self.input.prompt.strip(), self.config
        if not 0 < len(prompt) <= MAX_PROMPT:
            raise ProcessorInputError(f"input.prompt: must have 1 to {MAX_PROMPT} characters.")
        answer = await call_model(
            self.context,
            config,
            path="/images/generations",
            fields={
                "model": default_of(self.context, "image", provider=config.provider, named=config.model),
                "prompt": prompt,
                "size": config.size.strip(),
                "n": config.n,
                "response_format": config.response_format,
                "quality": config.quality.strip(),
            },
        )
        document = await aside(_read, answer.data)
        images = [await self._image(item) for item in _listed(document)[: config.n or 1]]
        if not images:
            raise ProviderFailedError("The model answered without any image.")
        emit.usage(usage_of(document))
        for shown, image in images:
            await emit.item("data", shown)
            await emit.item("images", image)

    async def _image(self, item: JsonObject) -> tuple[str, JsonObject]:
        """Give what shows an image, and what else is known of it."""
        url, data, revised = item.get("url"), item.get("b64_json"), item.get("revised_prompt")
        shown = ""
        image: JsonObject = {"url": None, "b64_json": None}
        if isinstance(url, str) and 0 < len(url) <= MAX_URL:
            shown = image["url"] = url
        if isinstance(data, str) and data:
            kind = await aside(_kind, data)
            shown = f"data:{kind};base64,{data}"
            if self.config.response_format == "b64_json":
                image["b64_json"] = data
        if not shown:
            raise ProviderFailedError("The model answered with an image that is none.")
        return shown, image | {"revised_prompt": revised if isinstance(revised, str) else None}


def _read(data: bytes) -> JsonObject:
    document = read_body(data)
    if not isinstance(document, dict):
        raise ProviderFailedError("The model did not answer in JSON.")
    return cast("JsonObject", document)


def _listed(document: JsonObject) -> list[JsonObject]:
    listed = document.get("data")
    items = cast("list[Any]", listed) if isinstance(listed, list) else []
    return [cast("JsonObject", item) for item in items if isinstance(item, dict)]


def _kind(data: str) -> str:
    """Tell what an image in base64 is."""
    try:
        head = read_base64(data)[:16]
    except ValueError:
        raise ProviderFailedError("The model answered with an image that is no base64.") from None
    return next((kind for start, kind in _KINDS if head.startswith(start)), "application/octet-stream")
