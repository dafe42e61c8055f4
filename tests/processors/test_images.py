"""`openai/image_generations` before a real model server."""

from base64 import b64encode
from collections.abc import AsyncGenerator

import pytest
from pydantic import ValidationError

from llmstack_api.engine.ports import JsonObject, Usage
from llmstack_api.errors import (
    AddressRefusedError,
    ProcessorInputError,
    ProviderFailedError,
    ProviderRefusedError,
    StepTimeoutError,
)
from llmstack_api.processors.images import MAX_PROMPT, ImageConfig, ImageGenerations
from tests.fake_model import FakeModel
from tests.fake_model.media import PNG
from tests.processors.media_steps import KEY, steps
from tests.processors.step import Step


@pytest.fixture
async def made() -> AsyncGenerator[tuple[Step, FakeModel]]:
    async with steps() as (make, model):
        yield make(ImageGenerations), model


async def test_images_come_with_their_addresses_and_the_prompt_made_over(
    made: tuple[Step, FakeModel],
) -> None:
    step, model = made
    output = await step.run({"model": "dall-e-2", "n": 2, "size": "512x512", "quality": ""}, prompt="A cat ")
    url = "https://images.example/{}.png"
    assert output["data"] == [url.format(number) for number in range(2)]
    assert output["images"] == [
        {"url": url.format(number), "b64_json": None, "revised_prompt": "Painted: A cat"}
        for number in range(2)
    ]
    assert step.sent == {"model": "dall-e-2", "prompt": "A cat", "n": 2, "size": "512x512"}
    assert model.last.path == "/v1/images/generations"
    assert model.last.headers["authorization"] == f"Bearer {KEY}"


async def test_the_data_of_an_image_becomes_a_data_uri(made: tuple[Step, FakeModel]) -> None:
    step, _ = made
    output = await step.run(prompt="A cat")
    data = b64encode(PNG).decode()
    assert step.sent["model"] == "gpt-image-2"
    assert output["data"] == [f"data:image/png;base64,{data}"]
    assert output["images"] == [{"url": None, "b64_json": None, "revised_prompt": None}]
    assert step.usages == [Usage(5, 100)]


async def test_the_data_itself_is_given_where_it_is_asked_for(made: tuple[Step, FakeModel]) -> None:
    step, _ = made
    output = await step.run({"model": "dall-e-3", "response_format": "b64_json"}, prompt="A cat")
    assert output["images"][0]["b64_json"] == b64encode(PNG).decode()
    assert step.sent["response_format"] == "b64_json"


async def test_an_image_that_is_decoded_aside_is_the_same(made: tuple[Step, FakeModel]) -> None:
    step, _ = made
    output = await step.run({"model": "bytes:400000", "response_format": "b64_json"}, prompt="A cat")
    assert output["data"][0].startswith("data:image/png;base64,iVBOR")
    assert len(output["images"][0]["b64_json"]) > 500_000


@pytest.mark.parametrize("prompt", ["", " \n", "x" * (MAX_PROMPT + 1), None])
async def test_a_prompt_has_bounds(made: tuple[Step, FakeModel], prompt: str | None) -> None:
    step, model = made
    with pytest.raises(ProcessorInputError, match=r"input\.prompt"):
        await step.run(prompt=prompt)
    assert model.requests == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none", "without any image"),
        ("bad", "no base64"),
        ("html", "not answer in JSON"),
        ("drop", "broke the connection off"),
        ("nothing", "not answer in JSON"),
    ],
)
async def test_an_answer_that_is_no_image_is_told(made: tuple[Step, FakeModel], name: str, says: str) -> None:
    step, _ = made
    with pytest.raises(ProviderFailedError, match=says):
        await step.run({"model": name, "response_format": "b64_json"}, prompt="A cat")
    assert step.items == []


async def test_more_images_than_asked_for_are_left_out(made: tuple[Step, FakeModel]) -> None:
    step, _ = made
    assert len((await step.run({"model": "count:5", "n": 2}, prompt="A cat"))["data"]) == 2


async def test_a_refusal_is_the_providers(made: tuple[Step, FakeModel]) -> None:
    step, model = made
    with pytest.raises(ProviderRefusedError) as refused:
        await step.run({"model": "status:400"}, prompt="A cat")
    assert KEY not in str(refused.value)
    assert len(model.requests) == 1


async def test_a_busy_provider_is_asked_again(made: tuple[Step, FakeModel]) -> None:
    step, model = made
    await step.run({"model": "status:429:retry-after=0:times=2"}, prompt="A cat")
    assert len(model.requests) == 3


async def test_a_slow_model_runs_into_the_configs_timeout(made: tuple[Step, FakeModel]) -> None:
    step, model = made
    with pytest.raises(StepTimeoutError, match=r"0\.1 s"):
        await step.run({"model": "hang", "timeout": 0.1}, prompt="A cat")
    await model.until_aborted()


async def test_an_apps_own_address_is_guarded(made: tuple[Step, FakeModel]) -> None:
    step, model = made
    with pytest.raises(AddressRefusedError):
        await step.run({"base_url": model.base_url}, prompt="A cat")


async def test_a_provider_without_an_image_model_wants_a_name(made: tuple[Step, FakeModel]) -> None:
    step, _ = made
    with pytest.raises(ProcessorInputError, match=r"config\.model"):
        await step.run({"provider": "localai"}, prompt="A cat")


@pytest.mark.parametrize("config", [{"n": 0}, {"n": 11}, {"response_format": "svg"}, {"style": "vivid"}])
def test_a_config_that_makes_no_sense_is_refused(config: JsonObject) -> None:
    with pytest.raises(ValidationError):
        ImageConfig.model_validate(config)
