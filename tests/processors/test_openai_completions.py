"""`openai/completions` and `localai/completions` before a real model server."""

from collections.abc import AsyncGenerator

import pytest

from llmstack_api.engine.ports import Usage
from llmstack_api.errors import ProcessorInputError, ProviderFailedError, StepTimeoutError
from llmstack_api.processors.openai_completions import Completions, LocalAICompletions
from tests.fake_model import FakeModel
from tests.processors.media_steps import KEY, MakeStep, steps


@pytest.fixture
async def made() -> AsyncGenerator[tuple[MakeStep, FakeModel]]:
    async with steps() as given:
        yield given


async def test_a_text_is_continued_as_it_comes(made: tuple[MakeStep, FakeModel]) -> None:
    make, model = made
    step = make(Completions)
    output = await step.run(prompt="Once upon a time ")
    assert output == {
        "choices": ["Once upon a time "],
        "text": "Once upon a time ",
        "finish_reasons": ["stop"],
    }
    assert {path for path, _ in step.chunks} == {("choices", 0)}
    assert step.usages == [Usage(4, 4)]
    assert model.last.path == "/v1/completions"
    assert model.last.headers["authorization"] == f"Bearer {KEY}"
    assert step.sent == {
        "model": "gpt-3.5-turbo-instruct",
        "prompt": "Once upon a time ",
        "max_tokens": 1024,
        "temperature": 0.7,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_in_one_piece_it_is_the_same(made: tuple[MakeStep, FakeModel]) -> None:
    make, _ = made
    config = {"stream": False, "n": 2, "stop": ["END"], "top_p": None, "suffix": "", "best_of": 3}
    output = await make(Completions).run(config, prompt="Once upon")
    assert (output["choices"], output["finish_reasons"]) == (["Once upon"] * 2, ["stop"] * 2)
    body = make(Completions).sent
    assert (body["n"], body["stop"], body["best_of"], body["stream"]) == (2, ["END"], 3, False)
    assert "suffix" not in body


async def test_several_continuations_stream_side_by_side(made: tuple[MakeStep, FakeModel]) -> None:
    make, _ = made
    step = make(Completions)
    output = await step.run({"n": 3}, prompt="Once upon")
    assert output["choices"] == ["Once upon"] * 3
    assert {path for path, _ in step.chunks} == {("choices", index) for index in range(3)}


async def test_a_localai_server_is_asked_by_the_name_of_its_model(made: tuple[MakeStep, FakeModel]) -> None:
    make, model = made
    with pytest.raises(ProcessorInputError, match=r"config\.model"):
        await make(LocalAICompletions).run(prompt="Once")
    output = await make(LocalAICompletions).run({"model": "llama", "base_url": ""}, prompt="Once")
    assert output["text"] == "Once"
    assert model.last.body["model"] == "llama"
    assert "authorization" not in model.last.headers


async def test_what_came_before_a_break_is_kept(made: tuple[MakeStep, FakeModel]) -> None:
    make, _ = made
    step = make(Completions)
    with pytest.raises(ProviderFailedError, match="broke the connection off"):
        await step.run({"model": "drop"}, prompt="Once")
    assert step.output.document()["choices"][0] == "word0 word1 word2 "


async def test_an_answer_of_nothing_is_one(made: tuple[MakeStep, FakeModel]) -> None:
    make, _ = made
    assert (await make(Completions).run({"model": "empty"}, prompt="Once"))["text"] == ""


async def test_more_choices_than_asked_for_make_no_sense(made: tuple[MakeStep, FakeModel]) -> None:
    make, _ = made
    with pytest.raises(ProviderFailedError, match="more than the 1"):
        await make(Completions).run({"model": "choices:2"}, prompt="Once")


async def test_an_empty_prompt_is_refused(made: tuple[MakeStep, FakeModel]) -> None:
    make, model = made
    with pytest.raises(ProcessorInputError, match=r"input\.prompt"):
        await make(Completions).run(prompt=" ")
    assert model.requests == []


async def test_a_slow_model_runs_into_the_configs_timeout(made: tuple[MakeStep, FakeModel]) -> None:
    make, model = made
    with pytest.raises(StepTimeoutError):
        await make(Completions).run({"model": "hang-mid", "timeout": 0.1}, prompt="Once")
    await model.until_aborted()
