"""Workers and replicas as processes of their own, and what a server without datasources does not load."""

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.command import COMMAND, TIMEOUT, environment, run_command
from tests.conftest import make_settings
from tests.datasources.calls import make_datasource, search
from tests.datasources.endpoints import with_endpoint
from tests.datasources.qdrants import PickyQdrant
from tests.datasources.watching import (
    LOOK,
    SMALL_CHUNKS,
    Clock,
    all_ready,
    entries_of,
    long_text,
    send_text,
    until_entry,
)
from tests.fake_model import FakeModel
from tests.server import running_server

READY = b"llmstack-api worker is ready\n"
SLOW = {
    *("qdrant_client", "qdrant_edge", "numpy", "tokenizers", "semantic_text_splitter", "pypdfium2_raw"),
    *("python_calamine", "trafilatura", "lxml", "pgqueuer", "cryptography", "jsonschema_rs", "mcp", "httpx2"),
}
IMPORTS = """
import asyncio, sys
from llmstack_api.settings import Settings
from llmstack_api.app import create_app

async def main():
    app = create_app(Settings.load(_env_file=None))
    async with app.router.lifespan_context(app):
        await asyncio.sleep(2.5)  # the first rounds of upkeep

asyncio.run(main())
print(*(name for name in sys.modules if "." not in name))
"""


@asynccontextmanager
async def worker_process(env: dict[str, str], folder: Path, name: str) -> AsyncGenerator[Process]:
    """Run `worker` until the context is left."""
    with (folder / f"{name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "worker", env=env, cwd=folder, stdin=DEVNULL, stdout=PIPE, stderr=log
        )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(TIMEOUT):
            line = await process.stdout.readline()
        assert line == READY, (folder / f"{name}.log").read_text()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def terminate(process: Process) -> tuple[int, float]:
    """Send SIGTERM; return the exit code and the seconds that it took."""
    took = Clock()
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(TIMEOUT):
        return await process.wait(), took()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "LLMSTACK_DATABASE_URL"),
        ({"qdrant_url": "http://127.0.0.1:1"}, "LLMSTACK_DATABASE_URL"),
        ({"database_url": "postgresql+asyncpg://x@127.0.0.1:1/x"}, "LLMSTACK_QDRANT_URL"),
    ],
    ids=["nothing", "sqlite", "no qdrant"],
)
async def test_a_worker_refuses_settings_that_no_other_process_could_share(
    tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    done = await run_command("worker", env=environment(tmp_path, **settings), folder=tmp_path)
    assert done.code != 0
    assert done.out == ""
    (line,) = done.err.splitlines()
    assert said in line


async def test_a_server_without_worker_refuses_to_keep_vectors_for_itself(tmp_path: Path) -> None:
    done = await run_command("serve", env=environment(tmp_path, worker="false"), folder=tmp_path)
    assert done.code != 0
    (line,) = done.err.splitlines()
    assert "LLMSTACK_WORKER" in line
    assert "LLMSTACK_QDRANT_URL" in line


@pytest.mark.timeout(120)
async def test_workers_do_the_work_of_a_server_that_has_none_and_take_over_from_each_other(
    postgresql_url: str, tmp_path: Path, qdrant: PickyQdrant, fake_model: FakeModel
) -> None:
    model = "delay:1"
    shared: dict[str, Any] = {
        "database_url": postgresql_url,
        "qdrant_url": qdrant.url,
        "embedding_base_url": fake_model.base_url,
        "embedding_model": model,
    }
    settings = make_settings(tmp_path / "server", postgresql_url, qdrant_url=qdrant.url, worker=False)
    settings = with_endpoint(settings, fake_model, model_name=model)
    async with running_server(settings) as server, server.client() as client:
        datasource = await make_datasource(client, "text", config=SMALL_CHUNKS)
        sent = [await send_text(client, datasource, long_text(f"herring{n}", 3)) for n in range(40)]
        assert {row["status"] for row in await entries_of(client, datasource)} == {"PROCESSING"}
        env = environment(tmp_path / "one", **shared)
        async with worker_process(env, tmp_path, "one") as one:
            await fake_model.until(lambda: len(fake_model.requests) >= 2, within=20)
            async with worker_process(environment(tmp_path / "two", **shared), tmp_path, "two") as two:
                code, took = await terminate(one)
                assert code == 0
                assert took < 6
                since = Clock()
                rows = await all_ready(client, datasource, within=30)
                assert since() < 10
                assert {row["uuid"] for row in rows} == set(sent)
                assert {row["chunks_count"] for row in rows} == {3}
                hits = await search(client, datasource, "herring", limit=100, mode="semantic")
                chunks = {(hit["entry_uuid"], hit["chunk"]["number"]) for hit in hits}
                assert len(chunks) == len(hits) == 100

                last = await send_text(client, datasource, "the last herring")
                await until_entry(client, datasource, last, lambda row: row["status"] == "READY")
                code, took = await terminate(two)
                assert (code, took < 6) == (0, True)
        waiting = await send_text(client, datasource, "nobody is there")
        assert (await entries_of(client, datasource, status="PROCESSING"))[0]["uuid"] == waiting


@pytest.mark.timeout(90)
async def test_what_a_killed_worker_held_is_done_by_another_one(
    postgresql_url: str, tmp_path: Path, qdrant: PickyQdrant, fake_model: FakeModel
) -> None:
    model = "delay:1"
    shared: dict[str, Any] = {
        "database_url": postgresql_url,
        "qdrant_url": qdrant.url,
        "embedding_base_url": fake_model.base_url,
        "embedding_model": model,
    }
    settings = make_settings(tmp_path / "server", postgresql_url, qdrant_url=qdrant.url, worker=False)
    settings = with_endpoint(settings, fake_model, model_name=model)
    async with running_server(settings) as server, server.client() as client:
        datasource = await make_datasource(client, "text", config=SMALL_CHUNKS)
        async with worker_process(environment(tmp_path / "one", **shared), tmp_path, "one") as one:
            sent = [await send_text(client, datasource, long_text(f"herring{n}", 3)) for n in range(20)]
            await fake_model.until(lambda: len(fake_model.requests) >= 2, within=20)
            one.kill()
            await one.wait()
        async with worker_process(environment(tmp_path / "two", **shared), tmp_path, "two"):
            rows = await all_ready(client, datasource, within=30)
        assert {row["uuid"] for row in rows} == set(sent)
        hits = await search(client, datasource, "herring", limit=100, mode="semantic")
        assert len({(hit["entry_uuid"], hit["chunk"]["number"]) for hit in hits}) == len(hits) == 60


async def test_a_second_replica_without_qdrant_says_which_setting_shares_the_vectors(
    postgresql_url: str, tmp_path: Path
) -> None:
    one = make_settings(tmp_path / "one", postgresql_url)
    two = make_settings(tmp_path / "two", postgresql_url)
    async with running_server(one) as first, first.client() as client:
        datasource = await make_datasource(client, "text")
        await send_text(client, datasource, "the herring swims")
        await all_ready(client, datasource, within=20)
        async with running_server(two) as second, second.client() as other:
            answer = await other.post(f"/api/datasources/{datasource}/search", json={"query": "herring"})
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            assert "LLMSTACK_QDRANT_URL" in answer.json()["detail"]
            sent = [await send_text(other, datasource, f"herring number {n}") for n in range(10)]
            await all_ready(other, datasource, within=30)
            assert len(await search(client, datasource, "herring", limit=100)) == 1 + len(sent)
        assert len(await search(client, datasource, "herring", limit=100)) == 1 + len(sent)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_an_idle_server_has_not_loaded_what_is_not_always_needed(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url: str = request.getfixturevalue(f"{engine}_url")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", IMPORTS, env=environment(tmp_path, database_url=url), stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(TIMEOUT):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    loaded = set(out.decode().split()) & SLOW
    assert loaded == (set() if engine == "sqlite" else {"pgqueuer"})


async def test_a_server_answers_while_its_worker_waits_for_the_vector_store_and_the_entry_says_so(
    postgresql_url: str, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path, postgresql_url, qdrant_url="http://127.0.0.1:9")
    async with running_server(settings) as server, server.client() as client:
        datasource = await make_datasource(client, "text")
        entry = await send_text(client, datasource, "the herring swims")
        for _ in range(20):
            took = Clock()
            assert (await client.get("/health/ready")).status_code in {200, 503}
            assert took() < 1
            await asyncio.sleep(LOOK)
        row = await until_entry(client, datasource, entry, lambda row: row["error"] is not None)
        assert (row["status"], row["error"]["code"]) == ("PROCESSING", "vector-store-away")
