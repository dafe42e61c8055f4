"""Replicas without a Qdrant server: one of them keeps the vectors and does the work, whatever becomes of it."""

import asyncio
from pathlib import Path

import httpx

from llmstack_api.replica import hold_replica
from llmstack_api.resources import open_current_database
from llmstack_api.vectors.edge import EdgeStore
from tests.advisory import until_vectors_are_taken, vectors_taken_from
from tests.conftest import make_settings
from tests.datasources.calls import add_text, make_datasource, search
from tests.datasources.watching import LOOK, Clock, all_ready, entry_of, send_text
from tests.server import running_server

WITHIN = 20.0


async def until_found(client: httpx.AsyncClient, datasource: str, number: int) -> None:
    """Search until so many passages are found."""
    hits = -1
    try:
        async with asyncio.timeout(WITHIN):
            while hits != number:
                answer = await client.post(
                    f"/api/datasources/{datasource}/search", json={"query": "herring", "limit": 100}
                )
                assert answer.status_code in {200, 503}, answer.text
                hits = len(answer.json()["results"]) if answer.status_code == 200 else -1
                await asyncio.sleep(LOOK)
    except TimeoutError:
        raise AssertionError(f"{hits} passages are found, where {number} were due") from None


async def told_where_vectors_are(client: httpx.AsyncClient, datasource: str) -> bool:
    """Search where the vectors are not; tell whether the refusal says so, or only that this is not known yet."""
    answer = await client.post(f"/api/datasources/{datasource}/search", json={"query": "herring"})
    assert answer.status_code == 503 or len(answer.json()["results"]) == 3, answer.text
    return "LLMSTACK_QDRANT_URL" in answer.json().get("detail", "")


async def test_who_loses_the_vectors_answers_for_none_and_who_gets_them_fills_them_anew(
    postgresql_url: str, tmp_path: Path
) -> None:
    one = make_settings(tmp_path / "one", postgresql_url)
    two = make_settings(tmp_path / "two", postgresql_url)
    async with running_server(one) as first, first.client() as client:
        datasource = await make_datasource(client, "text")
        for number in range(3):
            await add_text(client, datasource, f"herring number {number}")
        async with running_server(two) as second, second.client() as other:
            async with vectors_taken_from(postgresql_url), asyncio.timeout(WITHIN):
                while not await told_where_vectors_are(client, datasource):
                    await asyncio.sleep(LOOK)
            await until_vectors_are_taken(second.resources.replica, term=1)
            await until_found(other, datasource, 3)

            assert await told_where_vectors_are(client, datasource)
            await send_text(client, datasource, "a herring sent where the vectors were")
            await all_ready(client, datasource, within=WITHIN)
            await until_found(other, datasource, 4)
            given_up = EdgeStore(one.data_dir / "vectors")
            (collection,) = [path.name for path in (one.data_dir / "vectors").iterdir() if path.is_dir()]
            assert await given_up.count(collection, {}) == 3
            await given_up.close()
        await until_found(client, datasource, 4)
        await add_text(client, datasource, "the last herring")
        assert len(await search(client, datasource, "herring", limit=100)) == 5


async def test_a_keeper_whose_connection_broke_off_goes_on(postgresql_url: str, tmp_path: Path) -> None:
    one = make_settings(tmp_path / "one", postgresql_url)
    two = make_settings(tmp_path / "two", postgresql_url)
    async with (
        running_server(one) as first,
        first.client() as client,
        open_current_database(two) as db,
        hold_replica(two, db) as second,  # which asks when the test does: whoever asks first has them
    ):
        datasource = await make_datasource(client, "text")
        await add_text(client, datasource, "the first herring")
        for term in (2, 3):
            async with vectors_taken_from(postgresql_url):
                pass
            await until_vectors_are_taken(first.resources.replica, term=term)
            assert not await second.keeps_vectors()
            await until_found(client, datasource, term - 1)
            await send_text(client, datasource, f"herring of term {term}")
            await all_ready(client, datasource, within=WITHIN)
            await until_found(client, datasource, term)


async def test_a_replica_that_does_not_keep_the_vectors_leaves_the_work_to_the_one_that_does(
    postgresql_url: str, tmp_path: Path
) -> None:
    one = make_settings(tmp_path / "one", postgresql_url)
    two = make_settings(tmp_path / "two", postgresql_url)
    async with running_server(one) as first, first.client() as client:
        datasource = await make_datasource(client, "text")
        await add_text(client, datasource, "the first herring")
        async with running_server(two) as second, second.client() as other:
            took = Clock()
            for _ in range(4):
                sent = [await send_text(other, datasource, f"herring number {n}") for n in range(10)]
                await all_ready(other, datasource, within=WITHIN)
                assert {(await entry_of(other, datasource, uuid))["error"] for uuid in sent} == {None}
            assert took() < 10
            assert second.resources.replica.vectors_term == 0


async def test_an_idle_replica_leaves_the_vectors_to_the_first_that_has_work(
    postgresql_url: str, tmp_path: Path
) -> None:
    one = make_settings(tmp_path / "one", postgresql_url)
    two = make_settings(tmp_path / "two", postgresql_url)
    async with running_server(one) as first, running_server(two) as second:
        await asyncio.sleep(2.5)  # the first rounds of upkeep
        assert (first.resources.replica.vectors_term, second.resources.replica.vectors_term) == (0, 0)
        async with second.client() as client:
            datasource = await make_datasource(client, "text")
            await add_text(client, datasource, "the herring swims")
        assert sorted((first.resources.replica.vectors_term, second.resources.replica.vectors_term)) == [0, 1]
