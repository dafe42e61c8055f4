"""Apps that run other apps: streams, failures, bounds, and what a client's leaving ends."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from llmstack_api.settings import Settings
from tests.fake_model import FakeModel
from tests.runs.agents import serving
from tests.runs.streams import ECHO, chat, last_run, make_app, run, stitch, stream


@pytest.fixture
async def client(sqlite_settings: Settings, fake_model: FakeModel) -> AsyncGenerator[httpx.AsyncClient]:
    async with serving(sqlite_settings, fake_model) as opened:
        yield opened


def outer(inner: str, output: str = "{{_inputs1.text}}", **config: Any) -> dict[str, Any]:
    return {
        "name": "Outer",
        "input_fields": [{"name": "question"}],
        "processors": [
            {
                "provider_slug": "promptly",
                "processor_slug": "promptly_app",
                "input": {"input": {"question": "{{_inputs0.question}}"}},
                "config": {"promptly_app": inner.rpartition("/")[2], **config},
            }
        ],
        "output": {"answer": output},
    }


async def test_an_inner_app_streams_through(client: httpx.AsyncClient) -> None:
    app = await make_app(client, outer(await make_app(client, chat("slow:30"))))
    lines = await stream(client, app, "one two three")

    assert len([line for line in lines if "answer" in line]) > 1
    assert stitch(lines) == (await run(client, app, "one two three"))["output"] == {"answer": "one two three"}


async def test_all_keys_of_an_inner_app_are_there(client: httpx.AsyncClient) -> None:
    app = await make_app(client, outer(await make_app(client, ECHO), "{{_inputs1.output}}"))
    answer = (await run(client, app, "hi"))["output"]

    assert answer == {"answer": {"answer": "hi", "shout": "HI"}}
    assert stitch(await stream(client, app, "hi")) == answer


async def test_the_tokens_of_an_inner_app_count(client: httpx.AsyncClient) -> None:
    inner = await make_app(client, chat("echo"))
    usage = (await run(client, inner, "one two"))["usage"]

    assert (await run(client, await make_app(client, outer(inner)), "one two"))["usage"] == usage


async def test_the_tokens_of_an_inner_app_that_fails_count_too(client: httpx.AsyncClient) -> None:
    step = chat("echo")["processors"][0]
    spoiled = step | {"config": {"model": "echo", "response_schema": {"type": "object"}}}
    inner = await make_app(client, chat("echo") | {"processors": [spoiled]})
    answer = await client.post(
        f"{await make_app(client, outer(inner))}/run", json={"input": {"question": "no JSON"}}
    )

    assert answer.json()["type"].endswith("#answer-mismatch"), answer.text
    stored = (await client.get(f"/api/runs/{answer.json()['run_id']}")).json()
    assert stored["usage"]["output_tokens"] == len(["no", "JSON"])


async def test_input_that_the_inner_app_does_not_take_is_told(client: httpx.AsyncClient) -> None:
    inner = await make_app(client, {"name": "None", "output": {"a": "x"}})
    answer = await client.post(
        f"{await make_app(client, outer(inner))}/run", json={"input": {"question": "x"}}
    )

    assert answer.status_code == 422
    assert answer.json()["processor"] == "_inputs1"
    assert "'None' refuses it: input.question" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [("status:401", 424, "provider-refused"), ("drop:2", 502, "provider-failed")],
)
async def test_what_ends_the_inner_app_ends_the_outer_one(
    client: httpx.AsyncClient, model: str, status: int, code: str
) -> None:
    app = await make_app(client, outer(await make_app(client, chat(model))))
    answer = await client.post(f"{app}/run", json={"input": {"question": "x"}})

    assert answer.status_code == status
    assert answer.json()["type"].endswith(code)
    assert answer.json()["processor"] == "_inputs1"
    assert answer.json()["detail"].startswith("The app 'Chat' failed: ")


async def test_a_client_that_leaves_ends_the_calls_of_an_inner_app(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, outer(await make_app(client, chat("hang"))))
    with pytest.raises(httpx.ReadTimeout):
        await client.post(f"{app}/run", json={"input": {"question": "x"}}, timeout=0.5)

    await fake_model.until_aborted()
    assert (await last_run(client))["status"] == "cancelled"


async def test_an_app_that_runs_itself_by_a_name_that_a_template_makes_is_stopped(
    client: httpx.AsyncClient,
) -> None:
    definition = outer("x", promptly_app="{{_inputs0.question}}")
    app = await make_app(client, definition)
    answer = await client.post(f"{app}/run", json={"input": {"question": app.rpartition("/")[2]}})

    assert answer.status_code == 422
    assert "5 deep" in answer.json()["detail"]
    assert len(answer.json()["detail"]) < 1000


async def test_an_app_that_is_gone_is_told(client: httpx.AsyncClient) -> None:
    inner = await make_app(client, ECHO)
    app = await make_app(client, outer(inner))
    assert (await client.delete(inner)).status_code == 204
    answer = await client.post(f"{app}/run", json={"input": {"question": "x"}})

    assert answer.status_code == 422
    assert answer.json()["detail"].endswith("This account has no such app.")


async def test_an_inner_app_remembers_nothing(client: httpx.AsyncClient, fake_model: FakeModel) -> None:
    app = await make_app(client, outer(await make_app(client, chat("echo", retain_history=True))))
    await run(client, app, "first", session="s")
    await run(client, app, "second", session="s")

    assert len(fake_model.last.body["messages"]) == 1
