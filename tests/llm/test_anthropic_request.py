"""What becomes of a request in OpenAI's wire form on its way to Anthropic's `/messages`."""

from dataclasses import replace
from typing import Any

import pytest

from llmstack_api.engine.ports import ChatRequest, JsonObject
from llmstack_api.errors import ProcessorInputError
from llmstack_api.llm.anthropic_request import OPENING, translate
from tests.llm.test_anthropic import CALL, HELLO, LOOK_UP


def body_for(*messages: JsonObject, **parameters: Any) -> JsonObject:
    return translate(
        ChatRequest(provider="anthropic", model="m", messages=messages or [HELLO], parameters=parameters)
    ).body


def test_turns_of_one_side_are_joined_and_blank_ones_left_out() -> None:
    body = body_for(
        {"role": "developer", "content": "One."},
        {"role": "user", "content": "a"},
        {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": " "}]},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "c"},
        {"role": "system", "content": "Two."},
        {"role": "assistant", "content": "d \n"},
    )
    assert body["system"] == "One.\n\nTwo."
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": text} for text in "abc"]},
        {"role": "assistant", "content": [{"type": "text", "text": "d"}]},
    ]


def test_a_conversation_that_the_assistant_begins_gets_an_opening() -> None:
    body = body_for({"role": "assistant", "content": "Welcome."}, HELLO)
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][0]["content"] == [{"type": "text", "text": OPENING}]


def test_images_are_sent_as_their_data_or_by_their_address() -> None:
    data = "iVBORw0KGgo="
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;name=a.png;base64,{data}"}},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{data}", "filename": "a.pdf"}},
    ]
    blocks = body_for({"role": "user", "content": parts})["messages"][0]["content"]
    assert blocks[1:] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}},
    ]


def test_parameters_have_anthropics_names_and_bounds() -> None:
    body = body_for(
        max_completion_tokens=5,
        temperature=1.7,
        top_p=0.9,
        stop=["END", " "],
        seed=7,
        presence_penalty=1,
        user="u1",
        reasoning_effort="minimal",
        top_k=3,
    )
    del body["messages"]
    assert body == {
        "model": "m",
        "max_tokens": 5,
        "temperature": 1,
        "top_p": 0.9,
        "top_k": 3,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"},
        "output_config": {"effort": "low"},
        "stream": True,
    }


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "look_up"}}},
            {"type": "tool", "name": "look_up"},
        ),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
    ],
)
def test_choices_of_tools_are_translated(given: JsonObject, sent: JsonObject | None) -> None:
    assert body_for(tools=[LOOK_UP], **given).get("tool_choice") == sent


def test_a_choice_without_tools_is_not_sent() -> None:
    assert "tool_choice" not in body_for(tool_choice="auto")


@pytest.mark.parametrize("arguments", ["{", "[1]", "7"])
def test_arguments_that_are_no_object_stay_visible(arguments: str) -> None:
    call = CALL | {"function": {"name": "look_up", "arguments": arguments}}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "no"}
    body = body_for(HELLO, {"role": "assistant", "tool_calls": [call]}, result)
    assert list(body["messages"][1]["content"][0]["input"]) == ["arguments"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"n": 2},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "array"}}}},
    ],
)
def test_what_anthropic_has_not_is_refused(parameters: JsonObject) -> None:
    with pytest.raises(ProcessorInputError):
        body_for(**parameters)


def test_neither_a_prompt_nor_silence_is_a_conversation() -> None:
    request = ChatRequest(provider="anthropic", model="m", messages=[])
    with pytest.raises(ProcessorInputError):
        translate(replace(request, prompt="Once"))
    with pytest.raises(ProcessorInputError):
        translate(request)


@pytest.mark.parametrize("url", ["data:image/png;base64,@@", "data:image/png"])
def test_an_image_that_is_no_data_uri_is_refused(url: str) -> None:
    with pytest.raises(ProcessorInputError, match="image"):
        body_for({"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]})
