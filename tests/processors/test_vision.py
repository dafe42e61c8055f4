"""`openai/chatgpt_vision` before a real model server."""

import base64
from collections.abc import AsyncGenerator

import pytest
from pydantic import SecretStr

from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.errors import ProcessorInputError, ProviderFailedError
from llmstack_api.llm.catalog import open_models
from llmstack_api.outbound import Egress
from llmstack_api.processors.vision import ChatGPTVision
from llmstack_api.settings import Settings
from tests.fake_model import FakeModel, fake_model_server
from tests.ports import make_ports
from tests.processors.step import Step

DATA = base64.b64encode(b"\x89PNG image").decode()
PNG = f"data:image/png;base64,{DATA}"
LOOK = {"type": "text", "text": "What is on it?"}
URL = "https://example.com/cat.jpg"


@pytest.fixture
async def model() -> AsyncGenerator[FakeModel]:
    async with fake_model_server() as server:
        yield server


@pytest.fixture
async def step(model: FakeModel) -> AsyncGenerator[Step]:
    settings = Settings.load(
        openai_base_url=model.base_url, openai_api_key=SecretStr("sk-key"), _env_file=None
    )
    async with open_models(settings, Egress()) as models:
        yield Step(ChatGPTVision, make_ports(chat=models.of({})), model)


def image(url: str) -> JsonObject:
    return {"type": "image_url", "image_url": url}


async def test_texts_and_images_are_one_message_and_the_answer_streams(step: Step) -> None:
    output = await step.run(system_message="Be brief.", messages=[LOOK, image(URL)])
    assert output == {"result": "What is on it?", "finish_reason": "stop"}
    assert {path for path, _ in step.chunks} == {("result",)}
    assert len(step.usages) == 1
    assert step.sent["model"] == "gpt-4o-mini"
    assert step.sent["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [LOOK, {"type": "image_url", "image_url": {"url": URL}}]},
    ]


async def test_messages_with_roles_are_taken_too(step: Step) -> None:
    await step.run(
        messages=[
            {
                "role": "user",
                "content": [LOOK, {"type": "image_url", "image_url": {"url": URL, "detail": "low"}}],
            },
            {"role": "assistant", "content": "A cat."},
            {"content": {"type": "text", "text": "Which?"}},
        ]
    )
    assert step.sent["messages"] == [
        {
            "role": "user",
            "content": [LOOK, {"type": "image_url", "image_url": {"url": URL, "detail": "low"}}],
        },
        {"role": "assistant", "content": "A cat."},
        {"role": "user", "content": "Which?"},
    ]


@pytest.mark.parametrize(
    "url",
    [
        PNG,
        f"{PNG} ",
        f"data:image/PNG;name=my%20cat.png;base64,{DATA}",
        f"DATA:image/png;charset=x;base64,{DATA}",
    ],
)
async def test_a_file_of_an_input_field_is_sent_without_its_name(step: Step, url: str) -> None:
    await step.run(messages=[LOOK, image(url)])
    assert step.sent["messages"][0]["content"][1] == {"type": "image_url", "image_url": {"url": PNG}}


async def test_a_part_that_names_no_type_is_what_it_has(step: Step) -> None:
    await step.run(messages=[{"text": "Look"}, {"image_url": URL}])
    assert [part["type"] for part in step.sent["messages"][0]["content"]] == ["text", "image_url"]


@pytest.mark.parametrize("url", ["", " ", None, {"url": ""}])
async def test_an_image_that_was_not_given_is_left_out(step: Step, url: Json) -> None:
    await step.run(messages=[LOOK, {"type": "image_url", "image_url": url}])
    assert step.sent["messages"] == [{"role": "user", "content": LOOK["text"]}]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("objref://asset", r"messages\[1\]\.image_url: must be an https:// address or a data URI"),
        ("/etc/passwd", "must be an https:// address"),
        ("data:image/png;base64,!", "is no base64"),
        ("data:application/pdf;base64,aGk=", "is no image, but application/pdf"),
        ("data:;base64,aGk=", "is no image, but of an unknown type"),
    ],
)
async def test_what_is_no_image_is_named(step: Step, model: FakeModel, url: str, said: str) -> None:
    with pytest.raises(ProcessorInputError, match=said):
        await step.run(messages=[LOOK, image(url)])
    with pytest.raises(ProcessorInputError, match=r"messages\[0\]\.content\[0\]\.image_url"):
        await step.run(messages=[{"role": "user", "content": [image(url)]}])
    assert model.requests == []


@pytest.mark.parametrize("messages", [[], [{"type": "text", "text": " "}], [{"role": "user", "content": []}]])
async def test_there_must_be_something_to_answer(step: Step, messages: list[JsonObject]) -> None:
    with pytest.raises(ProcessorInputError, match=r"input\.messages"):
        await step.run(messages=messages)


async def test_a_session_remembers_where_images_are_but_not_their_data(step: Step) -> None:
    await step.run({"retain_history": True}, messages=[LOOK, image(URL), image(PNG)])
    shown = [LOOK, {"type": "image_url", "image_url": {"url": URL}}, {"type": "text", "text": "[image]"}]
    assert step.memory.learned[0] == {"role": "user", "content": shown}
    step.next_turn()
    await step.run({"retain_history": True}, messages=[{"type": "text", "text": "And?"}])
    assert step.sent["messages"][0] == {"role": "user", "content": shown}
    assert len(step.sent["messages"]) == 3


async def test_what_came_before_a_failure_was_emitted(step: Step) -> None:
    with pytest.raises(ProviderFailedError):
        await step.run({"model": "drop"}, messages=[LOOK])
    assert step.output.document()["result"] == "word0 word1 word2 "


async def test_an_answer_about_an_image_may_follow_a_schema(step: Step) -> None:
    output = await step.run(
        {"model": "json", "response_schema": {"type": "object"}}, messages=[LOOK, image(URL)]
    )
    assert output["parsed"] == {"answer": "What is on it?"}


def test_a_definition_of_upstreams_loads() -> None:
    definition: JsonObject = {
        "name": "Image reader",
        "input_fields": [{"name": "photo", "type": "file"}],
        "processors": [
            {
                "provider_slug": "openai",
                "processor_slug": "chatgpt_vision",
                "input": {
                    "system_message": "",
                    "messages": [
                        {"type": "text", "text": "Describe this "},
                        {"type": "image_url", "image_url": "{{_inputs0.photo}} "},
                    ],
                },
                "config": {
                    "model": "gpt-4-turbo", "max_tokens": 1024, "temperature": 0.7, "top_p": 1, "n": 1, "stop": "",
                    "presence_penalty": 0, "frequency_penalty": 0, "logit_bias": {}, "stream": True,
                    "function_call": None, "retain_history": False, "auto_prune_chat_history": False,
                },
            }
        ],
        "output_template": {"markdown": "{{_inputs1.result}}"},
    }  # fmt: skip
    plan, findings = compile_app(definition, {"openai/chatgpt_vision": ChatGPTVision})
    assert plan is not None, findings.faults
    assert {fault.loc for fault in findings.warnings} == {
        "processors[0].config.n",
        "processors[0].config.function_call",
    }


def test_schemas_describe_every_field() -> None:
    for kind in (ChatGPTVision.Input, ChatGPTVision.Config, ChatGPTVision.Output):
        properties = kind.model_json_schema()["properties"]
        assert all(described.get("description") for described in properties.values())
