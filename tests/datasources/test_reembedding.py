"""Another embedding model, and an index that was lost: searches go on, and find all of it in the end."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmstack_api.settings import Settings
from tests.datasources.calls import make_datasource, search
from tests.datasources.endpoints import with_endpoint
from tests.datasources.points import BUNDLED, points_of, until_points
from tests.datasources.watching import (
    LOOK,
    SMALL_CHUNKS,
    all_ready,
    chunks_found,
    entries_of,
    long_text,
    send_text,
)
from tests.fake_model import FakeModel
from tests.ingest.making import docx, paragraph, sheet_rows, xlsx
from tests.server import running_server

ENTRIES = 40
CHUNKS = 3
SLOW = "delay:0.05"


async def change_model(client: httpx.AsyncClient, datasource: str, model: str) -> dict[str, Any]:
    answer = await client.patch(f"/api/datasources/{datasource}", json={"embedding": {"model": model}})
    assert answer.status_code == 200, answer.text
    return answer.json()["embedding"]


async def until_model(client: httpx.AsyncClient, datasource: str, model: str, *, within: float = 30) -> None:
    """Wait until searches use a model."""
    shown: dict[str, Any] = {}
    try:
        async with asyncio.timeout(within):
            while (shown.get("model"), shown.get("next_model", "?")) != (model, None):
                await asyncio.sleep(LOOK)
                shown = (await client.get(f"/api/datasources/{datasource}")).json()["embedding"]
    except TimeoutError:
        raise AssertionError(f"it did not take over: {shown}") from None


async def fill(client: httpx.AsyncClient, datasource: str, *, first: int = 0, many: int = ENTRIES) -> None:
    for number in range(first, first + many):
        await send_text(client, datasource, long_text(f"herring no{number}", CHUNKS), number=number)


async def assert_all_found(client: httpx.AsyncClient, datasource: str) -> int:
    """See that every chunk of every entry is found once; return how many there are."""
    rows = await all_ready(client, datasource, within=20)
    for row in rows:
        only = {"type": "eq", "key": "number", "value": row["entry_metadata"]["number"]}
        found = await chunks_found(client, datasource, "herring", filters=only, mode="semantic")
        assert found == list(range(row["chunks_count"])), row
    return sum(row["chunks_count"] for row in rows)


async def test_another_model_takes_over_while_searches_go_on(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    settings = with_endpoint(sqlite_settings, fake_model, model_name=SLOW)
    async with running_server(settings) as server, server.client() as client:
        datasource = await make_datasource(client, "text", config=SMALL_CHUNKS, embedding={"model": BUNDLED})
        await fill(client, datasource)
        before = await all_ready(client, datasource, within=20)
        changed = await change_model(client, datasource, SLOW)
        assert changed == {"model": BUNDLED, "dimension": 256, "next_model": SLOW}
        over = asyncio.Event()
        seen: list[int] = []

        async def look(mode: str) -> None:
            while not over.is_set():
                seen.append(len(await search(client, datasource, "herring", limit=20, mode=mode)))

        async with asyncio.TaskGroup() as group:
            looking = [group.create_task(look(mode)) for mode in ("hybrid", "keyword")]
            await fake_model.until(lambda: len(fake_model.requests) > 10)
            await fill(client, datasource, first=ENTRIES, many=5)
            key = f"/api/datasources/{datasource}/entries"
            for row in before[:3]:
                assert (await client.delete(f"{key}/{row['uuid']}")).status_code == 204
            for row in before[3:6]:
                assert (await client.post(f"{key}/{row['uuid']}/resync")).status_code == 202
            await until_model(client, datasource, SLOW)
            await fill(client, datasource, first=ENTRIES + 5, many=5)
            over.set()
            await asyncio.wait(looking)
        assert 0 not in seen
        assert len(seen) > 10
        chunks = await assert_all_found(client, datasource)
        assert chunks == (ENTRIES - 3 + 10) * CHUNKS
        await until_points(server, datasource, 0)
        await until_points(server, datasource, chunks, model=SLOW)

        async with asyncio.timeout(10):
            while (
                await client.patch(f"/api/datasources/{datasource}", json={"embedding": {"model": BUNDLED}})
            ).status_code == 409:
                await asyncio.sleep(LOOK)
        await until_model(client, datasource, BUNDLED)
        await assert_all_found(client, datasource)
        await until_points(server, datasource, chunks)
        await until_points(server, datasource, 0, model=SLOW)


async def test_a_model_that_was_chosen_and_taken_back_leaves_all_as_it_was(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    settings = with_endpoint(sqlite_settings, fake_model, model_name=SLOW)
    async with running_server(settings) as server, server.client() as client:
        datasource = await make_datasource(client, "text", config=SMALL_CHUNKS, embedding={"model": BUNDLED})
        await fill(client, datasource)
        await all_ready(client, datasource, within=20)
        await change_model(client, datasource, SLOW)
        await fake_model.until(lambda: len(fake_model.requests) > 5)
        await change_model(client, datasource, BUNDLED)
        await until_model(client, datasource, BUNDLED)
        await until_points(server, datasource, await assert_all_found(client, datasource))
        await until_points(server, datasource, 0, model=SLOW)


async def test_a_server_that_ends_amid_a_change_of_model_goes_on_with_it_after_the_start(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    settings = with_endpoint(sqlite_settings, fake_model, model_name=SLOW)
    async with running_server(settings) as server, server.client() as client:
        datasource = await make_datasource(client, "text", config=SMALL_CHUNKS, embedding={"model": BUNDLED})
        await fill(client, datasource)
        await all_ready(client, datasource, within=20)
        await change_model(client, datasource, SLOW)
        await fake_model.until(lambda: len(fake_model.requests) > 5)
    async with running_server(settings) as server, server.client() as client:
        await until_model(client, datasource, SLOW)
        await assert_all_found(client, datasource)
        await until_points(server, datasource, 0)


async def test_a_model_that_is_away_takes_over_when_it_is_back_and_the_old_one_serves_until_then(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    settings = with_endpoint(sqlite_settings, fake_model, model_name="status:503:times=3")
    async with running_server(settings) as server, server.client() as client:
        datasource = await make_datasource(client, "text", config=SMALL_CHUNKS, embedding={"model": BUNDLED})
        await fill(client, datasource, many=3)
        await all_ready(client, datasource, within=20)
        await change_model(client, datasource, "status:503:times=3")
        await fake_model.until(lambda: len(fake_model.requests) >= 1)
        assert len(await search(client, datasource, "herring")) == 3 * CHUNKS
        await until_model(client, datasource, "status:503:times=3", within=50)
        await until_points(server, datasource, 0)
        assert await points_of(server, datasource, model="status:503:times=3") == 3 * CHUNKS


@pytest.mark.parametrize("how", ["deleted", "emptied", "garbled"])
async def test_an_index_that_was_lost_is_filled_again_from_the_database(
    sqlite_settings: Settings, how: str
) -> None:
    async with running_server(sqlite_settings) as server, server.client() as client:
        datasource = await make_datasource(client, "text", config=SMALL_CHUNKS)
        await fill(client, datasource)
        await all_ready(client, datasource, within=20)
    await asyncio.to_thread(lose, sqlite_settings.data_dir / "vectors", how)
    async with running_server(sqlite_settings) as server, server.client() as client:
        await until_points(server, datasource, ENTRIES * CHUNKS)
        await until_model(client, datasource, BUNDLED)
        assert await assert_all_found(client, datasource) == ENTRIES * CHUNKS
        await fill(client, datasource, first=ENTRIES, many=2)
        await assert_all_found(client, datasource)
        assert len(await entries_of(client, datasource)) == ENTRIES + 2


def lose(folder: Path, how: str) -> None:
    (collection,) = [path for path in folder.iterdir() if path.is_dir()]
    match how:
        case "deleted":
            shutil.rmtree(folder)
        case "emptied":
            shutil.rmtree(collection / "shard" / "segments")
        case _:
            for file in (collection / "shard").rglob("*"):
                if file.is_file():
                    file.write_bytes(b"garbage")


async def upload(client: httpx.AsyncClient, datasource: str, name: str, data: bytes) -> None:
    answer = await client.post(
        f"/api/datasources/{datasource}/entries",
        files={"file": (name, data)},
        params={"wait": 30},
        timeout=40,
    )
    assert answer.json()["status"] == "READY", answer.text


async def assert_tables_found(client: httpx.AsyncClient, datasource: str) -> None:
    """See that a row of a sheet, and one of a table in a document, are found with what names them."""
    title = "Spare parts of the crane"
    only = {
        "type": "and",
        "filters": [
            {"type": "eq", "key": "sheet", "value": "Data"},
            {"type": "eq", "key": "table", "value": title},
        ],
    }
    rows = await search(client, datasource, "torque of Bearing 17", filters=only, mode="keyword")
    assert rows[0]["content"] == "Part: Bearing 17\nTorque: 17"
    assert (rows[0]["metadata"]["sheet"], rows[0]["metadata"]["table"]) == ("Data", title)
    cut = (await search(client, datasource, "torque of Sprocket 157", mode="keyword"))[0]
    path = f"/api/datasources/{datasource}/entries/{cut['entry_uuid']}/text_content"
    text = (await client.get(path)).json()["content"]
    own = text[cut["chunk"]["start"] : cut["chunk"]["end"]]
    assert "Sprocket 157 | 1570" in own
    assert cut["content"] == f"Part | Torque (Nm)\n{own}"
    assert cut["metadata"]["table"] == "Torques"


async def test_rows_are_found_by_sheet_and_table_and_with_their_names_before_and_after(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    bearings = [[f"Bearing {number}", number] for number in range(1, 40)]
    sheet = xlsx(sheet_rows(["Spare parts of the crane"], ["Part", "Torque"], *bearings))
    rows = [("Part", "Torque (Nm)"), *((f"Sprocket {number}", f"{number}0") for number in range(1, 200))]
    lines = "".join(
        f"<w:tr><w:tc>{paragraph(part)}</w:tc><w:tc>{paragraph(torque)}</w:tc></w:tr>"
        for part, torque in rows
    )
    caption = '<w:tblPr><w:tblCaption w:val="Torques"/></w:tblPr>'
    settings = with_endpoint(sqlite_settings, fake_model, model_name=SLOW)
    async with running_server(settings) as server, server.client() as client:
        datasource = await make_datasource(client, "file", embedding={"model": BUNDLED})
        await upload(client, datasource, "parts.xlsx", sheet)
        await upload(client, datasource, "manual.docx", docx(f"<w:tbl>{caption}{lines}</w:tbl>"))
        await assert_tables_found(client, datasource)
        await change_model(client, datasource, SLOW)
        await until_model(client, datasource, SLOW)
        await assert_tables_found(client, datasource)
