"""How workers end: in time, whatever their threads, or the services that they wait for, do."""

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.command import COMMAND, TIMEOUT, environment, server_process
from tests.datasources.calls import make_datasource
from tests.datasources.watching import TOKEN, Clock, client_of, send_text
from tests.fake_model import FakeModel

GRACE = 1.0
STUCK = """
import sys, threading, time

threading.Thread(target=time.sleep, args=(600,)).start()  # nothing ends it, and Python waits for it

from llmstack_api.cli import main

sys.exit(main(sys.argv[1:]))
"""


@asynccontextmanager
async def working(*command: str, env: dict[str, str], folder: Path) -> AsyncGenerator[Process]:
    """Run a worker until the context is left."""
    process = await asyncio.create_subprocess_exec(
        *command, env=env, cwd=folder, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(TIMEOUT):
            assert await process.stdout.readline() == b"llmstack-api worker is ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
def env(postgresql_url: str, tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path, database_url=postgresql_url, qdrant_url="http://127.0.0.1:9")


async def test_a_worker_with_a_thread_that_never_ends_ends_all_the_same(
    env: dict[str, str], tmp_path: Path
) -> None:
    async with working(sys.executable, "-c", STUCK, "worker", env=env, folder=tmp_path) as process:
        took = Clock()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(TIMEOUT):
            _, err = await process.communicate()
        assert took() < 10
        assert process.returncode == 1
        assert b"Timeout" in err


async def test_a_second_signal_ends_a_worker_at_once(env: dict[str, str], tmp_path: Path) -> None:
    async with working(sys.executable, "-c", STUCK, "worker", env=env, folder=tmp_path) as process:
        assert process.stderr is not None
        took = Clock()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(TIMEOUT):
            while b"stopping" not in await process.stderr.readline():
                pass
            process.send_signal(signal.SIGINT)
            code = await process.wait()
        assert code in {128 + signal.SIGINT, -signal.SIGINT}  # the latter where the loop is closed already
        assert took() < 5


async def test_an_idle_worker_ends_at_once(env: dict[str, str], tmp_path: Path) -> None:
    async with working(*COMMAND, "worker", env=env, folder=tmp_path) as process:
        took = Clock()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(TIMEOUT):
            assert await process.wait() == 0
        assert took() < 5


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_a_server_whose_worker_waits_for_an_embedding_endpoint_that_hangs_ends_in_time(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path, fake_model: FakeModel
) -> None:
    env = environment(
        tmp_path,
        database_url=request.getfixturevalue(f"{engine}_url"),
        embedding_base_url=fake_model.base_url,
        embedding_model="hang",
        bootstrap_token=TOKEN,
        drain_grace=GRACE,
    )
    async with server_process(env=env, folder=tmp_path) as server, client_of(server.url) as client:
        datasource = await make_datasource(client, "text")
        for number in range(5):
            await send_text(client, datasource, f"herring number {number}")
        await fake_model.until(lambda: len(fake_model.requests) > 0, within=TIMEOUT)
        took = Clock()
        code, _ = await server.end(signal.SIGTERM)
        assert took() < GRACE + 3
        assert code == 0, server.log.read_text()


async def test_a_server_with_a_thread_that_never_ends_ends_all_the_same(tmp_path: Path) -> None:
    env = environment(tmp_path, drain_grace=GRACE)
    async with server_process(sys.executable, "-c", STUCK, "serve", env=env, folder=tmp_path) as server:
        took = Clock()
        code, _ = await server.end(signal.SIGTERM)
        assert took() < GRACE + 3
        assert code == 1
        assert "Timeout" in server.log.read_text()
