import asyncio
import json
import signal
import socket
import sqlite3
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from llmstack_api import auth
from llmstack_api.db import open_database
from llmstack_api.errors import StartError
from llmstack_api.serving import NO_TOKEN, serve
from llmstack_api.settings import Settings
from tests.command import environment, run_command, server_process
from tests.fake_model import FakeModel

TIMEOUT = 15.0
DONE_WITHIN = 3.0
"""Seconds after the grace within which a server is gone."""


@dataclass
class Served:
    """A server in this process, in the loop of the test."""

    url: str
    stop: asyncio.Event
    task: asyncio.Task[None]

    async def ended(self) -> float:
        """Wait for the end; return how long it took."""
        began = time.monotonic()
        async with asyncio.timeout(TIMEOUT):
            await self.task
        return time.monotonic() - began


@asynccontextmanager
async def served(settings: Settings) -> AsyncGenerator[Served]:
    stop, ready = asyncio.Event(), asyncio.Queue[str]()
    task = asyncio.create_task(serve(settings, stop=stop, announce=ready.put_nowait))
    first = asyncio.create_task(ready.get())
    async with asyncio.timeout(TIMEOUT):
        await asyncio.wait({task, first}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        first.cancel()
        await task
    try:
        yield Served(await first, stop, task)
    finally:
        stop.set()
        async with asyncio.timeout(TIMEOUT):
            await asyncio.wait({task})


async def make_token(settings: Settings) -> str:
    db = open_database(settings.database)
    try:
        account_id = await db.write(auth.ensure_account, "default")
        _, secret = await db.write(
            auth.create_token, account_id=account_id, name="t", scopes=list(auth.Scope), expires_at=None
        )
    finally:
        await db.close()
    return secret


@asynccontextmanager
async def client_of(url: str, token: str) -> AsyncGenerator[httpx.AsyncClient]:
    headers = {"Authorization": f"Token {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT, trust_env=False) as client:
        yield client


def with_model(settings: Settings, fake_model: FakeModel, *, grace: float) -> Settings:
    return settings.model_copy(
        update={
            "openai_base_url": fake_model.base_url,
            "openai_api_key": SecretStr("sk-x"),
            "drain_grace": grace,
        }
    )


async def make_app(client: httpx.AsyncClient, model: str) -> str:
    """Save an app that asks a model of the fake server; return the path of its runs."""
    step = {
        "provider_slug": "openai",
        "processor_slug": "chatgpt",
        "input": {"messages": [{"role": "user", "content": "{{_inputs0.question}}"}]},
        "config": {"model": model},
    }
    definition: dict[str, Any] = {
        "name": "Chat",
        "input_fields": [{"name": "question", "type": "string", "default": "Where are we?"}],
        "processors": [step],
        "output": {"answer": "{{_inputs1.text}}"},
    }
    response = await client.post("/api/apps", json=definition)
    assert response.status_code == 201, response.text
    return f"/api/apps/{response.json()['uuid']}/run"


async def make_large_app(client: httpx.AsyncClient) -> str:
    """Save an app that answers more than the sockets between it and its client can hold."""
    definition: dict[str, Any] = {
        "name": "Large",
        "input_fields": [{"name": "text", "type": "text"}],
        "output": {f"copy{number}": "{{_inputs0.text}}" for number in range(5)},
    }
    response = await client.post("/api/apps", json=definition)
    assert response.status_code == 201, response.text
    return f"/api/apps/{response.json()['uuid']}/run"


async def lines_of(response: httpx.Response) -> AsyncGenerator[dict[str, Any]]:
    async for line in response.aiter_lines():
        if line.strip():
            yield json.loads(line)


async def test_it_tells_its_address_and_closes_it_at_the_end(sqlite_settings: Settings) -> None:
    async with served(sqlite_settings) as server, client_of(server.url, "x") as client:
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/health/ready")).status_code == 200
        server.stop.set()
        assert await server.ended() < DONE_WITHIN
        with pytest.raises(httpx.ConnectError):
            await client.get("/health/live")


async def test_answers_name_no_server(sqlite_settings: Settings) -> None:
    async with served(sqlite_settings) as server, client_of(server.url, "x") as client:
        headers = (await client.get("/health/live")).headers
        assert "server" not in headers
        assert "date" in headers


async def test_draining_refuses_new_work_and_lets_what_runs_end(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    settings = with_model(sqlite_settings, fake_model, grace=10)
    token = await make_token(settings)
    async with served(settings) as server, client_of(server.url, token) as client:
        path = await make_app(client, "slow:20:count=20")
        async with client.stream("POST", path, json={"stream": True}) as response:
            lines = lines_of(response)
            assert "session" in await anext(lines)
            server.stop.set()
            async with client_of(server.url, token) as late:
                ready, refused = await late.get("/health/ready"), await late.post(path, json={})
                read = await late.get("/api/apps")
            rest = [line async for line in lines]
        assert (ready.status_code, refused.status_code, read.status_code) == (503, 503, 200)
        assert refused.json()["type"].endswith("draining")
        assert "retry-after" in refused.headers
        assert rest[-1]["done"]["status"] == "succeeded"
        assert await server.ended() < DONE_WITHIN


async def test_a_stream_over_the_grace_ends_with_errors_and_done(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    settings = with_model(sqlite_settings, fake_model, grace=0.3)
    token = await make_token(settings)
    async with served(settings) as server, client_of(server.url, token) as client:
        path = await make_app(client, "hang-mid")
        async with client.stream("POST", path, json={"stream": True}) as response:
            lines = lines_of(response)
            run = (await anext(lines))["run"]["id"]
            server.stop.set()
            *_, errors, done = [line async for line in lines]
        assert errors["errors"][0]["code"] == "run-interrupted"
        assert done["done"]["status"] == "interrupted"
        assert await server.ended() < DONE_WITHIN
    async with served(settings) as server, client_of(server.url, token) as client:
        assert (await client.get(f"/api/runs/{run}")).json()["status"] == "interrupted"


async def test_a_blocking_run_over_the_grace_is_answered_503(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    settings = with_model(sqlite_settings, fake_model, grace=0.3)
    token = await make_token(settings)
    async with served(settings) as server, client_of(server.url, token) as client:
        path = await make_app(client, "hang")
        run = asyncio.create_task(client.post(path, json={}))
        await fake_model.until(lambda: fake_model.open_calls > 0)
        server.stop.set()
        response = await run
        assert response.status_code == 503
        assert response.json()["type"].endswith("run-interrupted")
        assert await server.ended() < DONE_WITHIN


async def test_a_client_that_takes_nothing_cannot_hold_the_server(sqlite_settings: Settings) -> None:
    settings = sqlite_settings.model_copy(update={"drain_grace": 0.5})
    token = await make_token(settings)
    async with served(settings) as server, client_of(server.url, token) as client:
        path = await make_large_app(client)
        url = httpx.URL(server.url)
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)  # noqa: FBT003 # positional only
            loop = asyncio.get_running_loop()
            await loop.sock_connect(deaf, (url.host, url.port))
            body = json.dumps({"stream": True, "input": {"text": "x" * 3_000_000}})
            head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Token {token}\r\n"
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            await loop.sock_sendall(deaf, (head + body).encode())
            await loop.sock_recv(deaf, 64)
            server.stop.set()
            assert 0.5 <= await server.ended() < 0.5 + DONE_WITHIN


async def test_a_body_that_never_comes_cannot_hold_the_server(sqlite_settings: Settings) -> None:
    settings = sqlite_settings.model_copy(update={"drain_grace": 0.3})
    token = await make_token(settings)
    async with served(settings) as server:
        url = httpx.URL(server.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        head = f"POST /api/apps HTTP/1.1\r\nhost: x\r\nauthorization: Token {token}\r\n"
        head += "content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n"
        writer.write(head.encode())
        async with asyncio.timeout(TIMEOUT):
            await reader.readuntil(b"100 Continue")
        server.stop.set()
        assert await server.ended() < 0.3 + DONE_WITHIN
        writer.close()


async def test_stopped_before_it_is_ready_it_ends_without_a_word(sqlite_settings: Settings) -> None:
    stop = asyncio.Event()
    stop.set()
    said: list[str] = []
    async with asyncio.timeout(TIMEOUT):
        await serve(sqlite_settings, stop=stop, announce=said.append)
    assert said == []


async def test_without_any_token_it_says_how_to_make_one(
    sqlite_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    async with served(sqlite_settings) as server, client_of(server.url, "x") as client:
        await client.get("/health/live")
    assert NO_TOKEN in capsys.readouterr().err
    await make_token(sqlite_settings)
    async with served(sqlite_settings) as server, client_of(server.url, "x") as client:
        await client.get("/health/live")
    assert NO_TOKEN not in capsys.readouterr().err


async def test_a_taken_port_keeps_it_from_starting(sqlite_settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = sqlite_settings.model_copy(update={"port": taken.getsockname()[1]})
        with pytest.raises(StartError, match="LLMSTACK_PORT"):
            async with served(settings):
                pass


async def test_a_data_directory_that_is_a_file_keeps_it_from_starting(
    sqlite_settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StartError, match="LLMSTACK_DATA_DIR"):
        async with served(sqlite_settings.model_copy(update={"data_dir": file})):
            pass


async def test_a_file_that_is_no_database_keeps_it_from_starting(
    sqlite_settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "llmstack.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StartError, match=r"LLMSTACK_DATA_DIR: .*not a database"):
        async with served(sqlite_settings):
            pass


async def test_a_dead_postgresql_keeps_it_from_starting(sqlite_settings: Settings) -> None:
    url = SecretStr("postgresql+asyncpg://me:hidden@127.0.0.1:1/none")
    with pytest.raises(StartError, match="LLMSTACK_DATABASE_URL") as caught:
        async with served(sqlite_settings.model_copy(update={"database_url": url})):
            pass
    assert "hidden" not in str(caught.value)


# --- as a process ----------------------------------------------------------------------------------------


async def test_sigterm_ends_the_process_with_code_0_and_one_line_was_printed(tmp_path: Path) -> None:
    env = environment(tmp_path / "data")
    async with server_process(env=env, folder=tmp_path) as server:
        code, rest = await server.end(signal.SIGTERM)
    assert (code, rest) == (0, "")


async def test_a_second_signal_ends_it_at_once(tmp_path: Path, fake_model: FakeModel) -> None:
    env = environment(tmp_path / "data", openai_base_url=fake_model.base_url, drain_grace=300)
    async with server_process(env=env, folder=tmp_path) as server:
        made = await run_command("token", "create", "--account", "me", env=env, folder=tmp_path)
        async with client_of(server.url, made.out.strip()) as client:
            path = await make_app(client, "hang-mid")
            async with client.stream("POST", path, json={"stream": True}) as response:
                await anext(lines_of(response))
                server.process.send_signal(signal.SIGINT)
                async with client_of(server.url, "x") as probe, asyncio.timeout(TIMEOUT):
                    while (await probe.get("/health/ready")).status_code == 200:
                        pass
                code, _ = await server.end(signal.SIGTERM)
    assert code == 128 + signal.SIGTERM


async def test_a_database_that_hangs_cannot_hold_the_process(tmp_path: Path, fake_model: FakeModel) -> None:
    grace = 0.2
    env = environment(tmp_path / "data", openai_base_url=fake_model.base_url, drain_grace=grace)
    async with server_process(env=env, folder=tmp_path) as server:
        made = await run_command("token", "create", "--account", "me", env=env, folder=tmp_path)
        async with client_of(server.url, made.out.strip()) as client:
            path = await make_app(client, "hang-mid")
            async with client.stream("POST", path, json={"stream": True}) as response:
                await anext(lines_of(response))
                lock = sqlite3.connect(tmp_path / "data" / "llmstack.db")
                lock.execute("BEGIN IMMEDIATE")
                began = time.monotonic()
                await server.end(signal.SIGTERM)
                assert time.monotonic() - began < grace + DONE_WITHIN
                lock.close()


async def test_what_keeps_it_from_starting_is_one_line_and_code_2(tmp_path: Path) -> None:
    env = environment(tmp_path / "data", drain_grace="soon")
    finished = await run_command("serve", env=env, folder=tmp_path)
    assert finished.code == 2
    assert finished.out == ""
    assert finished.err.startswith("llmstack-api: LLMSTACK_DRAIN_GRACE: ")
    assert finished.err.count("\n") == 1
