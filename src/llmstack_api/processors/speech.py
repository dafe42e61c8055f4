"""`openai/text_to_speech`: a text, spoken."""

from typing import ClassVar, Final, Literal

from pydantic import Field

from llmstack_api.engine.files import write_data_uri
from llmstack_api.engine.ports import File
from llmstack_api.engine.processor import Emit, Processor, ProcessorModel
from llmstack_api.errors import ProcessorInputError, ProviderFailedError
from llmstack_api.processors.chat import Text
from llmstack_api.processors.model_calls import ModelConfig, call_model, default_of
from llmstack_api.processors.values import aside

MAX_TEXT: Final = 100_000
"""Characters of a text; the models take less, each its own."""

_TYPES: Final = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


class SpeechInput(ProcessorModel):
    """What shall be said."""

    input_text: Text = ""
    """The text."""


class SpeechConfig(ModelConfig):
    """How it is said."""

    voice: str = Field(default="alloy", min_length=1)
    """Name of a voice that the model has."""
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    """Form of the sound."""
    speed: float | None = Field(default=None, ge=0, le=4)
    """Speed; 1 is normal."""
    instructions: Text = ""
    """How the voice shall sound, for models that can be told."""


class SpeechOutput(ProcessorModel):
    """The sound."""

    result: str = ""
    """The sound, as a data URI."""


class TextToSpeech(Processor[SpeechInput, SpeechConfig]):
    """Speak a text."""

    provider_slug: ClassVar[str] = "openai"
    slug: ClassVar[str] = "text_to_speech"
    Output: ClassVar[type[ProcessorModel]] = SpeechOutput

    async def run(self, emit: Emit) -> None:
        """Emit the sound."""
        text, config = self.input.input_text.strip(), self.config
        if not 0 < len(text) <= MAX_TEXT:
            raise ProcessorInputError(f"input.input_text: must have 1 to {MAX_TEXT} characters.")
        answer = await call_model(
            self.context,
            config,
            path="/audio/speech",
            fields={
                "model": default_of(self.context, "speech", provider=config.provider, named=config.model),
                "input": text,
                "voice": config.voice,
                "response_format": config.response_format,
                "speed": config.speed,
                "instructions": config.instructions.strip(),
            },
        )
        given = (answer.media_type or "").partition(";")[0].lower()
        if not answer.data or given.startswith("text/") or given.endswith("json"):
            raise ProviderFailedError("The model did not answer with sound.")
        kind = given if given.startswith("audio/") else _TYPES[config.response_format]
        uri = await aside(lambda data: write_data_uri(File(data, media_type=kind)), answer.data)
        await emit.value("result", uri)
