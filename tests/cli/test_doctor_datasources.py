import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from llmstack_api.cli import doctor_datasources as checks
from llmstack_api.cli.findings import Finding
from llmstack_api.ingest.reading.confinement import landlock_version
from llmstack_api.settings import Settings
from llmstack_api.vectors import edge
from tests.cli.test_doctor import SECRET, answering
from tests.conftest import make_settings
from tests.fake_model import FakeModel


@asynccontextmanager
async def qdrant(version: str, *, key: str | None = None) -> AsyncGenerator[str]:
    """Answer what a Qdrant server answers to the doctor; its first page needs no key."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split(" ", 2)[1]
        given = f"\r\napi-key: {key}\r\n" in head
        if path == "/":
            status, body = "200 OK", {"title": "qdrant - vector search engine", "version": version}
        elif key and not given:
            status, body = "401 Unauthorized", {"error": f"wrong key {SECRET}"}
        else:
            assert path.endswith("/exists")
            status, body = "200 OK", {"result": {"exists": False}, "status": "ok", "time": 0.0}
        text = json.dumps(body)
        writer.write(
            f"HTTP/1.1 {status}\r\ncontent-length: {len(text)}\r\nconnection: close\r\n\r\n{text}".encode()
        )
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def found(folder: Path, **given: object) -> Finding:
    return await checks.vector_store(make_settings(folder, None, **given))


# --- the vector store ------------------------------------------------------------------------------------


async def test_vectors_are_kept_in_a_folder_that_is_not_made_by_looking(tmp_path: Path) -> None:
    finding = await found(tmp_path / "data")
    assert (finding.kind, finding.subject) == ("ok", "vector store")
    assert f"{tmp_path / 'data' / 'vectors'} is not there yet" in finding.text
    assert not (tmp_path / "data").exists()


async def test_a_folder_of_vectors_that_is_there_is_looked_at_itself(tmp_path: Path) -> None:
    (tmp_path / "vectors").mkdir()
    finding = await found(tmp_path)
    assert finding.kind == "ok"
    assert finding.text.startswith(f"{tmp_path / 'vectors'} can be written, ")


async def test_a_folder_of_vectors_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "vectors").touch()
    finding = await found(tmp_path)
    assert finding.kind == "problem"
    assert "LLMSTACK_DATA_DIR" in finding.text


async def test_less_room_than_vectors_are_stored_with_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert edge.RESERVE == checks.RESERVE
    monkeypatch.setattr(checks, "RESERVE", 2**62)  # what no disk has
    finding = await found(tmp_path)
    assert finding.kind == "problem"
    assert "make room" in finding.text


async def test_a_qdrant_server_of_a_version_that_is_known_is_well(tmp_path: Path) -> None:
    async with qdrant("1.20.0", key=SECRET) as url:
        finding = await found(tmp_path, qdrant_url=url, qdrant_api_key=SecretStr(SECRET))
    assert finding == Finding("ok", "vector store", f"{url} answers, Qdrant 1.20.0")


async def test_a_later_qdrant_server_without_a_key_is_well(tmp_path: Path) -> None:
    async with qdrant("2.0.0-dev") as url:
        finding = await found(tmp_path, qdrant_url=url)
    assert finding == Finding("ok", "vector store", f"{url} answers, Qdrant 2.0.0-dev")


@pytest.mark.parametrize("version", ["1.19.2", "0.11.7", "unknown"])
async def test_an_older_qdrant_server_is_a_problem(tmp_path: Path, version: str) -> None:
    async with qdrant(version) as url:
        finding = await found(tmp_path, qdrant_url=url)
    assert finding == Finding(
        "problem", "vector store", f"{url} is Qdrant {version}; 1.20 or later is needed"
    )


async def test_a_qdrant_server_that_refuses_the_key_is_a_problem(tmp_path: Path) -> None:
    async with qdrant("1.20.0", key="the right one") as url:
        finding = await found(tmp_path, qdrant_url=url, qdrant_api_key=SecretStr(SECRET))
    assert finding.kind == "problem"
    assert "LLMSTACK_QDRANT_API_KEY" in finding.text
    assert SECRET not in finding.text


async def test_something_else_in_the_place_of_qdrant_is_a_problem(tmp_path: Path) -> None:
    for body in (b"<html>", b"[]", b'{"version": 1}'):
        async with answering("200 OK", body) as url:
            finding = await found(tmp_path, qdrant_url=url.removesuffix("/v1"))
        assert finding.kind == "problem"
        assert "is LLMSTACK_QDRANT_URL right?" in finding.text


async def test_a_qdrant_server_that_is_not_running_is_a_problem(tmp_path: Path) -> None:
    finding = await found(tmp_path, qdrant_url="http://127.0.0.1:1/")
    assert finding.kind == "problem"
    assert finding.text == "http://127.0.0.1:1: The Qdrant server cannot be reached. Is it running?"


async def test_an_address_of_qdrant_without_a_port_is_pointed_out(tmp_path: Path) -> None:
    finding = await found(tmp_path, qdrant_url="http://me:geheim@127.0.0.1/prefix")
    assert finding.kind == "problem"
    assert ":6333" in finding.text
    assert "geheim" not in finding.text


# --- the embedding model ---------------------------------------------------------------------------------


async def test_the_bundled_model_is_tried(tmp_path: Path) -> None:
    finding = await checks.embedding(make_settings(tmp_path, None))
    assert finding.kind == "ok"
    assert finding.text == "builtin/wordllama-256, which comes with the server, 256 dimensions"


async def embedding_at(fake_model: FakeModel, tmp_path: Path, model: str) -> Finding:
    settings = make_settings(
        tmp_path,
        None,
        embedding_base_url=fake_model.base_url,
        embedding_model=model,
        embedding_api_key=SecretStr(SECRET),
    )
    return await checks.embedding(settings)


async def test_an_embedding_endpoint_is_asked_for_one_word(tmp_path: Path, fake_model: FakeModel) -> None:
    finding = await embedding_at(fake_model, tmp_path, "dim:16")
    assert finding == Finding("ok", "embedding", f"{fake_model.base_url}: dim:16, 16 dimensions")
    assert len(fake_model.requests) == 1


async def test_an_embedding_endpoint_that_refuses_the_key_is_a_problem(
    tmp_path: Path, fake_model: FakeModel
) -> None:
    finding = await embedding_at(fake_model, tmp_path, "key:another")
    assert finding.kind == "problem"
    assert "LLMSTACK_EMBEDDING_BASE_URL" in finding.text
    assert SECRET not in finding.text


async def test_an_embedding_endpoint_without_a_model_is_a_problem(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, None, embedding_base_url="http://127.0.0.1:1/v1")
    finding = await checks.embedding(settings)
    assert finding.kind == "problem"
    assert "LLMSTACK_EMBEDDING_MODEL" in finding.text


# --- the worker ------------------------------------------------------------------------------------------


def settings_with(tmp_path: Path, **given: object) -> Settings:
    return make_settings(tmp_path, None, **given)


def test_serve_works_unless_told_otherwise(tmp_path: Path) -> None:
    assert checks.worker(settings_with(tmp_path)).kind == "ok"


def test_without_its_own_worker_another_is_asked_for(tmp_path: Path) -> None:
    finding = checks.worker(settings_with(tmp_path, worker=False, qdrant_url="http://127.0.0.1:6333"))
    assert finding.kind == "note"
    assert "llmstack-api worker" in finding.text


def test_vectors_in_the_data_directory_without_a_worker_are_a_problem(tmp_path: Path) -> None:
    finding = checks.worker(settings_with(tmp_path, worker=False))
    assert finding.kind == "problem"
    assert "LLMSTACK_WORKER" in finding.text


async def test_it_says_what_keeps_the_process_that_reads_files() -> None:
    finding = await checks.reading()
    version = landlock_version()
    if version:
        assert finding.kind == "ok"
        assert finding.text.endswith(f"(Landlock {version})")
    else:
        assert finding.kind == "note"
