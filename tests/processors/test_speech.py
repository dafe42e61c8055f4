"""`openai/text_to_speech` before a real model server."""

from collections.abc import AsyncGenerator

import pytest

from llmstack_api.engine.files import read_data_uri
from llmstack_api.errors import ProcessorInputError, ProviderFailedError, ProviderTimeoutError
from llmstack_api.processors.speech import MAX_TEXT, TextToSpeech
from tests.fake_model import FakeModel
from tests.processors.media_steps import steps
from tests.processors.step import Step


@pytest.fixture
async def made() -> AsyncGenerator[tuple[Step, FakeModel]]:
    async with steps() as (make, model):
        yield make(TextToSpeech), model


async def test_a_text_becomes_sound(made: tuple[Step, FakeModel]) -> None:
    step, model = made
    sound = read_data_uri((await step.run(input_text="Hello there "))["result"])
    assert sound.media_type == "audio/mpeg"
    assert sound.data == b"ID3 alloy 1 Hello there"
    assert model.last.path == "/v1/audio/speech"
    assert step.sent == {
        "model": "tts-1",
        "input": "Hello there",
        "voice": "alloy",
        "response_format": "mp3",
    }


async def test_voice_form_and_speed_are_asked_for(made: tuple[Step, FakeModel]) -> None:
    step, _ = made
    config = {"model": "tts-1-hd", "voice": "nova", "response_format": "flac", "speed": 1.5}
    sound = read_data_uri((await step.run(config, input_text="Hello"))["result"])
    assert sound.media_type == "audio/flac"
    assert sound.data == b"ID3 nova 1.5 Hello"


async def test_sound_that_is_encoded_aside_is_the_same(made: tuple[Step, FakeModel]) -> None:
    step, _ = made
    sound = read_data_uri((await step.run({"model": "bytes:1500000"}, input_text="Hello"))["result"])
    assert sound.data == b"\xff" * 1_500_000


@pytest.mark.parametrize("text", ["", "  ", "x" * (MAX_TEXT + 1)])
async def test_a_text_has_bounds(made: tuple[Step, FakeModel], text: str) -> None:
    step, model = made
    with pytest.raises(ProcessorInputError, match=r"input\.input_text"):
        await step.run(input_text=text)
    assert model.requests == []


@pytest.mark.parametrize("name", ["html", "bytes:0"])
async def test_an_answer_that_is_no_sound_is_told(made: tuple[Step, FakeModel], name: str) -> None:
    step, _ = made
    with pytest.raises(ProviderFailedError, match="not answer with sound"):
        await step.run({"model": name}, input_text="Hello")


async def test_a_server_that_falls_silent_is_left(made: tuple[Step, FakeModel]) -> None:
    step, model = made
    with pytest.raises(ProviderTimeoutError):
        await step.run({"model": "hang-mid"}, input_text="Hello")
    await model.until(lambda: model.open_calls == 0)
