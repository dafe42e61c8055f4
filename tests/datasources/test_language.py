"""Languages and contexts of datasources: what searches find, and what a change has indexed again."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import update
from sqlalchemy.orm import Session

from llmstack_api.models import Datasource, IndexFolder
from llmstack_api.settings import Settings
from tests.datasources.calls import add, add_text, make_datasource, search
from tests.datasources.points import BUNDLED, until_points
from tests.datasources.test_reembedding import until_model
from tests.datasources.watching import LOOK, SMALL_CHUNKS, all_ready, long_text, send_text
from tests.server import RunningServer, running_server

OLD = "chunks_of_another_version"


async def by_words(client: httpx.AsyncClient, datasource: str, query: str) -> list[str]:
    return [hit["entry_name"] for hit in await search(client, datasource, query, mode="keyword")]


async def change_language(client: httpx.AsyncClient, datasource: str, language: str) -> dict[str, Any]:
    answer = await client.patch(f"/api/datasources/{datasource}", json={"config": {"language": language}})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_another_language_has_everything_indexed_again(sqlite_settings: Settings) -> None:
    async with running_server(sqlite_settings) as server, server.client() as client:
        datasource = await make_datasource(client, "text", config={"language": "en"})
        await add_text(client, datasource, "Kündigungsfristen: drei Monate", "contract")
        assert await by_words(client, datasource, "Kündigungsfrist") == []

        changed = await change_language(client, datasource, "de")
        assert changed["config"]["language"] == "de"
        assert changed["embedding"]["next_model"] == BUNDLED
        await until_model(client, datasource, BUNDLED)
        await add_text(client, datasource, "Mietverträge: zwei Jahre", "lease")

        assert await by_words(client, datasource, "Kündigungsfrist") == ["contract"]
        assert await by_words(client, datasource, "Mietvertrag") == ["lease"]
        same = await change_language(client, datasource, "de")
        assert same["embedding"]["next_model"] is None

        await change_language(client, datasource, "en")
        await until_model(client, datasource, BUNDLED)
        assert await by_words(client, datasource, "Kündigungsfrist") == []
        await until_points(server, datasource, 2)


async def test_an_unknown_language_is_refused_with_the_known_ones(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client, "text")
    shown = (await client.get(f"/api/datasources/{datasource}")).json()
    assert shown["config"]["language"] == "auto"

    for answer in (
        await client.post(
            "/api/datasources", json={"name": "x", "type": "text", "config": {"language": "klingon"}}
        ),
        await client.patch(f"/api/datasources/{datasource}", json={"config": {"language": "tlh"}}),
    ):
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["loc"] == "config.language"
        assert "'auto'" in error["msg"]
        assert "'de'" in error["msg"]


async def test_an_empty_datasource_changes_its_language_at_once(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client, "text")

    assert (await change_language(client, datasource, "fr"))["embedding"]["next_model"] is None
    await add_text(client, datasource, "Cheval", "animal")
    assert await by_words(client, datasource, "chevaux") == ["animal"]


async def test_names_titles_and_headings_are_searched_and_stay_apart_from_the_content(
    client: httpx.AsyncClient,
) -> None:
    datasource = await make_datasource(client)
    for number in range(1, 4):
        await add_text(client, datasource, f"The warranty lasts {number + 1} years.", f"QT-{number} handbook")
    page = "<html><head><title>Visitors of the plant</title></head><body><p>Wear a badge.</p></body></html>"
    manual = "# Lathe\n\n## Upkeep\n\nOil it weekly.\n"
    for name, text in (("a.html", page), ("b.md", manual)):
        added = await client.post(
            f"/api/datasources/{datasource}/entries",
            params={"wait": 30},
            files={"file": (name, text.encode())},
        )
        assert added.json()["status"] == "READY", added.text

    for query, name in (("How long is the warranty of the QT-3?", "QT-3 handbook"), ("visitors", "a.html")):
        for mode in ("hybrid", "keyword"):
            assert (await search(client, datasource, query, mode=mode))[0]["entry_name"] == name
    (first, *_) = await search(client, datasource, "upkeep of the lathe")
    assert first["entry_name"] == "b.md"
    (visitors,) = await search(client, datasource, "visitors", mode="keyword")
    assert visitors["content"] == "Wear a badge."
    assert 0 < (await search(client, datasource, "visitors"))[0]["score"] <= 1


async def make_old(server: RunningServer) -> None:
    """Have the points of everything be those of another version."""

    def rename(session: Session) -> None:
        session.execute(update(Datasource).values(collection=OLD))
        session.execute(update(IndexFolder).values(collection=OLD))

    await server.resources.db.write(rename)


def move(folder: Path) -> None:
    (collection,) = [path for path in folder.iterdir() if path.is_dir()]
    collection.rename(folder / OLD)


async def test_what_another_version_stored_is_searched_while_it_is_indexed_again(
    sqlite_settings: Settings,
) -> None:
    async with running_server(sqlite_settings) as server, server.client() as client:
        datasource = await make_datasource(client, "text", config=SMALL_CHUNKS)
        for number in range(60):
            await send_text(client, datasource, long_text(f"herring no{number}", 3), number=number)
        await all_ready(client, datasource, within=60)
        await make_old(server)
    await asyncio.to_thread(move, sqlite_settings.data_dir / "vectors")
    async with running_server(sqlite_settings) as server, server.client() as client:
        path = f"/api/datasources/{datasource}"
        seen: list[int] = []
        await add(client, datasource, {"name": "late", "content": "A herring that came late."})
        async with asyncio.timeout(30):
            while (await client.get(path)).json()["embedding"]["next_model"] is not None:
                seen.append(len(await search(client, datasource, "herring", limit=20)))
                await asyncio.sleep(LOOK)
        assert set(seen) <= {20}
        await until_points(server, datasource, 181)
        assert len(await search(client, datasource, "came late", mode="keyword")) == 1
