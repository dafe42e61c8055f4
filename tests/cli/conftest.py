"""Fixtures of tests of `llmstack-api apps`: the command, and a server that it speaks to."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from llmstack_api.cli import main
from llmstack_api.settings import Settings
from tests.cli.apps import Command, Shown
from tests.command import TIMEOUT
from tests.fake_model import FakeModel
from tests.server import RunningServer, running_server


@pytest.fixture
async def sqlite_server(sqlite_settings: Settings, fake_model: FakeModel) -> AsyncGenerator[RunningServer]:
    given: dict[str, object] = {
        "openai_base_url": fake_model.base_url,
        "openai_api_key": SecretStr("sk-0"),
        "heartbeat_interval": 0.3,
    }
    async with running_server(sqlite_settings.model_copy(update=given)) as running:
        yield running


@pytest.fixture
async def sqlite_client(sqlite_server: RunningServer) -> AsyncGenerator[httpx.AsyncClient]:
    async with sqlite_server.client() as opened:
        yield opened


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command, in a folder of its own, with a token and no server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMSTACK_TOKEN", "lls_none")
    monkeypatch.setenv("LLMSTACK_URL", "http://127.0.0.1:1")

    async def call(*arguments: object) -> Shown:
        capsys.readouterr()
        async with asyncio.timeout(TIMEOUT):
            code = await asyncio.to_thread(main, ["apps", *map(str, arguments)])
        out, err = capsys.readouterr()
        return Shown(code, out, err)

    return call


@pytest.fixture
async def apps(sqlite_server: RunningServer, offline: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, with the address of a server and a token of it."""
    monkeypatch.setenv("LLMSTACK_URL", sqlite_server.url)
    monkeypatch.setenv("LLMSTACK_TOKEN", await sqlite_server.token())
    return offline
