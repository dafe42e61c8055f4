"""Files over HTTP: found by what stands in them, or FAILED with the reason."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmstack_api.settings import Settings
from tests.datasources.calls import make_datasource, search, settled
from tests.datasources.watching import all_ready, entries_of
from tests.ingest.making import docx, paragraph
from tests.server import RunningServer, running_server

FILES = Path(__file__).parents[1] / "ingest" / "files"
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "pandoc_harbour.docx": ("storm lines in locker B", {"heading": "Mooring rules"}),
    "pandoc_harbour.odt": ("storm lines in locker B", {"heading": "Mooring rules"}),
    "pandoc_harbour.rtf": ("storm lines in locker B", {"heading": "Mooring rules"}),
    "pandoc_harbour.epub": ("storm lines in locker B", {"heading": "Mooring rules"}),
    "pandoc_harbour.html": ("storm lines in locker B", {"heading": "Mooring rules"}),
    "pypptx_kingfisher.pptx": ("Supplier delay of six weeks", {"page": 1, "heading": "Project Kingfisher"}),
    "libreoffice_kingfisher.odp": ("Supplier delay of six weeks", {"page": 1}),
    "openpyxl_products.xlsx": ("Brass cleat", {"page": 1, "heading": "Products", "sheet": "Products"}),
    "openpyxl_products.ods": ("Brass cleat", {"page": 1, "heading": "Products", "sheet": "Products"}),
    "openpyxl_products.xls": ("Brass cleat", {"page": 1, "heading": "Products", "sheet": "Products"}),
    "libreoffice_products.csv": ("Brass cleat", {}),
    "reportlab_report.pdf": ("The joining fee is 65 euros", {"page": 2}),
    "fpdf_cjk.pdf": ("東京支社の売上は増加した", {"page": 1}),
}
TYPES = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "odt": "application/vnd.oasis.opendocument.text",
    "rtf": "application/rtf",
    "epub": "application/epub+zip",
    "html": "text/html",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "xls": "application/vnd.ms-excel",
    "csv": "text/csv",
    "pdf": "application/pdf",
}


@pytest.fixture
async def server(sqlite_settings: Settings) -> AsyncGenerator[RunningServer]:
    async with running_server(sqlite_settings) as running:
        yield running


@pytest.fixture
async def client(server: RunningServer) -> AsyncGenerator[httpx.AsyncClient]:
    async with server.client() as opened:
        yield opened


async def upload(
    client: httpx.AsyncClient, datasource: str, name: str, data: bytes, **params: Any
) -> dict[str, Any]:
    answer = await client.post(
        f"/api/datasources/{datasource}/entries", files={"file": (name, data)}, params=params
    )
    assert answer.status_code in {201, 202}, answer.text
    return answer.json()


async def test_every_format_is_found_by_what_stands_in_it_with_where_it_stands(
    client: httpx.AsyncClient,
) -> None:
    datasource = await make_datasource(client, "file", config={"chunk_size": 300, "chunk_overlap": 0})
    for name in FORMATS:
        await upload(client, datasource, name, await asyncio.to_thread((FILES / name).read_bytes))
    rows = {row["name"]: row for row in await all_ready(client, datasource, within=40)}
    assert rows.keys() == FORMATS.keys()
    for name, (phrase, metadata) in FORMATS.items():
        assert rows[name]["mime_type"] == TYPES[name.rpartition(".")[2]]
        only = {"type": "eq", "key": "source", "value": name}
        hits = await search(client, datasource, phrase, filters=only, mode="hybrid")
        best = next((hit for hit in hits if phrase in flat(hit["content"])), None)
        assert best is not None, (name, [hit["content"][:80] for hit in hits])
        assert best["metadata"]["mime_type"] == rows[name]["mime_type"]
        assert metadata.items() <= best["metadata"].items(), (name, best["metadata"])


def flat(text: str) -> str:
    return " ".join(text.split())


async def test_each_row_of_a_table_is_found_as_a_passage_with_its_column_names(
    client: httpx.AsyncClient,
) -> None:
    datasource = await make_datasource(client, "csv_file")
    table = "city,river,bridges\n" + "".join(f"Town{n},River{n},{n}\n" for n in range(50))
    entry = await upload(client, datasource, "bridges.csv", table.encode(), wait=30)
    assert (entry["status"], entry["chunks_count"]) == ("READY", 50)
    hits = await search(client, datasource, "Town17", mode="keyword")
    assert hits[0]["content"].strip() == "city: Town17\nriver: River17\nbridges: 17"
    assert all(
        hit["score"] < hits[0]["score"] / 2 for hit in hits[1:]
    )  # other towns share a part of its name


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("encrypted_user.pdf", "encrypted"),
        ("encrypted.docx", "encrypted"),
        ("reportlab_scan.pdf", "no-text"),
        ("libreoffice_harbour.doc", "unsupported-type"),
    ],
)
async def test_a_file_that_cannot_be_read_has_failed_with_the_reason(
    client: httpx.AsyncClient, name: str, code: str
) -> None:
    datasource = await make_datasource(client, "file")
    data = await asyncio.to_thread((FILES / name).read_bytes)
    assert_failed(await upload(client, datasource, name, data, wait=30), code)
    assert await search(client, datasource, "anything") == []


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("broken.pdf", b"%PDF-1.4\nnothing that follows is one", "corrupt"),
        ("broken.docx", docx(paragraph("x") * 50)[:200], "corrupt"),
        ("blank.txt", b" \n\t\n ", "empty-file"),
        ("random.bin", bytes(range(256)) * 20, "unsupported-type"),
    ],
)
async def test_a_damaged_or_blank_file_has_failed_with_the_reason(
    client: httpx.AsyncClient, name: str, data: bytes, code: str
) -> None:
    datasource = await make_datasource(client, "file")
    assert_failed(await upload(client, datasource, name, data, wait=30), code)


def assert_failed(entry: dict[str, Any], code: str) -> None:
    assert entry["status"] == "FAILED"
    assert entry["error"]["stage"] == "extract"
    assert entry["error"]["code"] == code
    assert len(entry["error"]["message"]) > 10
    assert "/" not in entry["error"]["message"].replace("application/", "").replace("text/", "")


async def test_a_failed_file_that_is_sent_again_under_its_key_is_read_again(
    client: httpx.AsyncClient,
) -> None:
    datasource = await make_datasource(client, "file")
    path = f"/api/datasources/{datasource}/entries/by-key/manual"
    bad = await client.put(path, files={"file": ("manual.docx", docx(paragraph("x") * 50)[:200])})
    assert bad.status_code == 201
    assert_failed(await settled(client, datasource, bad.json()["uuid"]), "corrupt")
    good = await client.put(path, files={"file": ("manual.docx", docx(paragraph("The anchor holds.")))})
    assert (good.status_code, good.json()["uuid"]) == (202, bad.json()["uuid"])
    await all_ready(client, datasource, within=20)
    (hit,) = await search(client, datasource, "anchor")
    assert hit["content"].strip() == "The anchor holds."
    assert len(await entries_of(client, datasource)) == 1
