"""Entries that are fetched: pages, what changes and what does not, sitemaps, refreshes."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from llmstack_api import worker
from llmstack_api.models import Entry, now
from llmstack_api.settings import Settings
from tests.datasources.calls import make_datasource, search, settled
from tests.datasources.points import until_no_rows, until_points
from tests.datasources.watching import (
    SMALL_CHUNKS,
    all_ready,
    all_settled,
    entries_of,
    entry_of,
    send_text,
    send_url,
    until_entry,
)
from tests.fake_model.wire import Exchange
from tests.fake_site import FakeSite
from tests.fake_site.answers import Play, hang, reply
from tests.server import RunningServer, running_server

HTML = {"content-type": "text/html; charset=utf-8"}
MENU = "<nav><ul><li><a href='/a'>Imprint and contact</a></li><li><a href='/b'>Login</a></li></ul></nav>"


@pytest.fixture
async def server(sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[RunningServer]:
    """The application, which may fetch from loopback."""
    monkeypatch.setattr(worker, "RECONCILE_INTERVAL", 0.2)
    update = {"egress_allow": "127.0.0.0/8", "fetch_timeout": 2.0}
    async with running_server(sqlite_settings.model_copy(update=update)) as running:
        yield running


@pytest.fixture
async def client(server: RunningServer) -> AsyncGenerator[httpx.AsyncClient]:
    async with server.client() as opened:
        yield opened


def html(title: str, text: str) -> str:
    paragraphs = "".join(f"<p>{text} This is sentence {number} of the page.</p>" for number in range(5))
    return (
        f"<html><head><title>{title}</title></head><body>{MENU}<main><article><h1>{title}</h1>"
        f"{paragraphs}</article></main><footer>All rights reserved by nobody</footer></body></html>"
    )


def page(title: str, text: str, **headers: str) -> Play:
    return reply(html(title, text), headers=HTML | headers)


def page_with_etag(title: str, text: str, etag: str) -> Play:
    """Answer 304 to those who have it."""

    async def play(exchange: Exchange) -> None:
        known = exchange.received.headers.get("if-none-match") == etag
        answer = reply(status=304, headers={"etag": etag}) if known else page(title, text, etag=etag)
        await answer(exchange)

    return play


async def resync(client: httpx.AsyncClient, datasource: str, entry: str) -> dict[str, Any]:
    answer = await client.post(f"/api/datasources/{datasource}/entries/{entry}/resync")
    assert answer.status_code == 202, answer.text
    return await settled(client, datasource, entry)


async def test_a_page_is_named_by_its_title_and_found_by_its_main_text(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    url = site.page("/tides", page("Tides of the bay", "The spring tide floods the meadow."))
    datasource = await make_datasource(client, "url")
    entry = await settled(client, datasource, await send_url(client, datasource, url))
    assert (entry["status"], entry["name"], entry["source"]) == ("READY", "Tides of the bay", url)
    assert entry["mime_type"] == "text/html"
    (hit,) = await search(client, datasource, "what floods the meadow?")
    assert "spring tide" in hit["content"]
    assert "Imprint" not in hit["content"]
    assert "rights reserved" not in hit["content"]
    assert hit["metadata"]["source"] == url
    assert hit["metadata"]["name"] == hit["entry_name"] == "Tides of the bay"


async def test_a_name_that_was_given_is_kept(client: httpx.AsyncClient, site: FakeSite) -> None:
    url = site.page("/tides", page("Tides of the bay", "The spring tide floods the meadow."))
    datasource = await make_datasource(client, "url")
    entry = await settled(client, datasource, await send_url(client, datasource, url, name="tides"))
    assert entry["name"] == "tides"


async def test_a_page_that_has_not_changed_keeps_its_chunks(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    url = site.page("/tides", page_with_etag("Tides", "The spring tide floods the meadow.", '"1"'))
    datasource = await make_datasource(client, "url")
    first = await settled(client, datasource, await send_url(client, datasource, url))
    (before,) = await search(client, datasource, "meadow")
    again = await resync(client, datasource, first["uuid"])
    assert site.requests[-1].headers["if-none-match"] == '"1"'
    assert site.asked("/tides") == 2
    assert (again["status"], again["chunks_count"], again["name"]) == ("READY", 1, "Tides")
    assert await search(client, datasource, "meadow") == [before]


async def test_a_page_that_has_not_changed_is_cut_anew_once_the_settings_have(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    url = site.page("/tides", page_with_etag("Tides", "The spring tide floods the meadow. " * 5, '"1"'))
    datasource = await make_datasource(client, "url")
    first = await settled(client, datasource, await send_url(client, datasource, url))
    answer = await client.patch(f"/api/datasources/{datasource}", json={"config": SMALL_CHUNKS})
    assert answer.status_code == 200
    again = await resync(client, datasource, first["uuid"])
    assert again["chunks_count"] > first["chunks_count"]
    hits = await search(client, datasource, "meadow", limit=100)
    assert sorted(hit["chunk"]["number"] for hit in hits) == list(range(again["chunks_count"]))
    await resync(client, datasource, first["uuid"])
    assert "if-none-match" in site.requests[-1].headers


async def test_a_page_that_changed_is_replaced(client: httpx.AsyncClient, site: FakeSite) -> None:
    url = site.page(
        "/tides",
        page_with_etag("Tides", "The spring tide floods the meadow.", '"1"'),
        page_with_etag("Tides again", "The neap tide leaves the meadow dry.", '"2"'),
    )
    datasource = await make_datasource(client, "url")
    first = await settled(client, datasource, await send_url(client, datasource, url))
    again = await resync(client, datasource, first["uuid"])
    assert again["status"] == "READY"
    (hit,) = await search(client, datasource, "meadow")
    assert "neap tide" in hit["content"]
    await resync(client, datasource, first["uuid"])
    assert site.requests[-1].headers["if-none-match"] == '"2"'


async def test_a_page_that_is_gone_has_failed_and_its_old_content_is_still_found(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    url = site.page("/tides", page("Tides", "The spring tide floods the meadow."), reply("no", status=404))
    datasource = await make_datasource(client, "url")
    first = await settled(client, datasource, await send_url(client, datasource, url))
    gone = await resync(client, datasource, first["uuid"])
    assert gone["status"] == "FAILED"
    assert (gone["error"]["stage"], gone["error"]["code"]) == ("fetch", "http-404")
    assert "404" in gone["error"]["message"]
    (hit,) = await search(client, datasource, "meadow")
    assert "spring tide" in hit["content"]
    site.page("/tides", page("Tides", "The tide is back in the meadow."))
    back = await resync(client, datasource, first["uuid"])
    assert (back["status"], back["error"]) == ("READY", None)
    (hit,) = await search(client, datasource, "meadow")
    assert "is back" in hit["content"]


async def test_a_site_that_hangs_makes_its_entry_fail_and_holds_no_other_up(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    datasource = await make_datasource(client)
    slow = await send_url(client, datasource, site.page("/slow", hang))
    await site.until(lambda: site.asked("/slow") == 1)
    beside = await send_text(client, datasource, "The herring swims.")
    await until_entry(client, datasource, beside, lambda row: row["status"] == "READY", within=2)
    failed = await until_entry(client, datasource, slow, lambda row: row["status"] != "PROCESSING", within=10)
    assert failed["status"] == "FAILED"
    assert (failed["error"]["stage"], failed["error"]["code"]) == ("fetch", "timeout")


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://169.254.169.254/latest", "http://[::1]/", "http://0x0a000001/"]
)
async def test_a_private_address_is_refused_at_once(client: httpx.AsyncClient, url: str) -> None:
    datasource = await make_datasource(client, "url")
    body = {"entry_data": {"url": url}}
    answer = await client.post(f"/api/datasources/{datasource}/entries", json=body)
    assert answer.status_code == 422
    assert await entries_of(client, datasource) == []


async def test_a_redirect_to_a_private_address_makes_the_entry_fail(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    url = site.page("/out", reply(status=302, headers={"location": "http://10.0.0.1/secret"}))
    datasource = await make_datasource(client, "url")
    entry = await settled(client, datasource, await send_url(client, datasource, url))
    assert (entry["status"], entry["error"]["stage"]) == ("FAILED", "fetch")


async def test_urls_are_fetched_again_when_their_time_has_come(
    server: RunningServer, client: httpx.AsyncClient, site: FakeSite
) -> None:
    url = site.page(
        "/news", page("News", "Herring costs two coins."), page("News", "Herring costs nine coins.")
    )
    datasource = await make_datasource(client, "url", config={"refresh_interval": 300})
    entry = await settled(client, datasource, await send_url(client, datasource, url))
    assert entry["status"] == "READY"
    await server.resources.db.write(
        lambda session: session.execute(
            update(Entry)
            .where(Entry.id == UUID(entry["uuid"]), Entry.refresh_at.is_not(None))
            .values(refresh_at=now() - timedelta(seconds=1))
        ).close()
    )
    await site.until(lambda: site.asked("/news") == 2, within=10)
    await all_ready(client, datasource, within=10)
    (hit,) = await search(client, datasource, "herring")
    assert "nine coins" in hit["content"]


# --- sitemaps --------------------------------------------------------------------------------------------


def sitemap(*urls: str) -> Play:
    places = "".join(f"<url><loc>{url}</loc></url>" for url in urls)
    return reply(
        f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{places}</urlset>',
        headers={"content-type": "application/xml"},
    )


async def pages_of(client: httpx.AsyncClient, datasource: str, root: str) -> dict[str, dict[str, Any]]:
    rows = await entries_of(client, datasource)
    assert all(row["parent"] == root for row in rows if row["uuid"] != root)
    return {row["source"]: row for row in rows if row["uuid"] != root}


async def test_a_sitemap_makes_an_entry_of_each_page_and_follows_what_it_names(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    fish = [
        site.page(f"/{name}", page(name, f"The {name} swims in the bay.")) for name in ("eel", "cod", "ray")
    ]
    url = site.page("/sitemap.xml", sitemap(fish[0], fish[1]), sitemap(fish[1], fish[2]))
    datasource = await make_datasource(client, "sitemap")
    root = await send_url(client, datasource, url)
    await all_ready(client, datasource, within=20)
    pages = await pages_of(client, datasource, root)
    assert {row["name"] for row in pages.values()} == {"eel", "cod"}
    found = {hit["entry_name"] for hit in await search(client, datasource, "who swims in the bay")}
    assert found == {"eel", "cod"}

    answer = await client.post(f"/api/datasources/{datasource}/entries/{root}/resync")
    assert answer.status_code == 202
    await until_entry(client, datasource, root, lambda row: row["status"] == "READY")
    await all_ready(client, datasource, within=20)
    after = await pages_of(client, datasource, root)
    assert {row["name"] for row in after.values()} == {"cod", "ray"}
    assert after[fish[1]]["uuid"] == pages[fish[1]]["uuid"]
    assert site.asked("/cod") == 2
    gone = f"/api/datasources/{datasource}/entries/{pages[fish[0]]['uuid']}"
    assert (await client.get(gone)).status_code == 404
    found = {hit["entry_name"] for hit in await search(client, datasource, "who swims in the bay")}
    assert found == {"cod", "ray"}


async def test_the_entry_of_a_sitemap_takes_its_pages_with_it(
    server: RunningServer, client: httpx.AsyncClient, site: FakeSite
) -> None:
    fish = [site.page(f"/{name}", page(name, f"The {name} swims in the bay.")) for name in ("eel", "cod")]
    datasource = await make_datasource(client, "sitemap")
    root = await send_url(client, datasource, site.page("/sitemap.xml", sitemap(*fish)))
    await all_ready(client, datasource, within=20)
    assert len(await entries_of(client, datasource)) == 3
    assert (await client.delete(f"/api/datasources/{datasource}/entries/{root}")).status_code == 204
    assert await entries_of(client, datasource) == []
    assert await search(client, datasource, "who swims in the bay") == []
    await until_points(server, datasource, 0)
    await until_no_rows(server, within=25)


async def test_a_sitemap_that_cannot_be_fetched_has_failed_and_keeps_its_pages(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    fish = site.page("/eel", page("eel", "The eel swims in the bay."))
    url = site.page("/sitemap.xml", sitemap(fish), reply("no", status=404))
    datasource = await make_datasource(client, "sitemap")
    root = await send_url(client, datasource, url)
    await all_ready(client, datasource, within=20)
    failed = await resync(client, datasource, root)
    assert (failed["status"], failed["error"]["stage"]) == ("FAILED", "fetch")
    assert len(await search(client, datasource, "eel")) == 1


async def test_a_page_of_a_sitemap_that_fails_is_shown_beside_those_that_are_ready(
    client: httpx.AsyncClient, site: FakeSite
) -> None:
    fish = site.page("/eel", page("eel", "The eel swims in the bay."))
    url = site.page("/sitemap.xml", sitemap(fish, site.url("/nowhere")))
    datasource = await make_datasource(client, "sitemap")
    root = await send_url(client, datasource, url)
    rows = {row["source"]: row for row in await all_settled(client, datasource, within=20)}
    assert rows[fish]["status"] == "READY"
    assert rows[site.url("/nowhere")]["error"]["code"] == "http-404"
    assert (await entry_of(client, datasource, root))["status"] == "READY"
