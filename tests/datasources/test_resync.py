"""All entries of a datasource read again, beside what others add."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from llmstack_api import auth
from llmstack_api.datasources import resync as resyncing
from llmstack_api.datasources import service
from llmstack_api.datasources.due import ACCOUNTS_AT_ONCE, DUE_AT_ONCE, list_due
from llmstack_api.db import Database
from llmstack_api.models import Entry, EntryContent, EntryStatus, Stage, Work, new_id, now
from llmstack_api.settings import Settings
from tests.datasources.calls import add, add_text, make_datasource, search, settled
from tests.datasources.points import points_of, until_points
from tests.datasources.test_urls import page_with_etag, sitemap
from tests.datasources.watching import (
    SMALL_CHUNKS,
    all_ready,
    all_settled,
    entries_of,
    long_text,
    send_text,
    send_url,
)
from tests.fake_site import FakeSite
from tests.fake_site.answers import reply
from tests.server import RunningServer, running_server

MANY = 2000
PAGE = {"file": "data:text/html;name=page.html;base64,PHA+VGhlIHRpZGU8L3A+"}
WORDS = "The tide comes in twice a day and leaves the same way. " * 20


@pytest.fixture
async def server(settings: Settings) -> AsyncGenerator[RunningServer]:
    """The application over a database of each engine, which may fetch from loopback."""
    async with running_server(settings.model_copy(update={"egress_allow": "127.0.0.0/8"})) as running:
        yield running


async def resync(client: httpx.AsyncClient, datasource: str) -> int:
    answer = await client.post(f"/api/datasources/{datasource}/resync")
    assert answer.status_code == 202, answer.text
    (count,) = answer.json().values()
    return count


async def test_texts_and_files_are_cut_with_the_present_settings_and_no_passage_is_there_twice(
    server: RunningServer, client: httpx.AsyncClient
) -> None:
    datasource = await make_datasource(client)
    await add_text(client, datasource, long_text("herring", 5))
    await add(client, datasource, PAGE)
    before = {row["uuid"]: row for row in await all_ready(client, datasource, within=20)}
    patch = await client.patch(f"/api/datasources/{datasource}", json={"config": SMALL_CHUNKS})
    assert patch.status_code == 200
    assert await resync(client, datasource) == 2
    after = {row["uuid"]: row for row in await all_ready(client, datasource, within=20)}
    assert after.keys() == before.keys()
    assert sum(row["chunks_count"] for row in after.values()) == 6
    assert await points_of(server, datasource) == 6
    hits = await search(client, datasource, "herring", mode="keyword", limit=100)
    assert sorted(hit["chunk"]["number"] for hit in hits) == [0, 1, 2, 3, 4]


async def test_an_empty_datasource_has_nothing_to_read_and_one_of_another_account_is_unknown(
    server: RunningServer, client: httpx.AsyncClient, other_client: httpx.AsyncClient
) -> None:
    datasource = await make_datasource(client)
    assert await resync(client, datasource) == 0
    nowhere = await client.post(f"/api/datasources/{new_id()}/resync")
    foreign = await other_client.post(f"/api/datasources/{datasource}/resync")
    assert (nowhere.status_code, foreign.status_code) == (404, 404)
    async with server.client(scopes=[auth.Scope.READ, auth.Scope.RUN]) as reader:
        assert (await reader.post(f"/api/datasources/{datasource}/resync")).status_code == 403
    assert (await client.delete(f"/api/datasources/{datasource}")).status_code == 204
    assert (await client.post(f"/api/datasources/{datasource}/resync")).status_code == 404


async def test_what_failed_is_tried_again_and_what_was_deleted_is_not(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    url = site.page("/tides", reply("no", status=404), reply("<p>The spring tide.</p>" * 9, status=200))
    datasource = await make_datasource(client)
    failed = await settled(client, datasource, await send_url(client, datasource, url))
    assert failed["status"] == "FAILED"
    gone = await add_text(client, datasource, "the herring swims")
    path = f"/api/datasources/{datasource}/entries/{gone['uuid']}"
    assert (await client.delete(path)).status_code == 204
    assert await resync(client, datasource) == 1
    (row,) = await all_ready(client, datasource, within=20)
    assert (row["uuid"], row["error"]) == (failed["uuid"], None)


async def test_a_page_that_has_not_changed_is_read_again_and_known_again_after_that(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    url = site.page("/tides", page_with_etag("Tides", "The spring tide floods the meadow.", '"1"'))
    datasource = await make_datasource(client, "url")
    entry = await settled(client, datasource, await send_url(client, datasource, url))
    await resync(client, datasource)
    await all_ready(client, datasource, within=20)
    assert "if-none-match" not in site.requests[-1].headers
    assert len(await search(client, datasource, "meadow")) == 1
    answer = await client.post(f"/api/datasources/{datasource}/entries/{entry['uuid']}/resync")
    assert answer.status_code == 202
    await all_ready(client, datasource, within=20)
    assert site.requests[-1].headers["if-none-match"] == '"1"'


async def test_the_pages_of_a_sitemap_are_fetched_once_and_follow_what_it_names(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    names = [f"fish{number}" for number in range(6)]
    pages = [site.page(f"/{name}", page_with_etag(name, f"The {name} swims.", '"1"')) for name in names]
    url = site.page("/sitemap.xml", sitemap(*pages[:5]), sitemap(*pages[1:]))
    datasource = await make_datasource(client, "sitemap")
    await send_url(client, datasource, url)
    await all_ready(client, datasource, within=20)
    assert await resync(client, datasource) == 6
    rows = await all_ready(client, datasource, within=20)
    assert {row["name"] for row in rows} & {*names} == {*names[1:]}
    assert [site.asked(f"/{name}") for name in names[1:]] == [2, 2, 2, 2, 1]


async def test_two_calls_at_once_and_writes_beside_them_leave_every_entry_whole(
    server: RunningServer, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resyncing, "AT_ONCE", 4)
    datasource = await make_datasource(client, "text", config=SMALL_CHUNKS)
    uuids = [await send_text(client, datasource, long_text(f"herring{n}", 3)) for n in range(30)]
    entries = f"/api/datasources/{datasource}/entries"

    async def write() -> None:
        for number in range(5):
            assert (await client.delete(f"{entries}/{uuids[number]}")).status_code == 204
            body = {"entry_data": {"name": "key", "content": long_text(f"cod{number}", 2)}}
            assert (await client.put(f"{entries}/by-key/key", json=body)).status_code in {201, 202}
            patch = await client.patch(f"/api/datasources/{datasource}", json={"name": f"name {number}"})
            assert patch.status_code == 200

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(resync(client, datasource))
        group.create_task(write())
    rows = await all_ready(client, datasource, within=40)
    assert {row["uuid"] for row in rows} >= {*uuids[5:]}
    assert len(rows) == 26
    await until_points(server, datasource, 25 * 3 + 2)
    hits = await search(client, datasource, "cod4", mode="keyword", limit=100)
    assert len(hits) == 2


# --- turns -----------------------------------------------------------------------------------------------


def fill(session: Session, *, account: str, count: int, **values: Any) -> UUID:
    """Make a datasource of entries as they are when they have been read, from files; return its id."""
    account_id = auth.ensure_account(session, account)
    config = {"chunk_size": 1200, "chunk_overlap": 150, "refresh_interval": None}
    datasource = service.create_datasource(
        session,
        account_id=account_id,
        name=account,
        type_="mixed",
        config=config,
        embedding_model="builtin/wordllama-256",
    )
    moment = now() - timedelta(minutes=1)
    row: dict[str, Any] = {
        "account_id": account_id,
        "datasource_id": datasource.id,
        "kind": "file",
        "name": "tides.html",
        "source": "tides.html",
        "entry_metadata": {},
        "status": EntryStatus.READY,
        "fingerprint": "",
        "live_version": 1,
        "created_at": moment,
        "updated_at": moment,
    }
    ids = [new_id() for _ in range(count)]
    session.execute(insert(Entry), [row | values | {"id": id_} for id_ in ids])
    data = f"<html><body><p>{WORDS}</p></body></html>".encode()
    content = {"version": 1, "file_name": "tides.html", "media_type": "text/html", "data": data}
    session.execute(insert(EntryContent), [content | {"entry_id": id_} for id_ in ids])
    return datasource.id


@pytest.mark.timeout(180)
async def test_what_is_added_is_ready_while_thousands_of_files_wait_to_be_read_again(
    server: RunningServer, client: httpx.AsyncClient, other_client: httpx.AsyncClient
) -> None:
    others = await make_datasource(other_client)
    own = await make_datasource(client)
    datasource = str(await server.resources.db.write(fill, account="default", count=MANY))
    assert await resync(client, datasource) == MANY
    for account, place in ((other_client, others), (client, own)):
        entry = await add(account, place, PAGE)
        assert entry["status"] == "READY"
        assert len(await search(account, place, "tide")) == 1
    waiting = await entries_of(client, datasource, status="PROCESSING")
    assert len(waiting) > MANY // 2
    assert (await client.delete(f"/api/datasources/{datasource}")).status_code == 204


WAITING = {"status": EntryStatus.PROCESSING, "stage": Stage.QUEUED}


@pytest.mark.parametrize("work", [Work.INGEST, Work.REREAD])
async def test_an_account_that_nobody_was_woken_for_is_found_behind_thousands_of_others(
    db: Database, work: Work
) -> None:
    early, late = now() - timedelta(hours=1), now() - timedelta(minutes=1)
    await db.write(fill, account="noisy", count=DUE_AT_ONCE + 5, work=work, due_at=early, **WAITING)
    quiet = [
        await db.write(fill, account=f"quiet {n}", count=2, work=work, due_at=late, **WAITING)
        for n in range(3)
    ]
    jobs = await db.read(list_due, before=now())
    assert len(jobs) == DUE_AT_ONCE
    rows = await db.read(
        lambda session: {*session.scalars(select(Entry.id).where(Entry.datasource_id.in_(quiet)))}
    )
    assert {job.id for job in jobs} > rows
    assert {job.later for job in jobs} == {work == Work.REREAD}


async def test_of_more_accounts_than_one_look_asks_some_are_found(db: Database) -> None:
    due_at = now() - timedelta(minutes=1)
    for number in range(ACCOUNTS_AT_ONCE + 5):
        await db.write(fill, account=f"account {number}", count=1, work=Work.INGEST, due_at=due_at, **WAITING)
    jobs = await db.read(list_due, before=now())
    assert len({job.tenant for job in jobs}) == ACCOUNTS_AT_ONCE


async def test_what_waits_already_keeps_its_place_and_what_is_being_read_begins_again(
    server: RunningServer, client: httpx.AsyncClient
) -> None:
    db = server.resources.db
    later = now() + timedelta(hours=1)
    datasource = await db.write(fill, account="default", count=3, work=Work.INGEST, due_at=later, **WAITING)
    ids = sorted(
        await db.read(
            lambda session: session.scalars(select(Entry.id).where(Entry.datasource_id == datasource)).all()
        )
    )

    def hold(session: Session, id_: UUID, **values: Any) -> None:
        session.execute(update(Entry).where(Entry.id == id_).values(**values))

    await db.write(hold, ids[1], token=new_id(), lease_until=later)
    await db.write(hold, ids[2], work=None, status=EntryStatus.READY)
    assert await resync(client, str(datasource)) == 3
    rows = await db.read(
        lambda session: {
            row.id: (row.version, row.due_at)
            for row in session.execute(
                select(Entry.id, Entry.version, Entry.due_at).where(Entry.datasource_id == datasource)
            )
        }
    )
    assert rows[ids[0]] == (1, later)
    assert [rows[id_][0] for id_ in ids[1:]] == [2, 2]
    await db.write(hold, ids[0], due_at=now())
    rows = await all_settled(client, str(datasource), within=20)
    assert [row["status"] for row in rows] == ["READY"] * 3
