"""`openai/audio_transcriptions` and `openai/audio_translations` before a real model server."""

from base64 import b64encode
from collections.abc import AsyncGenerator

import pytest

from llmstack_api.errors import ProcessorInputError, ProviderFailedError, ProviderRefusedError
from llmstack_api.processors import transcriptions
from llmstack_api.processors.transcriptions import AudioTranscriptions, AudioTranslations
from tests.fake_model import FakeModel, Upload
from tests.processors.media_steps import MakeStep, steps

SOUND = b"ID3 la la la"
FILE = f"data:audio/mpeg;name=song.mp3;base64,{b64encode(SOUND).decode()}"


@pytest.fixture
async def made() -> AsyncGenerator[tuple[MakeStep, FakeModel]]:
    async with steps() as given:
        yield given


async def test_a_recording_is_written_down(made: tuple[MakeStep, FakeModel]) -> None:
    make, model = made
    step = make(AudioTranscriptions)
    output = await step.run(file=f"{FILE} ", language="en ", prompt="La.")
    assert output == {"text": "12 bytes of song.mp3 (audio/mpeg), language en, prompt La."}
    assert [path for path, _ in step.chunks] == [("text",)]
    assert model.last.path == "/v1/audio/transcriptions"
    assert model.last.body == {
        "model": "whisper-1",
        "prompt": "La.",
        "response_format": "json",
        "language": "en",
    }
    assert model.last.files == {"file": Upload("song.mp3", "audio/mpeg", SOUND)}


async def test_a_recording_is_translated(made: tuple[MakeStep, FakeModel]) -> None:
    make, model = made
    output = await make(AudioTranslations).run({"temperature": 0}, file="", file_data=FILE)
    assert output == {"text": "12 bytes of song.mp3 (audio/mpeg), temperature 0.0"}
    assert model.last.path == "/v1/audio/translations"


@pytest.mark.parametrize(
    ("form", "start", "end"),
    [("text", "12 bytes", ")"), ("srt", "1\n00:00:00,000 -->", ")\n"), ("vtt", "WEBVTT\n\n00:00", ")\n")],
)
async def test_answers_may_be_plain_text(
    made: tuple[MakeStep, FakeModel], form: str, start: str, end: str
) -> None:
    make, _ = made
    text = (await make(AudioTranscriptions).run({"response_format": form}, file=FILE))["text"]
    assert text.startswith(start)
    assert text.endswith(f"(audio/mpeg{end}")


async def test_a_verbose_answer_has_its_times(made: tuple[MakeStep, FakeModel]) -> None:
    make, _ = made
    output = await make(AudioTranscriptions).run({"response_format": "verbose_json"}, file=FILE)
    assert {name: output[name] for name in ("language", "duration", "segments")} == {
        "language": "english",
        "duration": 1.5,
        "segments": [],
    }


async def test_a_long_text_streams_in_pieces(made: tuple[MakeStep, FakeModel]) -> None:
    make, _ = made
    step = make(AudioTranscriptions)
    assert len((await step.run({"model": "big:100000"}, file=FILE))["text"]) == 100_000
    assert len(step.chunks) > 1


@pytest.mark.parametrize(
    ("head", "sent"),
    [
        ("data:audio/webm;base64,", "recording.webm (audio/webm)"),
        ("data:;base64,", "recording.mp3 (audio/mpeg)"),
        ("", "recording.mp3 (audio/mpeg)"),
        ("data:application/octet-stream;name=a.b.ogg;base64,", "a.b.ogg (audio/mpeg)"),
    ],
)
async def test_a_recording_without_a_name_gets_one_that_says_what_it_is(
    made: tuple[MakeStep, FakeModel], head: str, sent: str
) -> None:
    make, _ = made
    output = await make(AudioTranscriptions).run(file=head + b64encode(SOUND).decode())
    assert output["text"] == f"12 bytes of {sent}"


@pytest.mark.parametrize(
    "file", ["", "  ", "data:audio/mpeg;base64,", "data:audio/mpeg;base64,@@", "https://x.example/a.mp3"]
)
async def test_what_is_no_recording_is_refused(made: tuple[MakeStep, FakeModel], file: str) -> None:
    make, model = made
    with pytest.raises(ProcessorInputError, match=r"input\.file"):
        await make(AudioTranscriptions).run(file=file)
    assert model.requests == []


async def test_a_recording_that_is_too_large_is_refused(
    made: tuple[MakeStep, FakeModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, model = made
    monkeypatch.setattr(transcriptions, "MAX_FILE", 10)
    with pytest.raises(ProcessorInputError, match="12 bytes"):
        await make(AudioTranscriptions).run(file=FILE)
    assert model.requests == []


@pytest.mark.parametrize(
    ("name", "form"), [("none", "json"), ("html", "json"), ("html", "text"), ("nothing", "verbose_json")]
)
async def test_an_answer_without_a_text_is_told(
    made: tuple[MakeStep, FakeModel], name: str, form: str
) -> None:
    make, _ = made
    with pytest.raises(ProviderFailedError, match="not answer with a text"):
        await make(AudioTranscriptions).run({"model": name, "response_format": form}, file=FILE)


async def test_a_refusal_is_the_providers(made: tuple[MakeStep, FakeModel]) -> None:
    make, _ = made
    with pytest.raises(ProviderRefusedError):
        await make(AudioTranscriptions).run({"model": "status:413"}, file=FILE)
