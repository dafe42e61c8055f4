"""`openai/chatgpt` before a real model server."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from pydantic import ValidationError

from llmstack_api.engine.ports import Json, JsonObject, Usage
from llmstack_api.engine.processor import StepMemory
from llmstack_api.errors import (
    AddressRefusedError,
    AnswerMismatchError,
    ProcessorInputError,
    ProviderFailedError,
    ProviderNotConfiguredError,
    ProviderRefusedError,
    StepTimeoutError,
)
from llmstack_api.llm.catalog import open_models
from llmstack_api.outbound import Egress
from llmstack_api.processors.openai_chatgpt import ChatGPT, ChatGPTConfig
from llmstack_api.settings import Settings
from tests.fake_model import FakeModel, fake_model_server
from tests.ports import make_ports
from tests.processors.step import Step

HELLO = {"role": "user", "content": "Hello there"}


class ChatGPTStep(Step):
    """A step of `openai/chatgpt` that says hello where nothing else is said."""

    async def run(self, config: JsonObject | None = None, **values: Any) -> JsonObject:
        return await super().run(config, **{"messages": [HELLO], **values})


@pytest.fixture
async def model() -> AsyncGenerator[FakeModel]:
    async with fake_model_server() as server:
        yield server


@pytest.fixture
async def step(model: FakeModel) -> AsyncGenerator[ChatGPTStep]:
    settings = Settings.load(
        openai_base_url=model.base_url, openai_api_key="sk-operators-key", _env_file=None
    )
    async with open_models(settings, Egress()) as models:
        yield ChatGPTStep(ChatGPT, make_ports(chat=models.of({})), model)


async def test_an_answer_streams_and_has_every_field_at_its_end(step: Step) -> None:
    output = await step.run(system_message="Be kind.")
    assert output == {
        "choices": [{"role": "assistant", "content": "Hello there"}],
        "text": "Hello there",
        "tool_calls": [],
        "finish_reason": "stop",
    }
    assert all(path == ("choices", 0, "content") for path, _ in step.chunks)
    assert step.usages == [Usage(4, 2)]
    assert step.sent == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": "Be kind."}, HELLO],
        "max_tokens": 1024,
        "temperature": 0.7,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_the_answer_is_the_same_when_it_is_not_streamed(step: Step) -> None:
    output = await step.run({"stream": False})
    assert output["text"] == "Hello there"
    assert step.sent["stream"] is False
    assert len(step.chunks) == 1


async def test_what_the_app_sets_is_sent_and_what_it_leaves_empty_is_not(step: Step) -> None:
    await step.run(
        {
            "model": "some-model",
            "max_tokens": 7,
            "temperature": 0,
            "top_p": 0.5,
            "seed": 0,
            "stop": ["\n"],
            "presence_penalty": 0.0,
            "frequency_penalty": 1,
            "logit_bias": {"50256": -100},
            "function_call": {},
            "reasoning_effort": "",
            "response_schema": "",
        },
        functions=[{}, {"name": ""}],
    )
    assert step.sent == {
        "model": "some-model",
        "messages": [HELLO],
        "max_tokens": 7,
        "temperature": 0,
        "top_p": 0.5,
        "seed": 0,
        "stop": ["\n"],
        "presence_penalty": 0.0,
        "frequency_penalty": 1,
        "logit_bias": {"50256": -100},
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize("name", ["o3-mini", "gpt-5", "openai/gpt-5.1"])
async def test_reasoning_models_get_their_own_parameters_and_no_defaults(step: Step, name: str) -> None:
    await step.run({"model": name})
    assert "max_tokens" not in step.sent
    assert "temperature" not in step.sent
    await step.run({"model": name, "max_tokens": 9, "reasoning_effort": "low"})
    assert step.sent["max_completion_tokens"] == 9
    assert step.sent["reasoning_effort"] == "low"


async def test_an_empty_system_message_is_not_sent(step: Step) -> None:
    await step.run(system_message=" \n")
    assert step.sent["messages"] == [HELLO]


async def test_upstreams_empty_function_calls_are_dropped(step: Step) -> None:
    await step.run(
        messages=[
            {"role": "user", "content": "Look", "name": "", "function_call": {}},
            {"role": "assistant", "content": "", "function_call": {}},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": {"x": 1}}},
            {"role": "function", "name": "f", "content": ""},
        ]
    )
    assert step.sent["messages"] == [
        {"role": "user", "content": "Look"},
        {"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": '{"x":1}'}},
        {"role": "function", "content": "", "name": "f"},
    ]


@pytest.mark.parametrize(("content", "sent"), [(7, "7"), (True, "true"), ([1, "a"], '[1,"a"]'), ({}, "{}")])
async def test_content_of_another_type_is_written_as_json(step: Step, content: Json, sent: str) -> None:
    await step.run(messages=[{"content": content}])
    assert step.sent["messages"] == [{"role": "user", "content": sent}]


async def test_an_empty_user_message_is_named(step: Step, model: FakeModel) -> None:
    with pytest.raises(ProcessorInputError, match=r"messages\[1\]\.content"):
        await step.run(messages=[HELLO, {"role": "user", "content": " "}])
    assert model.requests == []


@pytest.mark.parametrize("messages", [[], [{"role": "assistant", "content": ""}]])
async def test_there_must_be_a_message(step: Step, messages: list[JsonObject]) -> None:
    with pytest.raises(ProcessorInputError, match="messages"):
        await step.run(messages=messages)


async def test_a_history_of_the_apps_own_comes_before_the_messages(step: Step) -> None:
    history = [{"role": "user", "content": "One"}, {"role": "assistant", "content": "Two"}]
    await step.run(chat_history=[*history, {"role": "user", "content": ""}], system_message="S")
    assert step.sent["messages"] == [{"role": "system", "content": "S"}, *history, HELLO]


async def test_a_turn_is_remembered_only_when_it_is_to_be(step: Step) -> None:
    await step.run()
    assert step.memory.learned == []
    await step.run({"retain_history": True}, messages=[{"role": "system", "content": "Now"}, HELLO])
    assert step.memory.learned == [HELLO, {"role": "assistant", "content": "Hello there"}]


async def test_the_history_stands_between_system_message_and_messages(step: Step) -> None:
    earlier = ({"role": "user", "content": "One"}, {"role": "assistant", "content": "Two"})
    step.memory = StepMemory(history=earlier)
    await step.run({"retain_history": True}, system_message="S")
    assert step.sent["messages"] == [{"role": "system", "content": "S"}, *earlier, HELLO]


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        ({}, 60),
        ({"auto_prune_chat_history": True}, 20),
        ({"auto_prune_chat_history": True, "chat_history_limit": 3}, 3),
        ({"chat_history_limit": 4}, 4),
        ({"chat_history_limit": 0}, 0),
        ({"chat_history_limit": 100}, 60),
    ],
)
async def test_the_newest_of_the_history_are_sent(step: Step, config: JsonObject, kept: int) -> None:
    earlier = [{"role": "user", "content": f"{number}"} for number in range(60)]
    step.memory = StepMemory(history=tuple(earlier))
    await step.run(config)
    assert step.sent["messages"] == [*earlier[60 - kept :], HELLO]


async def test_a_result_that_lost_its_call_is_not_sent(step: Step) -> None:
    step.memory = StepMemory(
        history=(
            {"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
            {"role": "assistant", "content": "One"},
        )
    )
    await step.run({"chat_history_limit": 2})
    assert step.sent["messages"] == [{"role": "assistant", "content": "One"}, HELLO]


async def test_a_function_call_comes_back_joined_and_is_remembered(step: Step) -> None:
    functions = [{"name": "look_up", "description": "", "parameters": {"type": "object"}}, {"name": "other"}]
    output = await step.run({"model": "tools", "retain_history": True}, functions=functions)
    call = {"name": "look_up", "arguments": '{"input":"Hello there"}'}
    assert output["choices"] == [{"role": "assistant", "content": "", "function_call": call}]
    assert output["finish_reason"] == "function_call"
    assert step.sent["functions"] == [
        {"name": "look_up", "parameters": {"type": "object"}},
        {"name": "other", "parameters": {"type": "object", "properties": {}}},
    ]
    assert step.memory.learned[-1] == {"role": "assistant", "content": "", "function_call": call}
    await step.run({"model": "tools", "function_call": "none"}, functions=functions)
    assert step.sent["function_call"] == "none"


async def test_calls_of_tools_come_back_joined_and_are_not_remembered(step: Step) -> None:
    output = await step.run({"model": "tools:unasked", "retain_history": True})
    function = {"name": "unasked", "arguments": '{"input":"Hello there"}'}
    assert output["tool_calls"] == [{"id": "call_1", "type": "function", "function": function}]
    assert step.memory.learned == [HELLO]


async def test_more_choices_than_were_asked_for_are_nonsense(step: Step) -> None:
    with pytest.raises(ProviderFailedError, match="more than the 1 answers"):
        await step.run({"model": "choices:2"})


async def test_reasoning_streams_into_its_own_field(step: Step) -> None:
    output = await step.run({"model": "reasoning"})
    assert output["reasoning"] == "Let me think."
    assert output["text"] == "Hello there"


async def test_every_choice_is_given(step: Step) -> None:
    output = await step.run({"n": 3})
    assert [choice["content"] for choice in output["choices"]] == ["Hello there"] * 3
    assert output["text"] == "Hello there"


async def test_an_empty_answer_has_empty_text(step: Step) -> None:
    output = await step.run({"model": "empty", "retain_history": True})
    assert output["text"] == ""
    assert output["choices"] == [{"role": "assistant", "content": ""}]
    assert step.memory.learned == [HELLO]


async def test_a_schema_is_sent_and_the_answer_parsed(step: Step) -> None:
    schema = {"title": "My answer!", "type": "object"}
    output = await step.run({"model": "json", "response_schema": schema})
    assert output["parsed"] == {"answer": "Hello there"}
    assert step.sent["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "My_answer_", "schema": schema},
    }
    assert (await step.run({"model": "json", "response_schema": '{"type": "object"}'}))["parsed"]
    assert step.sent["response_format"]["json_schema"]["name"] == "response"


async def test_an_answer_that_is_not_the_json_asked_for_is_a_mismatch(step: Step) -> None:
    with pytest.raises(AnswerMismatchError, match="response_schema"):
        await step.run({"model": "json:bad", "response_schema": {"type": "object"}})


def test_a_schema_that_is_no_json_is_refused_at_save() -> None:
    with pytest.raises(ValidationError, match="must be an object or its JSON"):
        ChatGPTConfig.model_validate({"response_schema": "{"})


async def test_a_call_may_take_its_timeout_and_no_more(step: Step, model: FakeModel) -> None:
    with pytest.raises(StepTimeoutError, match=r"config\.timeout, 0\.2 s"):
        await step.run({"model": "hang", "timeout": 0.2})
    await model.until_aborted()
    assert (await step.run({"timeout": 5}))["text"] == "Hello there"


async def test_what_came_before_a_failure_was_emitted(step: Step) -> None:
    with pytest.raises(ProviderFailedError):
        await step.run({"model": "drop"})
    assert "".join(text for _, text in step.chunks) == "word0 word1 word2 "
    assert step.memory.learned == []


async def test_a_refusal_of_the_provider_is_told(step: Step) -> None:
    with pytest.raises(ProviderRefusedError):
        await step.run({"model": "status:401"})


async def test_another_address_goes_through_the_guard(step: Step, model: FakeModel) -> None:
    with pytest.raises(AddressRefusedError):
        await step.run({"base_url": f"{model.base_url} "})
    assert model.accepted == 0
    await step.run({"base_url": " "})
    assert model.accepted == 1


async def test_another_provider_needs_its_own_model_and_settings(step: Step) -> None:
    with pytest.raises(ProcessorInputError, match=r"config\.model"):
        await step.run({"provider": "acme"})
    with pytest.raises(ProviderNotConfiguredError):
        await step.run({"provider": "acme", "model": "m"})
    await step.run({"model": ""})
    assert step.sent["model"] == "gpt-4o-mini"


def test_schemas_describe_every_field() -> None:
    for kind in (ChatGPT.Input, ChatGPT.Config, ChatGPT.Output):
        properties = kind.model_json_schema()["properties"]
        assert all(described.get("description") for described in properties.values())
