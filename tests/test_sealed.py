"""The server and the commands on a read-only file system: all that is written is in the data directory."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import seal
from tests.command import COMMAND, server_process
from tests.datasources.calls import WAIT, make_datasource, search
from tests.ingest import making
from tests.sealed import BARE, require_sealing, sealed

FILES = Path(__file__).parent / "ingest" / "files"
UPLOADED = {
    "libreoffice_harbour.docx": "channel is VHF 12",
    "reportlab_report.pdf": "The joining fee is 65 euros.",
    "openpyxl_products.xlsx": "Brass cleat",
    "pypptx_kingfisher.pptx": "Supplier delay of six weeks",
    "libreoffice_harbour.html": "Lines are doubled above Beaufort 7.",
}
LARGE = 28 << 20
TIMEOUT = 100.0
NO_HOMES: list[dict[str, str]] = [{}, {"HOME": "/nonexistent", "TMPDIR": "/nonexistent"}]


def variables(**more: str) -> dict[str, str]:
    """Return the environment of a service that was told its data directory and no more."""
    return BARE | {"LLMSTACK_DATA_DIR": f"{seal.writable()}/data"} | more


async def finished(*command: str, env: dict[str, str]) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(TIMEOUT):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def upload(client: httpx.AsyncClient, datasource: str, name: str, data: bytes) -> dict[str, Any]:
    answer = await client.post(
        f"/api/datasources/{datasource}/entries", files={"file": (name, data)}, params=WAIT, timeout=TIMEOUT
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def large_document() -> bytes:
    """A document with little text and a picture that fills nearly a whole request."""
    picture: dict[str, Any] = {"word/media/a.png": os.urandom(LARGE)}
    return making.docx(making.paragraph("The mast is stepped in May."), **picture)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("home", NO_HOMES, ids=["no home", "no such home"])
async def test_a_server_needs_no_folder_but_its_own(tmp_path: Path, home: dict[str, str]) -> None:
    data, logs = tmp_path / "volume", tmp_path / "logs"
    data.mkdir()
    logs.mkdir()
    require_sealing(data)
    env = variables(**home)
    async with server_process(
        *sealed(data, *COMMAND, "serve", network="host"), env=env, folder=logs
    ) as server:
        code, token, err = await finished(
            *sealed(data, *COMMAND, "token", "create", "--account", "me"), env=env
        )
        assert code == 0, err
        headers = {"Authorization": f"Token {token.strip()}"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=TIMEOUT) as client:
            datasource = await make_datasource(client)
            for name, phrase in UPLOADED.items():
                entry = await upload(client, datasource, name, (FILES / name).read_bytes())
                assert entry["status"] == "READY", entry
                assert any(phrase in hit["content"] for hit in await search(client, datasource, phrase))
            entry = await upload(client, datasource, "large.docx", await asyncio.to_thread(large_document))
            assert entry["status"] == "READY", entry
            [hit] = await search(client, datasource, "When is the mast stepped?", limit=1)
            assert hit["content"] == "The mast is stepped in May."
            removed = await client.delete(f"/api/datasources/{datasource}")
            assert removed.status_code == 204
        code, report, err = await finished(*sealed(data, *COMMAND, "doctor", network="host"), env=env)
        assert "data directory   " in report, err
    assert os.listdir(data) == ["data"]  # noqa: PTH208 # pathlib is barred from async functions


@pytest.mark.timeout(240)
async def test_the_demo_needs_a_temporary_folder_and_no_network(tmp_path: Path) -> None:
    require_sealing(tmp_path)
    demo = sealed(tmp_path, *COMMAND, "demo")
    code, shown, err = await finished(*demo, env=BARE | {"TMPDIR": seal.writable()})
    assert code == 0, err
    assert "The server has ended" in shown
    assert os.listdir(tmp_path) == []  # noqa: PTH208 # pathlib is barred from async functions
    code, _, err = await finished(*demo, env=BARE)
    assert code == 2
    assert err.startswith("llmstack-api: the demo needs a folder for its data")
    assert err.count("\n") == 1


SORT = """
import asyncio, pathlib, sys
from sqlalchemy import text
from llmstack_api.db.sqlite import SQLiteDatabase

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000)"
SORTED = f"SELECT count(*) FROM ({NUMBERS} SELECT hex(randomblob(500)) AS a FROM n ORDER BY a LIMIT -1 OFFSET 1)"

async def main():
    db = SQLiteDatabase(pathlib.Path(sys.argv[1]))
    await db.connect(lambda connection: None)
    print(await db.read(lambda session: session.scalar(text(SORTED))))
    await db.close()

asyncio.run(main())
"""


async def test_sqlite_sorts_more_than_its_cache_holds(tmp_path: Path) -> None:
    require_sealing(tmp_path)
    command = (sys.executable, "-c", SORT, f"{seal.writable()}/a.db")
    assert await finished(*sealed(tmp_path, *command), env=BARE) == (0, "19999\n", "")
