"""A model server's faults, blocking and streamed: a typed error, what had arrived, a record, nothing left."""

import asyncio
from dataclasses import dataclass

import httpx
import pytest

from llmstack_api.runs.execution import Executor
from llmstack_api.settings import Settings
from tests.conftest import PROVIDER_KEY
from tests.fake_model import FakeModel
from tests.runs.streams import chat, last_run, make_app, stitch, stream
from tests.server import RunningServer, running_server


@dataclass(frozen=True)
class Fault:
    model: str
    status: int
    code: str
    arrived: str = ""
    calls: int = 1


FAULTS = [
    Fault("status:400", 424, "provider-refused"),
    Fault("status:401", 424, "provider-refused"),
    Fault("status:403", 424, "provider-refused"),
    Fault("status:404", 424, "provider-refused"),
    Fault("status:429", 503, "provider-busy", calls=3),
    Fault("status:429:retry-after=3600", 503, "provider-busy"),
    Fault("status:500", 502, "provider-failed", calls=3),
    Fault("status:503", 502, "provider-failed", calls=3),
    Fault("hang", 504, "provider-timeout"),
    Fault("hang-mid", 504, "provider-timeout", arrived="word0 word1 "),
    Fault("drop-before", 502, "provider-failed", calls=3),
    Fault("drop", 502, "provider-failed", arrived="word0 word1 word2 "),
    Fault("cut", 502, "provider-failed", arrived="half an "),
    Fault("malformed", 502, "provider-failed", arrived="good too "),
    Fault("error-event", 502, "provider-failed", arrived="word0 word1 "),
    Fault("html", 502, "provider-failed"),
    Fault("redirect", 502, "provider-failed"),
]


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "blocking"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.model)
async def test_every_fault_of_a_model_server_ends_in_a_typed_error(
    client: httpx.AsyncClient,
    fake_model: FakeModel,
    server: RunningServer,
    capfd: pytest.CaptureFixture[str],
    fault: Fault,
    *,
    streamed: bool,
) -> None:
    app = await make_app(client, chat(fault.model))
    if streamed:
        lines = await stream(client, app, "half an answer")
        (error,) = lines[-2]["errors"]
        assert lines[-1]["done"]["status"] == "failed"
        assert stitch(lines).get("answer", "") == fault.arrived
        assert (error["code"], error["processor"]) == (fault.code, "_inputs1")
        message = error["message"]
    else:
        answer = await client.post(f"{app}/run", json={"input": {"question": "half an answer"}})
        problem = answer.json()
        assert answer.status_code == problem["status"] == fault.status
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["type"].endswith(fault.code)
        assert problem["processor"] == "_inputs1"
        assert ("retry-after" in answer.headers) == (fault.status == 503)
        message = problem["detail"]
        assert problem["run_id"] == (await last_run(client))["id"]
    record = await last_run(client)

    assert record["status"] == "failed"
    assert [item["code"] for item in record["errors"]] == [fault.code]
    assert record["output"] == ({"answer": fault.arrived} if fault.arrived else {})
    assert record["steps"][0]["status"] == "failed"
    assert len(fake_model.requests) == fault.calls
    await fake_model.until(lambda: fake_model.open_calls == 0)
    executor: Executor = server.app.state.executor
    assert executor.live == set()
    assert {task.get_name() for task in asyncio.all_tasks()}.isdisjoint({"run"})
    assert fake_model.last.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    logged = capfd.readouterr()
    for text in (message, str(record), logged.out, logged.err):
        assert PROVIDER_KEY not in text


async def test_a_busy_model_is_asked_again_after_the_time_it_said(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, chat("status:429:retry-after=0:times=2"))
    answer = await client.post(f"{app}/run", json={"input": {"question": "hello"}})

    assert answer.status_code == 200
    assert answer.json()["output"] == {"answer": "hello"}
    assert len(fake_model.requests) == 3


@pytest.mark.parametrize("model", ["no-usage", "plain-json", "no-done", "crlf", "linger", "comments"])
async def test_what_servers_do_differently_is_no_fault(client: httpx.AsyncClient, model: str) -> None:
    app = await make_app(client, chat(model))
    lines = await stream(client, app, "hello there")

    assert lines[-1]["done"]["status"] == "succeeded"
    assert stitch(lines)["answer"]


async def test_a_provider_without_settings_is_named(sqlite_settings: Settings) -> None:
    async with running_server(sqlite_settings) as server, server.client() as client:
        app = await make_app(client, chat("gpt-4o-mini"))
        answer = await client.post(f"{app}/run", json={"input": {"question": "hello"}})

    assert answer.status_code == 424
    assert "LLMSTACK_OPENAI_API_KEY" in answer.json()["detail"]


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:9/v1", "http://localhost:9/v1", "http://169.254.169.254/v1", "http://[::1]/v1"],
)
async def test_an_address_in_an_app_goes_through_the_guard_and_gets_no_key(
    client: httpx.AsyncClient, fake_model: FakeModel, address: str
) -> None:
    saved = await client.post("/api/apps", json=chat("echo", base_url=address))
    answer = saved
    if saved.status_code == 201:
        answer = await client.post(f"/api/apps/{saved.json()['uuid']}/run", json={"input": {"question": "x"}})

    assert answer.status_code == 422
    assert "base_url" in answer.text or answer.json()["type"].endswith("address-refused")
    assert fake_model.requests == []
