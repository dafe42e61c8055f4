"""What the service withstands: kills, dependencies that are away, entries that poison whoever works on them."""

import asyncio
import signal
from itertools import count
from pathlib import Path
from unittest.mock import ANY
from uuid import uuid4

import httpx
import pytest

from llmstack_api.datasources.work import MAX_ATTEMPTS
from llmstack_api.settings import Settings
from tests.command import environment, server_process
from tests.conftest import make_settings, migrate
from tests.datasources.calls import make_datasource, search
from tests.datasources.qdrants import PickyQdrant
from tests.datasources.watching import (
    LOOK,
    SMALL_CHUNKS,
    TOKEN,
    all_ready,
    all_settled,
    chunks_found,
    client_of,
    long_text,
    send_text,
    send_url,
    until_entry,
)
from tests.fake_site import FakeSite
from tests.fake_site.answers import hang
from tests.ingest.making import pdf_bomb
from tests.postgres import PostgresServer
from tests.server import running_server

ROUNDS = 8
UPLOADS = 200
CLIENTS = 16
CHUNKS = 3
AFTER_A_KILL = 30.0


class Uploads:
    """What a client of a server that is killed again and again was told."""

    def __init__(self) -> None:
        self.accepted: dict[str, int] = {}
        """Numbers of the entries by their uuid."""
        self.deleted: set[str] = set()
        self.doubtful: set[str] = set()
        """Whose deletion was not answered."""
        self._numbers = count()

    async def send(
        self, client: httpx.AsyncClient, datasource: str, *, enough: asyncio.Event, at: int
    ) -> None:
        """Add entries, delete every seventh, until the server is gone; `enough` is set after `at` answers."""
        goal = len(self.accepted) + at

        async def one_after_the_other(many: int) -> None:
            for _ in range(many):
                number = next(self._numbers)
                text = long_text(f"upload{number}", CHUNKS)
                uuid = await send_text(client, datasource, text, number=number)
                self.accepted[uuid] = number
                if len(self.accepted) >= goal:
                    enough.set()
                if number % 7 == 0:
                    self.doubtful.add(uuid)
                    answer = await client.delete(f"/api/datasources/{datasource}/entries/{uuid}")
                    assert answer.status_code == 204
                    self.doubtful.discard(uuid)
                    self.deleted.add(uuid)

        tasks = [asyncio.create_task(one_after_the_other(UPLOADS // CLIENTS)) for _ in range(CLIENTS)]
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, httpx.TransportError), result
        enough.set()

    async def check(self, client: httpx.AsyncClient, datasource: str, checked: set[str]) -> None:
        """See that what was accepted is found once, that what was deleted is gone, since the last look."""
        rows = {row["uuid"]: row for row in await all_ready(client, datasource, within=AFTER_A_KILL)}
        lost = self.accepted.keys() - rows.keys() - self.deleted - self.doubtful
        assert not lost
        assert not rows.keys() & self.deleted
        for uuid in self.deleted - checked:
            path = f"/api/datasources/{datasource}/entries/{uuid}"
            assert (await client.get(path)).status_code == 404
            number = self.accepted[uuid]
            assert await found(client, datasource, number) == []
        for uuid in rows.keys() - checked:
            number = rows[uuid]["entry_metadata"]["number"]
            assert rows[uuid]["chunks_count"] == CHUNKS
            assert await found(client, datasource, number) == list(range(CHUNKS)), number
        checked |= rows.keys() | self.deleted


async def found(client: httpx.AsyncClient, datasource: str, number: int) -> list[int]:
    """Return the numbers of the chunks that are found of an entry, by meaning alone, which finds all there are."""
    only = {"type": "eq", "key": "number", "value": number}
    return await chunks_found(client, datasource, f"upload{number}", filters=only, mode="semantic")


async def killed_rounds(env: dict[str, str], folder: Path, *, rounds: int) -> None:
    uploads, checked, datasource = Uploads(), set[str](), ""
    for number in range(rounds):
        async with server_process(env=env, folder=folder) as server, client_of(server.url) as client:
            datasource = datasource or await make_datasource(client, "text", config=SMALL_CHUNKS)
            await uploads.check(client, datasource, checked)
            enough = asyncio.Event()
            at = (number + 1) * UPLOADS // (rounds + 1)
            sending = asyncio.create_task(uploads.send(client, datasource, enough=enough, at=at))
            await enough.wait()
            await server.end(signal.SIGKILL)
            await sending
    async with server_process(env=env, folder=folder) as server, client_of(server.url) as client:
        await uploads.check(client, datasource, checked)
        assert len(uploads.accepted) >= rounds * UPLOADS // (rounds + 1)


@pytest.mark.timeout(150)
async def test_a_server_that_is_killed_amid_uploads_loses_nothing_that_it_accepted(
    sqlite_url: str, tmp_path: Path
) -> None:
    env = environment(tmp_path, database_url=sqlite_url, bootstrap_token=TOKEN)
    await killed_rounds(env, tmp_path, rounds=ROUNDS)


@pytest.mark.timeout(120)
async def test_a_server_over_postgresql_and_qdrant_that_is_killed_amid_uploads_loses_nothing(
    postgresql_url: str, tmp_path: Path, qdrant: PickyQdrant
) -> None:
    env = environment(tmp_path, database_url=postgresql_url, bootstrap_token=TOKEN, qdrant_url=qdrant.url)
    await killed_rounds(env, tmp_path, rounds=2)


# --- entries that poison ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("short_pauses")
async def test_an_entry_that_the_vector_store_refuses_has_failed_while_those_beside_it_get_through(
    sqlite_settings: Settings, qdrant: PickyQdrant
) -> None:
    qdrant.poison = b"hemlock"
    settings = sqlite_settings.model_copy(update={"qdrant_url": qdrant.url})
    async with running_server(settings) as server, server.client() as client:
        datasource = await make_datasource(client, "text")
        texts = [f"a cup of {'hemlock' if number == 20 else 'tea'} number {number}" for number in range(40)]
        sent = [await send_text(client, datasource, text) for text in texts]
        rows = {row["uuid"]: row for row in await all_settled(client, datasource, within=30)}
        bad = rows.pop(sent[20])
        assert {row["status"] for row in rows.values()} == {"READY"}
        assert bad["status"] == "FAILED"
        assert bad["error"] == {"stage": "index", "code": "internal-error", "message": ANY}
        assert 1 <= qdrant.refused <= 10
        assert len(await search(client, datasource, "tea", limit=100)) == 39

        qdrant.poison = None
        await client.post(f"/api/datasources/{datasource}/entries/{sent[20]}/resync")
        await all_ready(client, datasource, within=20)


async def test_a_file_that_bursts_while_it_is_read_has_failed_and_holds_nobody_up(
    sqlite_settings: Settings,
) -> None:
    settings = sqlite_settings.model_copy(update={"extract_timeout": 3.0, "extract_memory": 2**27})
    bomb = await asyncio.to_thread(pdf_bomb)
    async with running_server(settings) as server, server.client() as client:
        datasource = await make_datasource(client)
        sent = await client.post(
            f"/api/datasources/{datasource}/entries", files={"file": ("bomb.pdf", bomb, "application/pdf")}
        )
        assert sent.status_code == 202
        beside = await send_text(client, datasource, "the herring swims")
        await until_entry(client, datasource, beside, lambda row: row["status"] == "READY", within=5)
        bad = await until_entry(
            client, datasource, sent.json()["uuid"], lambda row: row["status"] != "PROCESSING", within=30
        )
        assert bad["status"] == "FAILED"
        assert bad["error"]["stage"] == "extract"
        assert bad["error"]["code"] in {"timeout", "out-of-memory"}


@pytest.mark.timeout(90)
async def test_an_entry_whose_work_always_ends_with_the_process_has_failed_after_some_attempts(
    sqlite_url: str, tmp_path: Path, site: FakeSite
) -> None:
    env = environment(tmp_path, database_url=sqlite_url, bootstrap_token=TOKEN, egress_allow="127.0.0.0/8")
    poison, datasource = site.page("/poison", hang), ""
    for attempt in range(1, MAX_ATTEMPTS + 1):
        async with server_process(env=env, folder=tmp_path) as server, client_of(server.url) as client:
            if not datasource:
                datasource = await make_datasource(client)
                await send_url(client, datasource, poison)
            await site.until(lambda attempt=attempt: site.asked("/poison") == attempt, within=20)
            await server.end(signal.SIGKILL)
    async with server_process(env=env, folder=tmp_path) as server, client_of(server.url) as client:
        (row,) = await all_settled(client, datasource, within=20)
        assert row["status"] == "FAILED"
        assert row["error"] == {"stage": "fetch", "code": "gave-up", "message": ANY}
        assert site.asked("/poison") == MAX_ATTEMPTS
        await send_text(client, datasource, "the herring swims")
        await all_settled(client, datasource, within=10)
        assert len(await search(client, datasource, "herring")) == 1


# --- a database that is away -----------------------------------------------------------------------------


async def test_entries_outlive_a_database_that_goes_away_and_comes_back(
    stoppable_postgres: PostgresServer, tmp_path: Path, qdrant: PickyQdrant
) -> None:
    name = f"away_{uuid4().hex}"
    stoppable_postgres.create_database(name)
    await asyncio.to_thread(migrate, stoppable_postgres.url(name))
    settings = make_settings(tmp_path, stoppable_postgres.url(name), qdrant_url=qdrant.url)
    async with running_server(settings) as server, server.client() as client:
        datasource = await make_datasource(client, "text", config=SMALL_CHUNKS)
        path, accepted = f"/api/datasources/{datasource}/entries", dict[str, str]()

        async def upload(client_number: int) -> None:
            for number in range(30):
                content = long_text(f"upload{client_number:02}n{number:02}", CHUNKS)
                answer = await client.post(path, json={"entry_data": {"content": content}})
                if answer.status_code == 202:
                    accepted[answer.json()["uuid"]] = content
                else:
                    assert answer.status_code == 503
                    assert answer.headers["retry-after"]

        async with asyncio.TaskGroup() as group:
            for client_number in range(8):
                group.create_task(upload(client_number))
            async with asyncio.timeout(20):
                while len(accepted) < 60:
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(stoppable_postgres.stop)
        refused = 240 - len(accepted)
        await asyncio.to_thread(stoppable_postgres.start)
        async with asyncio.timeout(20):
            while (await client.get("/health/ready")).status_code != 200:
                await asyncio.sleep(LOOK)
        rows = await all_ready(client, datasource, within=30)
        assert accepted.keys() <= {row["uuid"] for row in rows}
        assert refused
        assert {row["chunks_count"] for row in rows} == {CHUNKS}
        for uuid, content in list(accepted.items())[::10]:
            hits = await search(client, datasource, content.partition(" ")[0], limit=CHUNKS, mode="keyword")
            assert {hit["entry_uuid"] for hit in hits} == {uuid}
            assert sorted(hit["chunk"]["number"] for hit in hits) == list(range(CHUNKS))
