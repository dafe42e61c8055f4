"""`promptly/llm` before a real model server."""

from collections.abc import AsyncGenerator

import pytest
from pydantic import SecretStr

from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.ports import JsonObject
from llmstack_api.errors import (
    AnswerMismatchError,
    ProcessorInputError,
    ProviderFailedError,
    ProviderNotConfiguredError,
    StepTimeoutError,
)
from llmstack_api.known_providers import PROVIDERS
from llmstack_api.llm.catalog import open_models
from llmstack_api.outbound import Egress
from llmstack_api.processors.llm_chat import LLM
from llmstack_api.settings import Settings
from tests.fake_model import FakeModel, fake_model_server
from tests.ports import make_ports
from tests.processors.step import Step


@pytest.fixture
async def model() -> AsyncGenerator[FakeModel]:
    async with fake_model_server() as server:
        yield server


@pytest.fixture
async def step(model: FakeModel) -> AsyncGenerator[Step]:
    settings = Settings.load(
        openai_base_url=model.base_url,
        openai_api_key=SecretStr("sk-key"),
        anthropic_base_url=model.base_url,
        mistral_base_url=model.base_url,
        _env_file=None,
    )
    async with open_models(settings, Egress()) as models:
        yield Step(LLM, make_ports(chat=models.of({})), model)


def named(name: str, **more: object) -> JsonObject:
    return {"provider_config": {"provider": "openai", "model": name}, **more}


async def test_an_answer_streams_as_text_under_both_names(step: Step) -> None:
    output = await step.run(input_message="Hello there")
    assert output == {"text": "Hello there", "output_str": "Hello there", "finish_reason": "stop"}
    assert {path for path, _ in step.chunks} == {("text",)}
    assert len(step.usages) == 1
    assert step.sent == {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Hello there"},
        ],
        "max_tokens": 100,
        "temperature": 0.7,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_every_provider_can_be_asked(step: Step, model: FakeModel) -> None:
    anthropic = {"provider_config": {"provider": "anthropic", "model": "claude-3-haiku"}, "seed": 1}
    assert (await step.run(anthropic, input_message="Hello"))["text"] == "Hello"
    assert model.last.path.endswith("/messages")
    assert step.sent["model"] == "claude-3-haiku-20240307"
    await step.run({"provider_config": {"provider": "mistral"}, "seed": 1}, input_message="Hello")
    assert (step.sent["model"], step.sent["random_seed"]) == (PROVIDERS["mistral"].chat, 1)
    with pytest.raises(ProviderNotConfiguredError):
        await step.run({"provider_config": {"provider": "cohere"}}, input_message="Hello")
    with pytest.raises(ProcessorInputError, match=r"config\.provider_config\.model"):
        await step.run({"provider_config": {"provider": "acme"}}, input_message="Hello")


async def test_what_is_left_empty_is_not_sent(step: Step) -> None:
    await step.run(
        {"system_message": " ", "max_tokens": 0, "seed": None, "temperature": 0}, input_message="Hi"
    )
    assert [message["role"] for message in step.sent["messages"]] == ["user"]
    assert step.sent.keys() & {"max_tokens", "seed"} == set()
    assert step.sent["temperature"] == 0


async def test_a_reasoning_model_gets_no_defaults(step: Step) -> None:
    await step.run(named("o3-mini"), input_message="Hi")
    assert step.sent.keys() & {"max_tokens", "max_completion_tokens", "temperature"} == set()
    await step.run(named("o3-mini", max_tokens=7), input_message="Hi")
    assert step.sent["max_completion_tokens"] == 7


@pytest.mark.parametrize(("limit", "sent"), [({}, 5), ({"max_history": 2}, 2), ({"max_history": 0}, 0)])
async def test_the_newest_messages_of_the_history_are_sent(step: Step, limit: JsonObject, sent: int) -> None:
    for _ in range(4):
        await step.run({"retain_history": True}, input_message="Hello")
        step.next_turn()
    await step.run({"retain_history": True, **limit}, input_message="And now")
    assert len(step.sent["messages"]) == 1 + sent + 1
    assert step.sent["messages"][-1] == {"role": "user", "content": "And now"}


@pytest.mark.parametrize("message", ["", " ", None])
async def test_there_must_be_a_message(step: Step, model: FakeModel, message: str | None) -> None:
    with pytest.raises(ProcessorInputError, match=r"input\.input_message"):
        await step.run(input_message=message)
    assert model.requests == []


async def test_an_answer_may_follow_a_schema(step: Step) -> None:
    schema = {"type": "object", "required": ["answer"]}
    output = await step.run(named("json", response_schema=schema), input_message="Hello")
    assert output["parsed"] == {"answer": "Hello"}
    with pytest.raises(AnswerMismatchError):
        await step.run(named("echo", response_schema=schema), input_message="[]")


async def test_failures_keep_what_came_and_timeouts_are_kept(step: Step, model: FakeModel) -> None:
    with pytest.raises(ProviderFailedError):
        await step.run(named("drop"), input_message="Hello")
    assert step.output.document()["text"] == "word0 word1 word2 "
    with pytest.raises(StepTimeoutError):
        await step.run(named("hang", timeout=0.2), input_message="Hello")
    await model.until_aborted()


def test_a_definition_of_upstreams_loads() -> None:
    definition: JsonObject = {
        "name": "Structured Data Extractor",
        "input_fields": [{"name": "text"}],
        "processors": [
            {
                "id": "llm2",
                "provider_slug": "promptly",
                "processor_slug": "llm",
                "input": {"input_message": "Extract from\n--\n{{_inputs0.text}}\n--\n"},
                "config": {
                    "seed": None, "objref": False, "max_tokens": 1893, "max_history": 5, "temperature": 0,
                    "retain_history": False, "system_message": "Assistant that extracts",
                    "provider_config": {"model": "gpt-4o-mini", "provider": "openai"},
                },
            }
        ],
        "output_template": {"markdown": "{{llm2.text}} "},
    }  # fmt: skip
    plan, findings = compile_app(definition, {"promptly/llm": LLM})
    assert plan is not None, findings.faults
    assert [fault.loc for fault in findings.warnings] == ["processors[0].config.objref"]


def test_schemas_describe_every_field() -> None:
    for kind in (LLM.Input, LLM.Config, LLM.Output):
        properties = kind.model_json_schema()["properties"]
        assert all(described.get("description") for described in properties.values())
