"""Clients that leave, and servers that die, while a run is going."""

import asyncio
from typing import Any

import httpx
import pytest

from llmstack_api.runs.execution import Executor
from tests.fake_model import FakeModel
from tests.runs.streams import chat, last_run, make_app, run
from tests.server import RunningServer


async def until_recorded(client: httpx.AsyncClient, status: str) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while (record := await last_run(client))["status"] != status:
            await asyncio.sleep(0.01)
    return record


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "blocking"])
@pytest.mark.parametrize("model", ["hang", "slow:20"])
async def test_a_client_that_leaves_cancels_the_upstream_call_and_the_run_is_recorded_cancelled(
    client: httpx.AsyncClient, fake_model: FakeModel, server: RunningServer, model: str, *, streamed: bool
) -> None:
    app = await make_app(client, chat(model, retain_history=True))
    body = {"input": {"question": "word " * 200}, "stream": streamed}
    request = asyncio.create_task(client.post(f"{app}/run/s", json=body))
    await fake_model.until(lambda: fake_model.open_calls == 1)
    request.cancel()
    await asyncio.wait({request})
    await fake_model.until_aborted(within=1)
    record = await until_recorded(client, "cancelled")

    assert record["steps"][0]["status"] == "cancelled"
    assert record["finished_at"]
    assert (await client.get(f"{app}/sessions/s")).json()["messages"] == {}
    assert fake_model.open_calls == 0
    executor: Executor = server.app.state.executor
    assert executor.live == set()


async def test_the_next_turn_goes_on_after_one_was_cancelled(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, chat("slow:20", retain_history=True))
    request = asyncio.create_task(client.post(f"{app}/run/s", json={"input": {"question": "word " * 200}}))
    await fake_model.until(lambda: fake_model.open_calls == 1)
    waiting = asyncio.create_task(run(client, app, "two", session="s"))
    request.cancel()

    assert (await waiting)["output"] == {"answer": "two"}
    assert len(fake_model.last.body["messages"]) == 1


async def test_a_client_that_leaves_while_it_waits_for_its_turn_is_recorded_cancelled(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, chat("slow:20"))
    going = asyncio.create_task(run(client, app, "a b c d e f g h", session="s"))
    await fake_model.until(lambda: fake_model.open_calls == 1)
    waiting = asyncio.create_task(
        client.post(f"{app}/run/s", json={"input": {"question": "x"}, "stream": True})
    )
    async with asyncio.timeout(5):
        while len((await client.get("/api/runs")).json()) < 2:
            await asyncio.sleep(0.01)
    waiting.cancel()
    record = await until_recorded(client, "cancelled")

    assert record["steps"][0]["status"] == "skipped"
    assert (await going)["run"]["status"] == "succeeded"
    assert len(fake_model.requests) == 1
