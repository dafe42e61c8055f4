"""Following an entry: its stages as events, waiting for it, leaving."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from llmstack_api.settings import Settings
from tests.datasources.calls import make_datasource
from tests.datasources.endpoints import with_endpoint
from tests.datasources.watching import LOOK, all_ready, send_text, send_url
from tests.fake_model import FakeModel
from tests.fake_site import FakeSite
from tests.fake_site.answers import hold, reply
from tests.server import RunningServer, running_server

FILES = Path(__file__).parents[1] / "ingest" / "files"
STAGES = ["queued", "fetch", "extract", "chunk", "embed", "index"]


@pytest.fixture
async def server(sqlite_settings: Settings, fake_model: FakeModel) -> AsyncGenerator[RunningServer]:
    """The application, which may fetch from loopback, and whose embedding endpoint takes its time."""
    settings = with_endpoint(sqlite_settings, fake_model, model_name="delay:0.3")
    update = {"egress_allow": "127.0.0.0/8", "heartbeat_interval": 1.0}
    async with running_server(settings.model_copy(update=update)) as running:
        yield running


@pytest.fixture
async def client(server: RunningServer) -> AsyncGenerator[httpx.AsyncClient]:
    async with server.client() as opened:
        yield opened


class Events:
    """A stream of server-sent events, read one by one."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()

    async def next(self) -> tuple[str, str, dict[str, Any]]:
        """Return the next event: its id, its name, its data."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(10):
            async for line in self._lines:
                if not line and fields:
                    return fields["id"], fields["event"], orjson.loads(fields["data"])
                if line and not line.startswith(":"):
                    name, _, value = line.partition(":")
                    fields[name] = value.strip()
        raise EOFError

    async def rest(self) -> list[tuple[str, str, dict[str, Any]]]:
        events: list[tuple[str, str, dict[str, Any]]] = []
        try:
            while True:
                events.append(await self.next())
        except EOFError:
            return events


@asynccontextmanager
async def following(client: httpx.AsyncClient, datasource: str, entry: str) -> AsyncGenerator[Events]:
    path = f"/api/datasources/{datasource}/entries/{entry}/events"
    async with client.stream("GET", path, timeout=20) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Events(answer)


async def test_the_events_of_a_file_tell_its_stages_in_order_and_end_with_done(
    client: httpx.AsyncClient,
) -> None:
    datasource = await make_datasource(client, "file")
    data = await asyncio.to_thread((FILES / "pandoc_harbour.docx").read_bytes)
    body = {"entry_data": {"name": "a.docx", "file": base64.b64encode(data).decode()}}
    sent = await client.post(f"/api/datasources/{datasource}/entries", json=body)
    async with following(client, datasource, sent.json()["uuid"]) as stream:
        events = await stream.rest()
    assert [id_ for id_, _, _ in events] == [str(number + 1) for number in range(len(events))]
    assert [name for _, name, _ in events] == ["entry"] * (len(events) - 1) + ["done"]
    stages = [row["stage"] for _, _, row in events[:-1]]
    assert stages == sorted(set(stages), key=STAGES.index)
    assert {"extract", "index"} <= set(stages)
    assert events[-1][2]["status"] == "READY"
    assert events[-1][2]["chunks_count"] > 0


async def test_the_events_of_an_entry_that_is_done_are_one(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client, "text")
    entry = await send_text(client, datasource, "The herring swims.")
    await all_ready(client, datasource, within=10)
    async with following(client, datasource, entry) as stream:
        ((number, name, row),) = await stream.rest()
    assert (number, name, row["uuid"]) == ("1", "done", entry)


async def test_the_events_of_a_failure_end_with_its_reason(client: httpx.AsyncClient, site: FakeSite) -> None:
    datasource = await make_datasource(client, "url")
    entry = await send_url(client, datasource, site.url("/nowhere"))
    async with following(client, datasource, entry) as stream:
        events = await stream.rest()
    assert events[-1][1] == "done"
    assert events[-1][2]["error"]["code"] == "http-404"


async def test_an_entry_that_is_deleted_while_it_is_followed_ends_its_events(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    gate = asyncio.Event()
    datasource = await make_datasource(client, "url")
    entry = await send_url(client, datasource, site.page("/held", hold(gate)))
    await site.until(lambda: site.asked("/held") == 1)
    async with following(client, datasource, entry) as stream:
        assert (await stream.next())[2]["stage"] == "fetch"
        answer = await client.delete(f"/api/datasources/{datasource}/entries/{entry}")
        assert answer.status_code == 204
        (last,) = await stream.rest()
    assert last[1:] == ("deleted", {})
    gate.set()


def followed(server: RunningServer) -> dict[UUID, set[asyncio.Event]]:
    """Return who follows which entry; it changes as they come and go."""
    return server.resources.progress._waiting  # pyright: ignore[reportPrivateUsage] # nobody else wants to know


async def test_a_client_that_leaves_is_followed_no_longer(
    server: RunningServer, client: httpx.AsyncClient, site: FakeSite
) -> None:
    gate = asyncio.Event()
    datasource = await make_datasource(client, "url")
    url = site.page("/held", hold(gate), reply("changed"))
    entry = await send_url(client, datasource, url)
    await site.until(lambda: site.asked("/held") == 1)
    waiting = followed(server)
    async with following(client, datasource, entry) as stream:
        await stream.next()
        assert UUID(entry) in waiting
    async with asyncio.timeout(5):
        while waiting:
            await asyncio.sleep(LOOK)
    gate.set()
    await all_ready(client, datasource, within=10)


async def test_a_wait_that_is_too_short_answers_202_and_the_work_goes_on(
    server: RunningServer, client: httpx.AsyncClient, site: FakeSite
) -> None:
    gate = asyncio.Event()
    datasource = await make_datasource(client)
    body = {"entry_data": {"url": site.page("/held", hold(gate))}}
    answer = await client.post(f"/api/datasources/{datasource}/entries", json=body, params={"wait": 0.2})
    assert (answer.status_code, answer.json()["status"]) == (202, "PROCESSING")
    assert not followed(server)
    gate.set()
    await all_ready(client, datasource, within=10)


async def test_a_wait_for_what_fails_answers_201_with_the_reason(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    datasource = await make_datasource(client)
    body = {"entry_data": {"url": site.url("/nowhere")}}
    answer = await client.post(f"/api/datasources/{datasource}/entries", json=body, params={"wait": 10})
    assert (answer.status_code, answer.json()["status"]) == (201, "FAILED")
    assert answer.json()["error"]["code"] == "http-404"


@pytest.mark.parametrize("wait", ["-1", "61", "long"])
async def test_a_wait_out_of_bounds_is_refused(client: httpx.AsyncClient, wait: str) -> None:
    datasource = await make_datasource(client)
    body = {"entry_data": {"content": "x"}}
    answer = await client.post(f"/api/datasources/{datasource}/entries", json=body, params={"wait": wait})
    assert answer.status_code == 422
