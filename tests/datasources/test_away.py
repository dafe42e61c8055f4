"""Vector stores and embedding endpoints that are away or refuse: entries wait, or say why not; nothing is lost."""

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from llmstack_api.db import Database
from llmstack_api.models import Entry
from llmstack_api.settings import Settings
from tests.datasources.calls import make_datasource, search
from tests.datasources.endpoints import with_endpoint
from tests.datasources.qdrants import PickyQdrant
from tests.datasources.watching import (
    LOOK,
    SMALL_CHUNKS,
    all_ready,
    all_settled,
    entries_of,
    entry_of,
    refusal_of,
    send_text,
)
from tests.fake_model import FakeModel, fake_model_server
from tests.fake_qdrant import Fault
from tests.server import RunningServer, running_server

AWAY_ROUNDS = 6
WITHIN = 0.2
"""Seconds that the vector store is given to answer, where it hangs."""


async def put_off_times(db: Database, entry: str) -> datetime | None:
    return await db.read(lambda session: session.scalar(select(Entry.due_at).where(Entry.id == UUID(entry))))


async def tried(server: RunningServer, entry: str, *, times: int, within: float = 30) -> None:
    """Wait until an entry has been begun and put off so many times."""
    seen: set[datetime | None] = set()
    async with asyncio.timeout(within):
        while len(seen) <= times:
            seen.add(await put_off_times(server.resources.db, entry))
            await asyncio.sleep(LOOK)


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("how", ["stopped", "503", "429", "hanging"])
async def test_entries_wait_for_a_vector_store_that_is_away(
    sqlite_settings: Settings, qdrant: PickyQdrant, how: str
) -> None:
    settings = sqlite_settings.model_copy(update={"qdrant_url": qdrant.url})
    async with running_server(settings) as server, server.client() as client:
        datasource = await make_datasource(client, "text", config=SMALL_CHUNKS)
        first = await send_text(client, datasource, "the herring was there before")
        await all_ready(client, datasource, within=20)
        store: Any = server.resources.index.store
        patience = store._opened._read_within
        store._opened._read_within = store._opened._write_within = WITHIN
        await be_away(qdrant, how)
        texts = [f"the mackerel number {number}" for number in range(70)]
        away = [await send_text(client, datasource, text) for text in texts]
        path = f"/api/datasources/{datasource}/entries/{away[-1]}"
        assert (await client.delete(path)).status_code == 204
        away.pop()
        await tried(server, away[0], times=AWAY_ROUNDS)
        for mode in ("hybrid", "keyword", "semantic"):
            status, slug, retry_after = await refusal_of(client, datasource, mode=mode)
            assert (status, slug) == (503, "vector-store-away")
            assert retry_after
        rows = await entries_of(client, datasource)
        assert {row["status"] for row in rows if row["uuid"] != first} == {"PROCESSING"}
        assert len(rows) == len(away) + 1
        store._opened._read_within = store._opened._write_within = patience
        await come_back(qdrant, how)

        rows = await all_ready(client, datasource, within=20)
        assert {row["uuid"] for row in rows} == {*away, first}
        hits = await search(client, datasource, "mackerel", limit=100, mode="keyword")
        assert sorted(hit["entry_uuid"] for hit in hits) == sorted(away)


async def be_away(qdrant: PickyQdrant, how: str) -> None:
    match how:
        case "stopped":
            await qdrant.stop()
        case "hanging":
            qdrant.always = Fault("hang")
        case _:
            qdrant.always = Fault(status=int(how))


async def come_back(qdrant: PickyQdrant, how: str) -> None:
    qdrant.always = None
    if how == "stopped":
        await qdrant.start()


# --- an embedding endpoint that is away, or refuses ------------------------------------------------------


@pytest.mark.usefixtures("short_pauses")
async def test_entries_wait_for_an_embedding_endpoint_that_is_away_and_searches_by_words_go_on(
    sqlite_settings: Settings,
) -> None:
    async with AsyncExitStack() as up:
        model = await up.enter_async_context(fake_model_server())
        settings = with_endpoint(sqlite_settings, model)
        async with running_server(settings) as server, server.client() as client:
            datasource = await make_datasource(client, "text")
            first = await send_text(client, datasource, "the herring was there before")
            await all_ready(client, datasource, within=20)
            await up.aclose()
            second = await send_text(client, datasource, "the mackerel came later")
            await tried(server, second, times=AWAY_ROUNDS)
            assert (await entry_of(client, datasource, second))["status"] == "PROCESSING"
            (hit,) = await search(client, datasource, "herring", mode="keyword")
            assert hit["entry_uuid"] == first
            for mode in ("hybrid", "semantic"):
                assert (await refusal_of(client, datasource, mode=mode))[:2] == (503, "embedding-away")
            port = int(model.base_url.rpartition(":")[2].partition("/")[0])
            async with fake_model_server(port=port):
                await all_ready(client, datasource, within=30)
                assert len(await search(client, datasource, "mackerel")) == 2


async def test_searches_by_words_need_no_embedding_endpoint_after_a_restart_either(
    sqlite_settings: Settings,
) -> None:
    async with fake_model_server() as model:
        settings = with_endpoint(sqlite_settings, model)
        async with running_server(settings) as server, server.client() as client:
            datasource = await make_datasource(client, "text")
            first = await send_text(client, datasource, "the herring was there before")
            await all_ready(client, datasource, within=20)
    async with running_server(settings) as server, server.client() as client:
        (hit,) = await search(client, datasource, "herring", mode="keyword")
        assert hit["entry_uuid"] == first
        assert (await refusal_of(client, datasource))[:2] == (503, "embedding-away")


async def test_an_entry_that_the_embedding_endpoint_refuses_has_failed_until_it_is_mended(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    refused = with_endpoint(sqlite_settings, fake_model, model_name="key:right", key="wrong")
    async with running_server(refused) as server, server.client() as client:
        datasource = await make_datasource(client, "text")
        entry = await send_text(client, datasource, "the herring swims")
        (row,) = await all_settled(client, datasource, within=20)
        assert row["status"] == "FAILED"
        assert (row["error"]["stage"], row["error"]["code"]) == ("embed", "embedding-refused")
        assert "401" in row["error"]["message"]
        assert "wrong" not in row["error"]["message"]
    mended = with_endpoint(sqlite_settings, fake_model, model_name="key:right", key="right")
    async with running_server(mended) as server, server.client() as client:
        again = await client.post(f"/api/datasources/{datasource}/entries/{entry}/resync")
        assert (again.status_code, again.json()["error"]) == (202, None)
        await all_ready(client, datasource, within=20)
        assert len(await search(client, datasource, "herring")) == 1
