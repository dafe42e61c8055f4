"""Apps that answer from datasources, over HTTP: both ways alike, in sessions, and what a client is told."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from llmstack_api.processors.extractive import NO_ANSWER
from llmstack_api.settings import Settings
from tests.datasources.calls import add_text, make_datasource
from tests.fake_model import FakeModel
from tests.runs.agents import serving
from tests.runs.streams import make_app, run, stitch, stream

LENDING = "A tool is lent for seven days. The loan can be extended once."
LATE = "Each day after the last one costs two euros."
QUESTION = "How long is a tool lent?"


@pytest.fixture
async def client(sqlite_settings: Settings, fake_model: FakeModel) -> AsyncGenerator[httpx.AsyncClient]:
    async with serving(sqlite_settings, fake_model) as opened:
        yield opened


@pytest.fixture
async def datasource(client: httpx.AsyncClient) -> str:
    made = await make_datasource(client)
    await add_text(client, made, LENDING, name="lending", lang="en", year=2024)
    await add_text(client, made, LATE, name="late", lang="en", year=2020)
    return made


def app(processor: str, output: dict[str, str], config: dict[str, Any], **inputs: str) -> dict[str, Any]:
    provider_slug, _, slug = processor.partition("/")
    return {
        "name": "Handbook",
        "input_fields": [{"name": name} for name in ("question", "filter")],
        "processors": [
            {
                "provider_slug": provider_slug,
                "processor_slug": slug,
                "input": inputs or {"question": "{{_inputs0.question}} "},
                "config": config,
            }
        ],
        "output": output,
    }


def chatbot(datasource: str, **config: Any) -> dict[str, Any]:
    output = {"answer": "{{_inputs1.answer}}", "sources": "{{_inputs1.citations}}"}
    return app("promptly/text_chat", output, {"datasource": [datasource], "k": 2, **config})


async def test_a_chatbot_streams_its_citations_before_its_answer_and_stitches_to_the_blocking_one(
    client: httpx.AsyncClient, datasource: str
) -> None:
    made = await make_app(client, chatbot(datasource, model="slow:50"))
    lines = await stream(client, made, QUESTION)
    keys = [key for line in lines for key in line if key in {"answer", "sources"}]
    assert keys[0] == "sources"
    assert keys.count("answer") > 3
    answer = await run(client, made, QUESTION)
    assert stitch(lines) == answer["output"]
    assert [source["source"] for source in answer["output"]["sources"]] == ["lending", "late"]
    assert answer["usage"]["output_tokens"]


async def test_the_model_is_shown_the_passages_and_the_session_keeps_the_bare_turn(
    client: httpx.AsyncClient, datasource: str, fake_model: FakeModel
) -> None:
    made = await make_app(client, chatbot(datasource))
    first = await run(client, made, QUESTION, session="one")
    assert LENDING in fake_model.last.body["messages"][-1]["content"]
    await run(client, made, "And if I am late?", session="one")
    assert fake_model.last.body["messages"][1:-1] == [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": first["output"]["answer"]},
    ]


async def test_a_filter_that_the_input_makes_is_applied_or_refused(
    client: httpx.AsyncClient, datasource: str
) -> None:
    made = await make_app(client, chatbot(datasource, search_filters="{{_inputs0.filter}}"))

    async def ask(text: str) -> httpx.Response:
        return await client.post(f"{made}/run", json={"input": {"question": QUESTION, "filter": text}})

    found = (await ask("year < 2021")).json()["output"]["sources"]
    assert [source["source"] for source in found] == ["late"]
    assert len((await ask("")).json()["output"]["sources"]) == 2
    refused = await ask("year = 2021")
    assert (refused.status_code, refused.json()["type"].rpartition("#")[2]) == (
        422,
        "invalid-processor-input",
    )
    assert "config.search_filters" in refused.json()["detail"]


async def test_a_datasource_that_was_deleted_since_is_told_at_run(
    client: httpx.AsyncClient, datasource: str, fake_model: FakeModel
) -> None:
    made = await make_app(client, chatbot(datasource))
    assert (await client.delete(f"/api/datasources/{datasource}")).status_code == 204
    refused = await client.post(f"{made}/run", json={"input": {"question": QUESTION}})
    assert refused.status_code == 422
    assert datasource in refused.json()["detail"]
    assert fake_model.requests == []


async def test_a_search_gives_hits_and_their_text(client: httpx.AsyncClient, datasource: str) -> None:
    output = {
        "hits": "{{_inputs1.answers}}",
        "text": "{{_inputs1.answers_text}}",
        "first": "{{_inputs1.answers[0].additional_properties.md_year}}",
    }
    made = await make_app(
        client,
        app(
            "promptly/datasource_search",
            output,
            {"datasources": [datasource], "document_limit": 1},
            query="{{_inputs0.question}}",
        ),
    )
    found = (await run(client, made, QUESTION))["output"]
    assert (len(found["hits"]), found["hits"][0]["content"], found["first"]) == (1, LENDING, 2024)
    assert found["text"].startswith(f"Content: {LENDING}\n\nSource: lending")
    assert stitch(await stream(client, made, QUESTION)) == found


async def test_a_quoting_app_needs_no_model(
    client: httpx.AsyncClient, datasource: str, fake_model: FakeModel
) -> None:
    output = {
        "answer": "{{_inputs1.answer}}",
        "sources": "{{_inputs1.citations}}",
        "answered": "{{_inputs1.answered}}",
        "generated": "{{_inputs1.generated}}",
    }
    made = await make_app(client, app("builtin/extractive", output, {"datasource": datasource}))
    answer = (await run(client, made, QUESTION))["output"]
    assert answer["answer"].startswith("A tool is lent for seven days. [1]")
    assert (answer["answered"], answer["generated"]) == (True, False)
    assert answer["sources"][0] | {"score": 0} == {
        "n": 1,
        "text": "A tool is lent for seven days.",
        "source": "lending",
        "score": 0,
    }
    assert stitch(await stream(client, made, QUESTION)) == answer
    nothing = (await run(client, made, "Who invented the steam engine?"))["output"]
    assert nothing == {"answer": NO_ANSWER, "sources": [], "answered": False, "generated": False}
    assert fake_model.requests == []


async def test_a_quoting_app_answers_from_what_a_search_before_it_found(
    client: httpx.AsyncClient, datasource: str
) -> None:
    definition = app(
        "promptly/datasource_search",
        {"answer": "{{_inputs2.answer}}"},
        {"datasources": [datasource]},
        query="{{_inputs0.question}}",
    )
    definition["processors"].append(
        {
            "provider_slug": "builtin",
            "processor_slug": "extractive",
            "input": {"question": "{{_inputs0.question}}", "passages": "{{_inputs1.answers}}"},
            "config": {"max_sentences": 1},
        }
    )
    made = await make_app(client, definition)
    assert (await run(client, made, QUESTION))["output"] == {"answer": "A tool is lent for seven days. [1]"}


@pytest.mark.parametrize(
    "safe",
    [
        "lang == {{ _inputs0.filter | to_json }}",
        {"type": "eq", "key": "lang", "value": "{{ _inputs0.filter }}"},
    ],
    ids=["text", "tree"],
)
async def test_a_value_from_outside_stays_a_value_of_the_filter(
    client: httpx.AsyncClient, datasource: str, safe: Any
) -> None:
    found = {"found": "{{_inputs1.answers}}"}
    config = {"datasources": [datasource], "search_filters": safe}
    made = await make_app(
        client, app("promptly/datasource_search", found, config, query="{{_inputs0.question}}")
    )
    for value, hits in (("en", 2), ('x" || lang == "en', 0)):
        given = {"question": "tool euros", "filter": value}
        answer = await client.post(f"{made}/run", json={"input": given})
        assert len(answer.json()["output"]["found"]) == hits
