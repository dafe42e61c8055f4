"""`openai/audio_transcriptions` and `openai/audio_translations`: what is said in a recording."""

from dataclasses import replace
from typing import Any, ClassVar, Final, Literal, TypeVar, cast

from pydantic import Field

from llmstack_api.engine.ports import File, JsonObject
from llmstack_api.engine.processor import Emit, Processor, ProcessorModel
from llmstack_api.errors import ProcessorInputError, ProviderFailedError
from llmstack_api.processors.chat import Text
from llmstack_api.processors.model_calls import ModelConfig, call_model, default_of, usage_of
from llmstack_api.processors.text_extract import read_file
from llmstack_api.processors.values import aside, emit_text, read_body

MAX_FILE: Final = 25 * 1024 * 1024
"""Bytes of a recording: what OpenAI takes."""

_ENDINGS: Final = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/mp4": "m4a",
    "audio/x-m4a": "m4a",
    "audio/m4a": "m4a",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/webm": "webm",
    "audio/ogg": "ogg",
    "audio/opus": "ogg",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "video/mp4": "mp4",
    "video/webm": "webm",
}
_STARTS: Final = (
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (8, b"WAVE", "audio/wav"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (4, b"ftyp", "audio/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "audio/webm"),
)
"""Where a recording says what it is, for one that came without its type."""


class TranslationInput(ProcessorModel):
    """A recording."""

    file: Text = ""
    """The recording, as a data URI or as base64."""
    file_data: Text = ""
    """The same, where `file` is empty."""
    prompt: Text = ""
    """Words that occur, or the text before, to guide the model."""


class TranscriptionInput(TranslationInput):
    """A recording, and what is known of it."""

    language: Text = ""
    """Language that is spoken, as two letters such as `en`; where it is left out, the model finds it."""


class TranscriptionConfig(ModelConfig):
    """How it is written down."""

    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"
    """`json` and `text` give the words, `srt` and `vtt` subtitles, `verbose_json` the words and their times besides."""
    temperature: float | None = Field(default=None, ge=0, le=1)
    """Randomness."""


class TranscriptionOutput(ProcessorModel):
    """What is said."""

    text: str = ""
    """The words, or the subtitles; streams."""
    language: str | None = None
    """The language that was found; with `verbose_json`."""
    duration: float | None = None
    """Seconds of the recording; with `verbose_json`."""
    segments: list[Any] = Field(default_factory=list[Any])
    """Pieces of the text with their times; with `verbose_json`."""


InputT = TypeVar("InputT", bound=TranslationInput)


class _Listening(Processor[InputT, TranscriptionConfig]):
    """What both have in common."""

    Config: ClassVar[type[ProcessorModel]] = TranscriptionConfig
    Output: ClassVar[type[ProcessorModel]] = TranscriptionOutput
    path: ClassVar[str]

    async def run(self, emit: Emit) -> None:
        """Emit what is said."""
        config = self.config
        answer = await call_model(
            self.context,
            config,
            path=self.path,
            fields={
                "model": default_of(
                    self.context, "transcription", provider=config.provider, named=config.model
                ),
                "prompt": self.input.prompt.strip(),
                "response_format": config.response_format,
                "temperature": config.temperature,
                **self.further_fields(),
            },
            file=await self._recording(),
        )
        document = await aside(
            lambda data: _read(replace(answer, data=data), config.response_format), answer.data
        )
        emit.usage(usage_of(document))
        await emit_text(emit, "text", document["text"])
        if config.response_format == "verbose_json":
            await emit.value("language", document.get("language"))
            await emit.value("duration", document.get("duration"))
            await emit.value("segments", document.get("segments") or [])

    def further_fields(self) -> JsonObject:
        """Give what is known of the recording."""
        return {}

    async def _recording(self) -> File:
        place = "file" if self.input.file.strip() else "file_data"
        given = self.input.file if place == "file" else self.input.file_data
        if not given.strip():
            raise ProcessorInputError("input.file: there is no recording.")
        file = await read_file(given, f"input.{place}")
        if not 0 < len(file.data) <= MAX_FILE:
            raise ProcessorInputError(
                f"input.{place}: has {len(file.data)} bytes; a recording has 1 to {MAX_FILE}."
            )
        return _named(file)


class AudioTranscriptions(_Listening[TranscriptionInput]):
    """Write down what is said in a recording."""

    provider_slug: ClassVar[str] = "openai"
    slug: ClassVar[str] = "audio_transcriptions"
    Input: ClassVar[type[ProcessorModel]] = TranscriptionInput
    path: ClassVar[str] = "/audio/transcriptions"

    def further_fields(self) -> JsonObject:
        """See `_Listening`."""
        return {"language": self.input.language.strip()}


class AudioTranslations(_Listening[TranslationInput]):
    """Write down in English what is said in a recording in another language."""

    provider_slug: ClassVar[str] = "openai"
    slug: ClassVar[str] = "audio_translations"
    Input: ClassVar[type[ProcessorModel]] = TranslationInput
    path: ClassVar[str] = "/audio/translations"


def _named(file: File) -> File:
    """Give a recording a name with an ending, by which the models know what it is."""
    kind = (file.media_type or "").partition(";")[0].strip().lower()
    if kind not in _ENDINGS:
        found = (what for at, start, what in _STARTS if file.data[at : at + len(start)] == start)
        kind = next(found, kind)
    ending = _ENDINGS.get(kind)
    name = file.name or "recording"
    if ending and "." not in name:
        name = f"{name}.{ending}"
    return replace(file, name=name, media_type=kind or None)


def _read(answer: File, form: str) -> JsonObject:
    """Read an answer: JSON with a text, or the text itself."""
    kind = (answer.media_type or "").partition(";")[0].lower()
    if form in {"json", "verbose_json"} or kind.endswith("json"):
        document = read_body(answer.data)
        fields = cast("JsonObject", document) if isinstance(document, dict) else {}
        if not isinstance(fields.get("text"), str):
            raise ProviderFailedError("The model did not answer with a text.")
        return fields
    if kind == "text/html":
        raise ProviderFailedError("The model did not answer with a text.")
    text = answer.data.decode(errors="replace")
    return {"text": text.removesuffix("\n") if form == "text" else text}
