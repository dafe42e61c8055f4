import asyncio
import json
import re
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy
from pydantic import SecretStr

from llmstack_api.cli import doctor
from llmstack_api.db import open_database
from llmstack_api.ingest.reading.confinement import landlock_version
from llmstack_api.settings import Settings
from tests.cli.test_migration import FUTURE, revision_of
from tests.command import environment, run_command, server_process
from tests.conftest import make_settings
from tests.fake_model import FakeModel
from tests.postgres import PostgresServer

SECRET = "sk-a-secret-that-must-not-be-shown"
TIMEOUT = 20.0


def findings(text: str) -> dict[str, tuple[str, str]]:
    """Return each check's verdict and its words, by subject."""
    rows = [line for line in text.partition("\nChecks\n")[2].splitlines() if line.startswith("  ")]
    return {row[11:27].strip(): (row[2:10].strip(), row[28:]) for row in rows}


def examine(settings: Settings, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, tuple[str, str]]]:
    code = doctor.run(settings)
    return code, findings(capsys.readouterr().out)


def test_a_fresh_machine_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = examine(make_settings(tmp_path / "data", None), capsys)
    assert code == 0
    assert {subject: kind for subject, (kind, _) in found.items()} == {
        "data directory": "ok",
        "database": "ok",
        "vector store": "ok",
        "embedding": "ok",
        "worker": "ok",
        "reading files": "ok" if landlock_version() else "note",
        "provider openai": "note",
        "port 0": "ok",
    }
    assert not (tmp_path / "data").exists()


def test_a_current_database_of_either_engine_is_well(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = examine(settings, capsys)
    assert code == 0
    assert found["database"][0] == "ok"
    assert "at revision" in found["database"][1]


def test_a_database_of_a_newer_version_is_a_problem(
    sqlite_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    revision_of(sqlite_settings, becomes=FUTURE)
    code, found = examine(sqlite_settings, capsys)
    assert code == 1
    assert found["database"] == (
        "problem",
        f"SQLite, at revision {FUTURE}, made by a newer version: install that",
    )


def test_an_empty_postgresql_is_a_problem_with_its_cure(
    postgres: PostgresServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    postgres.create_database("empty_two")
    code, found = examine(make_settings(tmp_path, postgres.url("empty_two")), capsys)
    postgres.drop_database("empty_two")
    assert code == 1
    assert found["database"][0] == "problem"
    assert "run 'llmstack-api migrate'" in found["database"][1]
    assert "data directory" not in found


def test_a_postgresql_without_the_tables_of_the_jobs_is_a_problem(
    postgresql_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    async def drop() -> None:
        database = open_database(postgresql_settings.database)
        try:
            await database.connect(
                lambda connection: connection.execute(sqlalchemy.text("DROP SCHEMA jobs CASCADE"))
            )
        finally:
            await database.close()

    asyncio.run(drop())
    code, found = examine(postgresql_settings, capsys)
    assert code == 1
    assert found["database"][0] == "problem"
    assert "run 'llmstack-api migrate'" in found["database"][1]


@asynccontextmanager
async def answering(status: str, body: bytes = b"{}") -> AsyncGenerator[str]:
    """Answer every request alike; give the base URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def examine_provider(
    settings: Settings, base_url: str, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    settings = settings.model_copy(update={"openai_base_url": base_url, "openai_api_key": SecretStr(SECRET)})
    async with asyncio.timeout(TIMEOUT):
        code, found = await asyncio.to_thread(examine, settings, capsys)
    return code, *found["provider openai"]


async def test_a_provider_that_lists_models_is_well(
    sqlite_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    async with answering("200 OK", json.dumps({"data": []}).encode()) as base_url:
        assert await examine_provider(sqlite_settings, base_url, capsys) == (0, "ok", f"{base_url} answers")


async def test_a_provider_without_a_list_of_models_is_noted(
    sqlite_settings: Settings, fake_model: FakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_model.script("status:404")
    code, kind, text = await examine_provider(sqlite_settings, fake_model.base_url, capsys)
    assert (code, kind) == (0, "note")
    assert "LLMSTACK_OPENAI_BASE_URL" in text


async def test_a_provider_that_refuses_the_key_is_a_problem(
    sqlite_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {SECRET}"}}).encode()
    async with answering("401 Unauthorized", body) as base_url:
        code, kind, text = await examine_provider(sqlite_settings, base_url, capsys)
    assert (code, kind) == (1, "problem")
    assert "LLMSTACK_OPENAI_API_KEY" in text
    assert SECRET not in text


async def test_a_provider_that_is_not_running_is_a_problem(
    sqlite_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    code, kind, text = await examine_provider(sqlite_settings, "http://127.0.0.1:1/v1", capsys)
    assert (code, kind) == (1, "problem")
    assert "cannot be reached" in text


def test_a_provider_with_a_wrong_address_is_a_problem(
    sqlite_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = make_settings(sqlite_settings.data_dir, None, openai_base_url="http://me:geheim@127.0.0.1/v1")
    code = doctor.run(settings)
    text = capsys.readouterr().out
    assert code == 1
    assert findings(text)["provider openai"][0] == "problem"
    assert "geheim" not in text


def test_secrets_are_shown_as_set_only(sqlite_settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    secrets = {"openai_api_key": SecretStr(SECRET), "bootstrap_token": SecretStr("b" * 40)}
    doctor.run(sqlite_settings.model_copy(update=secrets | {"openai_base_url": "http://127.0.0.1:1/v1"}))
    text = capsys.readouterr().out
    assert re.search(r"LLMSTACK_OPENAI_API_KEY +set\n", text)
    assert re.search(r"LLMSTACK_BOOTSTRAP_TOKEN +set\n", text)
    assert SECRET not in text
    assert "bbb" not in text


def test_a_misspelt_setting_is_noted(
    sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLMSTACK_PROT", "3001")
    code, found = examine(sqlite_settings, capsys)
    assert code == 0
    assert found["environment"] == ("note", "LLMSTACK_PROT is no setting of this version: a misspelling?")


def test_a_data_directory_that_cannot_be_written_is_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    code, found = examine(make_settings(tmp_path / "file" / "data", None), capsys)
    assert code == 1
    assert found["data directory"][0] == "problem"
    assert "LLMSTACK_DATA_DIR" in found["data directory"][1]


def test_a_port_that_another_program_has_is_a_problem(
    sqlite_settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        taken.settimeout(0)
        code, found = examine(sqlite_settings.model_copy(update={"port": port}), capsys)
    assert code == 1
    assert found[f"port {port}"][0] == "problem"
    assert "already in use" in found[f"port {port}"][1]


async def test_a_server_of_ours_is_recognised(tmp_path: Path) -> None:
    env = environment(tmp_path / "data")
    async with server_process(env=env, folder=tmp_path) as server:
        port = server.url.rpartition(":")[2]
        finished = await run_command("doctor", env=env | {"LLMSTACK_PORT": port}, folder=tmp_path)
    found = findings(finished.out)
    assert finished.code == 0, finished.out
    assert found[f"port {port}"] == ("ok", "llmstack-api serves on 127.0.0.1")
    assert found["database"][0] == "ok"
