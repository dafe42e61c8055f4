"""Content that replaces other content while people search, and what is deleted before it was ready."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from llmstack_api.settings import Settings
from tests.datasources.calls import make_datasource, search, settled
from tests.datasources.endpoints import with_endpoint
from tests.datasources.points import points_of, until_no_rows, until_points
from tests.datasources.qdrants import picky_qdrant
from tests.datasources.watching import SMALL_CHUNKS, all_ready, long_text, send_text, until_entry
from tests.fake_model import FakeModel
from tests.server import RunningServer, running_server

ROUNDS = 20
AT_ONCE = 8


@pytest.fixture(params=["edge", "qdrant"])
async def server(
    request: pytest.FixtureRequest, sqlite_settings: Settings, tmp_path: Path
) -> AsyncGenerator[RunningServer]:
    """The application, once over each vector store."""
    if request.param == "edge":
        async with running_server(sqlite_settings) as running:
            yield running
        return
    async with picky_qdrant(tmp_path / "qdrant") as qdrant:
        update = {"qdrant_url": qdrant.url}
        async with running_server(sqlite_settings.model_copy(update=update)) as running:
            yield running


@pytest.fixture
async def client(server: RunningServer) -> AsyncGenerator[httpx.AsyncClient]:
    async with server.client() as opened:
        yield opened


def version_text(version: int) -> str:
    """Make a text whose chunks, two to four, all name the version."""
    return long_text(f"edition{version}", 2 + version % 3)


async def put(client: httpx.AsyncClient, datasource: str, key: str, content: str) -> httpx.Response:
    path = f"/api/datasources/{datasource}/entries/by-key/{key}"
    answer = await client.put(path, json={"entry_data": {"name": "book", "content": content}})
    assert answer.status_code in {200, 201, 202}, answer.text
    return answer


async def test_searches_find_either_the_whole_old_content_or_the_whole_new_one(
    server: RunningServer, client: httpx.AsyncClient
) -> None:
    datasource = await make_datasource(client, "text", config=SMALL_CHUNKS)
    first = await put(client, datasource, "book", version_text(0))
    await settled(client, datasource, first.json()["uuid"])
    seen: list[list[tuple[str, int]]] = []
    replaced = asyncio.Event()

    async def look() -> None:
        while not replaced.is_set():
            hits = await search(client, datasource, "edition", limit=100, mode="semantic")
            seen.append(sorted((hit["content"].split(" ")[0], hit["chunk"]["number"]) for hit in hits))

    async with asyncio.TaskGroup() as group:
        looking = [group.create_task(look()) for _ in range(2)]
        for version in range(1, ROUNDS + 1):
            again = await put(client, datasource, "book", version_text(version))
            assert again.status_code == 202
            ready = await settled(client, datasource, first.json()["uuid"])
            assert (ready["status"], ready["chunks_count"]) == ("READY", 2 + version % 3)
        replaced.set()
        await asyncio.wait(looking)
    whole = [[(f"edition{n}", number) for number in range(2 + n % 3)] for n in range(ROUNDS + 1)]
    assert [hits for hits in seen if hits not in whole] == []
    versions = [whole.index(hits) for hits in seen]
    assert len(set(versions)) > ROUNDS // 4
    await until_points(server, datasource, 2 + ROUNDS % 3)


async def test_of_contents_that_are_put_at_once_one_is_kept_whole(settings: Settings) -> None:
    async with running_server(settings) as server, server.client() as client:
        datasource = await make_datasource(client, "text", config=SMALL_CHUNKS)
        for round_ in range(3):
            texts = [version_text(AT_ONCE * round_ + number) for number in range(AT_ONCE)]
            answers = await asyncio.gather(*(put(client, datasource, "book", text) for text in texts))
            (uuid,) = {answer.json()["uuid"] for answer in answers}
            codes = [answer.status_code for answer in answers]
            assert codes.count(201) == (round_ == 0)
            (row,) = await all_ready(client, datasource, within=30)
            shown = await client.get(f"/api/datasources/{datasource}/entries/{uuid}/text_content")
            assert shown.json()["content"] in texts
            hits = await search(client, datasource, "edition", limit=100, mode="semantic")
            assert {hit["content"].split(" ")[0] for hit in hits} == {shown.json()["content"].split(" ")[0]}
            assert sorted(hit["chunk"]["number"] for hit in hits) == list(range(row["chunks_count"]))
            await until_points(server, datasource, row["chunks_count"])


async def test_of_contents_that_are_put_one_after_the_other_the_last_is_kept(
    server: RunningServer, client: httpx.AsyncClient
) -> None:
    datasource = await make_datasource(client, "text", config=SMALL_CHUNKS)
    for version in range(ROUNDS):
        await put(client, datasource, "book", version_text(version))
    (row,) = await all_ready(client, datasource, within=20)
    hits = await search(client, datasource, "edition", limit=100, mode="semantic")
    assert {hit["content"].split(" ")[0] for hit in hits} == {f"edition{ROUNDS - 1}"}
    await until_points(server, datasource, row["chunks_count"])


async def test_many_replacements_and_deletions_at_once_leave_what_was_said_last(
    server: RunningServer, client: httpx.AsyncClient
) -> None:
    datasource = await make_datasource(client, "text", config=SMALL_CHUNKS)
    last: dict[str, int | None] = {}

    async def owner(key: str) -> None:
        for version in range(6):
            await put(client, datasource, key, version_text(version))
            last[key] = version
            if (int(key) + version) % 5 == 4:
                path = f"/api/datasources/{datasource}/entries/by-key/{key}"
                assert (await client.delete(path)).status_code == 204
                last[key] = None

    await asyncio.gather(*(owner(str(number)) for number in range(10)))
    rows = {row["external_id"]: row for row in await all_ready(client, datasource, within=20)}
    assert rows.keys() == {key for key, version in last.items() if version is not None}
    for key, row in rows.items():
        version = last[key]
        assert version is not None
        assert row["chunks_count"] == 2 + version % 3
    hits = await search(client, datasource, "edition", limit=100, mode="semantic")
    found: dict[str, list[int]] = {}
    for hit in hits:
        found.setdefault(hit["entry_uuid"], []).append(hit["chunk"]["number"])
    expected = {row["uuid"]: list(range(row["chunks_count"])) for row in rows.values()}
    assert {uuid: sorted(numbers) for uuid, numbers in found.items()} == expected
    await until_points(server, datasource, sum(row["chunks_count"] for row in rows.values()))


@pytest.mark.parametrize("what", ["entry", "datasource"])
async def test_what_is_deleted_while_it_is_being_embedded_leaves_nothing(
    sqlite_settings: Settings, fake_model: FakeModel, what: str
) -> None:
    model = "delay:0.3"
    settings = with_endpoint(sqlite_settings, fake_model, model_name=model)
    async with running_server(settings) as server, server.client() as client:
        datasource = await make_datasource(client, "text", config=SMALL_CHUNKS)
        entry = await send_text(client, datasource, long_text("salmon", 5))
        await fake_model.until(lambda: any("salmon" in str(call.body) for call in fake_model.requests))
        path = f"/api/datasources/{datasource}" + (f"/entries/{entry}" if what == "entry" else "")
        assert (await client.delete(path)).status_code == 204
        assert (await client.get(path)).status_code == 404
        other = await make_datasource(client, "text")
        later = await send_text(client, other, "trout")
        await until_entry(client, other, later, lambda row: row["status"] == "READY")
        await until_points(server, datasource, 0, model=model)
        assert (await client.delete(f"/api/datasources/{other}/entries/{later}")).status_code == 204
        await until_no_rows(server, within=25)
        assert await points_of(server, datasource, model=model) == 0


async def test_an_entry_that_was_stored_in_part_when_the_settings_changed_is_cut_by_the_new_ones_alone(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    model = "delay:0.05"
    settings = with_endpoint(sqlite_settings, fake_model, model_name=model)
    async with running_server(settings) as server, server.client() as client:
        datasource = await make_datasource(client, "text", config=SMALL_CHUNKS)
        await send_text(client, datasource, long_text("halibut", 300))
        async with asyncio.timeout(10):
            while await points_of(server, datasource, model=model) == 0:
                await asyncio.sleep(0.01)
        fake_model.script(*["status:503"] * 6)  # the next requests and their repeats
        seen = len(fake_model.requests)
        await fake_model.until(lambda: len(fake_model.requests) >= seen + 6, within=30)
        config = {"chunk_size": 2000, "chunk_overlap": 0}
        answer = await client.patch(f"/api/datasources/{datasource}", json={"config": config})
        assert answer.status_code == 200
        (row,) = await all_ready(client, datasource, within=40)
        assert row["chunks_count"] < 50
        hits = await search(client, datasource, "halibut", limit=100, mode="semantic")
        assert sorted(hit["chunk"]["number"] for hit in hits) == list(range(row["chunks_count"]))
        await until_points(server, datasource, row["chunks_count"], model=model)
