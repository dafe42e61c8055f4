"""Servers that are killed and databases that go away while runs are going: nothing stays `running` for ever."""

import asyncio
import signal
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmstack_api.settings import Settings
from tests.command import environment, server_process
from tests.conftest import make_settings, migrate
from tests.fake_model import FakeModel
from tests.postgres import running_postgres
from tests.runs.streams import chat, last_run, make_app, run, stream
from tests.server import running_server

TOKEN = "a-bootstrap-token-of-more-than-32-characters"


def client_of(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Token": TOKEN}, timeout=10, verify=False)


async def test_a_run_that_was_going_when_the_process_died_is_interrupted_after_the_restart(
    database_url: str, tmp_path: Path, fake_model: FakeModel
) -> None:
    env = environment(
        tmp_path,
        database_url=database_url,
        bootstrap_token=TOKEN,
        openai_base_url=fake_model.base_url,
        openai_api_key="sk-x",
    )
    body: dict[str, Any] = {"input": {"question": "x"}, "stream": True}
    async with server_process(env=env, folder=tmp_path) as first, client_of(first.url) as client:
        app = await make_app(client, chat("hang-mid", retain_history=True))
        streams = [
            asyncio.create_task(
                client.post(f"{app}/run/{session}", json=body, headers={"Idempotency-Key": session})
            )
            for session in ("a", "b")
        ]
        await fake_model.until(lambda: fake_model.open_calls == 2)
        await first.end(signal.SIGKILL)
        for task in streams:
            with pytest.raises(httpx.RemoteProtocolError):
                await task
    async with server_process(env=env, folder=tmp_path) as second, client_of(second.url) as client:
        records = (await client.get("/api/runs")).json()
        fake_model.script("echo")
        again = await client.post(f"{app}/run/a", json=body, headers={"Idempotency-Key": "a"})
        messages = (await client.get(f"{app}/sessions/a")).json()["messages"]

    assert [record["status"] for record in records] == ["interrupted", "interrupted"]
    assert {record["errors"][0]["code"] for record in records} == {"run-interrupted"}
    assert all(record["finished_at"] for record in records)
    assert again.status_code == 200
    assert [message["role"] for message in messages["_inputs1"]] == ["user", "assistant"]


async def test_a_living_replica_keeps_its_runs_when_another_one_starts(
    postgresql_url: str, tmp_path: Path, fake_model: FakeModel
) -> None:
    settings = make_settings(
        tmp_path, postgresql_url, openai_base_url=fake_model.base_url, openai_api_key="sk-x"
    )
    async with running_server(settings) as one, one.client() as client:
        app = await make_app(client, chat("slow:10"))
        going = asyncio.create_task(run(client, app, "a b c d e f g h"))
        await fake_model.until(lambda: fake_model.open_calls == 1)
        async with running_server(settings) as two, two.client() as other:
            assert (await last_run(other))["status"] == "running"
        answer = await going

        assert answer["run"]["status"] == "succeeded"
        assert (await last_run(client))["status"] == "succeeded"


async def test_a_run_that_ends_while_the_database_is_away_is_stored_when_it_is_back(
    tmp_path: Path, fake_model: FakeModel
) -> None:
    with running_postgres() as postgres:
        postgres.create_database("away")
        await asyncio.to_thread(migrate, postgres.url("away"))
        settings = make_settings(
            tmp_path, postgres.url("away"), openai_base_url=fake_model.base_url, openai_api_key="sk-x"
        )
        async with running_server(settings) as server, server.client() as client:
            app = await make_app(client, chat("slow:10"))
            streamed = asyncio.create_task(stream(client, app, "a b c d e f"))
            await fake_model.until(lambda: fake_model.open_calls == 1)
            await asyncio.to_thread(postgres.stop)
            lines = await streamed
            refused = await client.get("/api/runs")
            ready = await client.get("/health/ready")
            await asyncio.to_thread(postgres.start)
            async with asyncio.timeout(30):
                while (await client.get("/health/ready")).status_code != 200:
                    await asyncio.sleep(0.1)
                while (record := await last_run(client))["status"] == "running":
                    await asyncio.sleep(0.1)

    assert lines[-2]["errors"][0]["code"] == "unavailable"
    assert lines[-1]["done"]["status"] == "failed"
    assert (refused.status_code, ready.status_code) == (503, 503)
    assert refused.headers["retry-after"]
    assert (record["status"], record["output"]) == ("succeeded", {"answer": "a b c d e f"})


async def test_a_client_that_takes_nothing_is_cut_and_holds_the_model_back(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    update = {"openai_base_url": fake_model.base_url, "write_timeout": 0.5, "heartbeat_interval": 0.2}
    update |= {"step_timeout": 60.0, "run_timeout": 60.0}
    slow = sqlite_settings.model_copy(update=update)
    async with running_server(slow, send_buffer=32_768) as server, server.client() as client:
        app = await make_app(client, chat("count:300000:batch=200"))
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        connection.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
        reader, writer = await asyncio.open_connection(sock=connection, limit=1024)
        body = b'{"input": {"question": "x"}, "stream": true}'
        writer.write(
            f"POST {app}/run HTTP/1.1\r\nHost: x\r\nToken: {await server.token()}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await reader.readline()
        async with asyncio.timeout(20):
            while (record := await last_run(client))["status"] == "running":
                await asyncio.sleep(0.05)
        writer.transport.abort()

    assert record["status"] == "cancelled"
    assert 10_000 < len(record["output"]["answer"]) < 1_000_000
    assert len(fake_model.aborted) == 1
