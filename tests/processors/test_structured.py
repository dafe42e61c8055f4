"""Answers that follow a JSON Schema, from the request to the stream of an app's output."""

import asyncio
import itertools
import json
import string
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from llmstack_api.engine.graph import compile_app
from llmstack_api.engine.ports import (
    Capability,
    ChatDelta,
    ChatRequest,
    DeltaReceiver,
    Json,
    JsonObject,
    Usage,
)
from llmstack_api.engine.runner import ActiveRun, Ending, Limits, RunRequest
from llmstack_api.errors import AnswerMismatchError
from llmstack_api.llm.catalog import open_models
from llmstack_api.outbound import Egress
from llmstack_api.processors.openai_chatgpt import ChatGPT, ChatGPTConfig
from llmstack_api.processors.structured import response_format
from llmstack_api.settings import Settings
from tests.apps.calls import locs
from tests.fake_model import FakeModel, fake_model_server
from tests.ports import make_ports
from tests.processors.step import Step
from tests.runs.streams import chat, last_run, make_app, run, stitch, stream
from tests.server import running_server

ANYTHING: JsonObject = {"title": "anything"}
EVENT: JsonObject = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "seats": {"type": "integer"},
        "at": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
    "required": ["title"],
}
ANSWER: JsonObject = {
    "title": 'One "two" three\n\U0001f600',
    "tags": ["a b", "c"],
    "seats": 12,
    "at": {"city": "Ulm an der Donau", "free": None},
    "no": [],
    "of": {},
    "empty": "",
}


class Says:
    """A chat model that says a text in the pieces that it is told."""

    def __init__(self, pieces: Sequence[str], finish_reason: str = "stop", **more: Any) -> None:
        self._deltas = [ChatDelta(text=piece) for piece in pieces]
        self._deltas.append(ChatDelta(finish_reason=finish_reason, **more))

    def default_model(self, provider: str, capability: Capability = "chat") -> str | None:
        return f"{provider} {capability}"

    async def chat(self, request: ChatRequest, receive: DeltaReceiver) -> Usage:
        assert request.parameters["response_format"]["type"] == "json_schema"
        for delta in self._deltas:
            await receive([delta])
            await asyncio.sleep(0)
        return Usage(1, 2)


def start(model: Says, output: JsonObject, *, streamed: bool, schema: JsonObject = ANYTHING) -> ActiveRun:
    definition = {**chat("some-model", response_schema=schema), "output": output}
    plan, findings = compile_app(definition, {"openai/chatgpt": ChatGPT})
    assert plan is not None, findings.faults
    return ActiveRun(
        RunRequest(
            plan=plan,
            inputs={"question": "?"},
            ports=make_ports(chat=model),
            limits=Limits(run_timeout=10, step_timeout=5, max_output_chars=1_000_000),
        ),
        streamed=streamed,
    )


async def both(pieces: Sequence[str], output: JsonObject) -> tuple[JsonObject, JsonObject]:
    """Run an app blocking and streamed; return the output and what its chunks make together."""
    blocking = await start(Says(pieces), output, streamed=False).finish()
    assert blocking.ending is Ending.SUCCEEDED, blocking.errors
    active = start(Says(pieces), output, streamed=True)
    lines: list[JsonObject] = []
    while (chunks := await active.sink.take()) is not None:
        lines.append(chunks)
    assert (await active.finish()).output == blocking.output
    return blocking.output, stitch(lines)


# Numbers beyond 64 bits and NUL, which stores cannot hold, are other tests' subject.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
NAMES = st.text(string.ascii_lowercase, max_size=5).map("m_{}".format)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=5), st.data())
def test_whatever_the_answer_and_its_cuts_the_stitched_stream_equals_the_blocking_output(
    answer: JsonObject, data: st.DataObject
) -> None:
    text = json.dumps(answer)
    places = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=12)) | {0, len(text)})
    pieces = [text[start:end] for start, end in itertools.pairwise(places)]
    output = {
        "whole": "{{_inputs1.parsed}}",
        **{f"at_{key}": f"{{{{_inputs1.parsed.{key}}}}}" for key in answer},
    }

    blocking, stitched = asyncio.run(both(pieces, output))

    expected = {"whole": answer, **{f"at_{key}": value for key, value in answer.items()}}
    assert blocking == expected
    assert stitched == expected


@pytest.mark.parametrize("answer", [[1, "a", {"b": []}], [], "a text", 7, None, False, {}])
async def test_an_answer_of_any_type_at_the_top_streams(answer: Json) -> None:
    blocking, stitched = await both(list(json.dumps(answer)), {"it": "{{_inputs1.parsed}}"})
    assert blocking == stitched == {"it": answer}


@pytest.fixture
async def model() -> AsyncGenerator[FakeModel]:
    async with fake_model_server() as server:
        yield server


@pytest.fixture
async def step(model: FakeModel) -> AsyncGenerator[Step]:
    """A step of a model that says what it is asked."""
    settings = Settings.load(
        openai_base_url=model.base_url, openai_api_key=SecretStr("sk-key"), _env_file=None
    )
    async with open_models(settings, Egress()) as models:
        yield Step(ChatGPT, make_ports(chat=models.of({})), model)


async def say(step: Step, text: str, schema: JsonObject | None = None, **config: Any) -> JsonObject:
    config["response_schema"] = schema or EVENT
    return await step.run(config, messages=[{"content": text}])


async def test_members_stream_one_by_one_as_they_arrive(step: Step) -> None:
    output = await say(step, json.dumps(ANSWER))
    assert output["parsed"] == ANSWER
    told = [path[1:] for path, _ in step.chunks if path[0] == "parsed"]
    assert [place for place, _ in itertools.groupby(told)] == [("title",), ("at", "city"), ("empty",)]
    assert step.items == [(("parsed", "tags"), "a b"), (("parsed", "tags"), "c")]
    assert output["text"] == json.dumps(ANSWER)


async def test_each_piece_of_a_string_goes_out_when_it_comes(model: FakeModel) -> None:
    pieces = ['{"a": "One', " two\\", 'n", "b', '": ["x", "y', '"], "c": 1}']
    step = Step(ChatGPT, make_ports(chat=Says(pieces)), model)
    output = await step.run({"response_schema": ANYTHING}, messages=[{"content": "?"}])
    assert output["parsed"] == {"a": "One two\n", "b": ["x", "y"], "c": 1}
    told = [text for path, text in step.chunks if path == ("parsed", "a")]
    assert told == ["One", " two", "\n"]


async def test_an_answer_in_one_piece_is_parsed_too(step: Step) -> None:
    assert (await say(step, json.dumps(ANSWER), stream=False))["parsed"] == ANSWER


async def test_a_fence_around_the_answer_does_no_harm(step: Step) -> None:
    assert (await say(step, f"```json\n{json.dumps(ANSWER)}\n```"))["parsed"] == ANSWER


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"title": 7}', 'parsed.title: the value is not of type "string" (it is 7)'),
        (
            '{"title": "x", "tags": ["a", null]}',
            'parsed.tags[1]: the value is not of type "string" (it is null)',
        ),
        ('{"seats": 1}', 'parsed: "title" is a required property'),
        ('{"title": "x", "title": "y"}', "has the member 'title' twice"),
        ('{"title": "x"} and so on', "there is more after the JSON: 'and so on'"),
        ("I would rather not.", 'It begins: "I would rather not."'),
        ('{"title": "x"', "it ends before the JSON is whole (finish reason: stop)"),
    ],
)
async def test_an_answer_that_does_not_fit_says_where_and_how(step: Step, text: str, said: str) -> None:
    with pytest.raises(AnswerMismatchError) as caught:
        await say(step, text)
    assert said in str(caught.value)
    assert step.usages
    assert step.memory.learned == []


async def test_a_refusal_is_quoted(step: Step) -> None:
    with pytest.raises(AnswerMismatchError, match=r'It begins: "I cannot help with that\."'):
        await say(step, "Hello", model="refusal")


async def test_no_answer_at_all_is_a_mismatch(step: Step) -> None:
    with pytest.raises(AnswerMismatchError, match="there is none"):
        await say(step, "Hello", model="empty")


@pytest.mark.parametrize(
    ("reason", "said"), [("length", "cut off at max_tokens"), ("content_filter", "content filter")]
)
@pytest.mark.parametrize("text", ['{"title": "One', ""])
async def test_an_answer_that_was_cut_off_says_by_what(reason: str, said: str, text: str) -> None:
    outcome = await start(Says([text], reason), {"it": "{{_inputs1.parsed.title}}"}, streamed=False).finish()
    assert outcome.ending is Ending.FAILED
    assert [error.slug for error in outcome.errors] == ["answer-mismatch"]
    assert said in str(outcome.errors[0])
    assert outcome.output.get("it", "") == ("One" if text else "")


async def test_an_answer_that_calls_a_function_need_not_follow_the_schema() -> None:
    call = {"name": "f", "arguments": "{}"}
    model = Says([], "function_call", function_call=call)
    outcome = await start(model, {"it": "{{_inputs1.choices[0].function_call}}"}, streamed=False).finish()
    assert outcome.ending is Ending.SUCCEEDED
    assert outcome.output == {"it": call}


async def test_what_came_before_the_stream_broke_stays(step: Step) -> None:
    with pytest.raises(Exception, match="broke"):
        await say(step, "Hello", model="drop")
    assert step.output.document()["choices"][0]["content"] == "word0 word1 word2 "


async def test_an_answer_longer_than_a_slice_is_read_whole() -> None:
    answer = {"rows": [{"n": number, "text": "x" * 20} for number in range(2000)]}
    blocking, stitched = await both([json.dumps(answer)], {"rows": "{{_inputs1.parsed.rows}}"})
    assert blocking == stitched == answer


# --- at save -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objekt"}, "is no JSON Schema"),
        ({"$ref": "https://example.com/schema"}, "only a place inside"),
        ("[1]", "dictionary"),
        ('{"type": 1}', "is no JSON Schema"),
    ],
)
def test_a_schema_that_is_none_is_refused(schema: Json, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ChatGPTConfig.model_validate({"response_schema": schema})


@pytest.mark.parametrize("schema", ["", " ", None, {}])
def test_a_blank_schema_is_none(schema: Json) -> None:
    assert not ChatGPTConfig.model_validate({"response_schema": schema}).response_schema


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        (
            {
                "type": "object",
                "properties": {
                    "a": {"type": ["string", "null"], "format": "date"},
                    "b": {"$ref": "#/$defs/b"},
                },
                "required": ["b", "a"],
                "additionalProperties": False,
                "$defs": {"b": {"type": "array", "items": {"anyOf": [{"const": 1}, {"enum": [2]}]}}},
            },
            True,
        ),
        ({"type": "object"}, False),
        ({"type": "array", "items": {"type": "string"}}, False),
        (EVENT, False),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string", "minLength": 1}},
                "required": ["a"],
                "additionalProperties": False,
            },
            False,
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "array", "items": {"type": "object"}}},
                "required": ["a"],
                "additionalProperties": False,
            },
            False,
        ),
        (
            {
                "type": "object",
                "properties": {f"p{number}": {"type": "string"} for number in range(101)},
                "required": [f"p{number}" for number in range(101)],
                "additionalProperties": False,
            },
            False,
        ),
    ],
)
def test_strict_mode_is_asked_for_where_the_schema_allows_it(schema: JsonObject, strict: bool) -> None:  # noqa: FBT001 # a case
    assert response_format(schema)["json_schema"].get("strict", False) is strict


# --- a whole app ---------------------------------------------------------------------------------------------


async def test_an_app_streams_its_keys_as_the_json_arrives_and_tells_what_does_not_fit(
    sqlite_settings: Settings, model: FakeModel
) -> None:
    limits = {"openai_base_url": model.base_url, "openai_api_key": SecretStr("sk-key")}
    async with (
        running_server(sqlite_settings.model_copy(update=limits)) as server,
        server.client() as client,
    ):
        definition = {
            **chat("echo", response_schema=EVENT),
            "output": {
                "title": "{{_inputs1.parsed.title}}",
                "tags": "{{ _inputs1.parsed.tags }} ",
                "seats": "{{_inputs1.parsed.seats}}",
                "line": "{{_inputs1.parsed.title | upcase}}: {{_inputs1.parsed.at.city}}",
            },
        }
        app = await make_app(client, definition)
        lines = await stream(client, app, json.dumps(ANSWER))
        blocking = await run(client, app, json.dumps(ANSWER))
        assert stitch(lines) == blocking["output"]
        assert blocking["output"]["title"] == ANSWER["title"]
        assert blocking["output"]["seats"] == 12
        assert blocking["output"]["line"].endswith(": Ulm an der Donau")

        failed = await client.post(f"{app}/run", json={"input": {"question": '{"title": 7}'}})
        assert failed.status_code == 502
        assert failed.json()["type"].endswith("answer-mismatch")
        assert "parsed.title" in failed.json()["detail"]
        record = await last_run(client)
        assert record["status"] == "failed"
        assert record["usage"]["output_tokens"] == 2

        definition = chat("echo", response_schema={"type": "objekt"})
        refused = await client.post("/api/apps", json=definition)
        assert locs(refused) == ["processors[0].config.response_schema"]
