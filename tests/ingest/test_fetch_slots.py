"""Slots: requests to all hosts together are few, and nobody holds one while waiting for a host."""

import asyncio
from contextlib import suppress

import pytest

from llmstack_api.errors import FetchError
from llmstack_api.ingest import fetch
from llmstack_api.ingest.fetch import AT_ONCE, Fetched
from tests.fake_site import FakeSite
from tests.fake_site.answers import hang, hold, redirect, reply, truncate
from tests.ingest.fetching import failure, fetching


async def test_a_host_that_hangs_does_not_hold_up_another(site: FakeSite) -> None:
    for number in range(80):
        site.page(f"/{number}", hang)
    async with fetching(at_once=AT_ONCE + 1) as fetcher:
        tasks = [asyncio.create_task(fetcher.fetch(site.url(f"/{number}"))) for number in range(80)]
        await site.until(lambda: site.open_calls == AT_ONCE)
        for number in range(8):
            site.page(f"/other/{number}", reply("yes"))
            fetched = await fetcher.fetch(site.url(f"/other/{number}", host="127.0.0.2"))
            assert fetched.data == b"yes"
        assert site.open_calls == AT_ONCE
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_requests_to_all_hosts_are_so_many_at_once_with_those_for_robots(site: FakeSite) -> None:
    gate = asyncio.Event()
    site.page("/robots.txt", hold(gate, ""))
    site.page("/page", hold(gate))
    async with fetching(at_once=3) as fetcher, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(fetcher.fetch(site.url("/page", host=f"127.0.0.{number}")))
            for number in range(1, 13)
        ]
        await site.until(lambda: site.asked("/robots.txt") == 3)
        gate.set()
    assert {task.result().data for task in tasks} == {b"held"}
    assert site.most_at_once == 3


async def test_waiting_for_a_slot_costs_no_time(site: FakeSite) -> None:
    site.page("/hangs", hang)
    page = site.page("/page", reply("yes")).replace("0.1", "0.3")
    async with fetching(timeout=0.4, at_once=2) as fetcher:
        slow = [
            asyncio.create_task(fetcher.fetch(site.url("/hangs", host=f"127.0.0.{number}")))
            for number in (1, 2)
        ]
        await site.until(lambda: site.asked("/hangs") == 2)
        assert (await fetcher.fetch(page)).data == b"yes"
        await asyncio.wait(slow)
    assert all(task.exception() for task in slow)


async def test_a_body_counts_until_its_block_ends_and_who_waits_too_long_is_told(
    site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "PATIENCE", 0.1)
    url = site.page("/page", reply("yes"))
    other = url.replace("0.1", "0.2")
    async with fetching(at_once=1) as fetcher:
        async with fetcher.fetching(url) as fetched:
            assert fetched.data == b"yes"
            assert (await failure(fetcher, other)).code == "host-busy"
            assert site.asked("/page") == 1
        assert (await fetcher.fetch(other)).data == b"yes"


async def test_a_slot_is_free_again_however_a_fetch_ends(site: FakeSite) -> None:
    site.page("/robots.txt", reply("User-agent: *\nDisallow: /private"))
    for path, play in (("/cut", truncate), ("/hangs", hang), ("/there", redirect("/page"))):
        site.page(path, play)
    url = site.page("/page", reply("yes", headers={"etag": '"1"'}), reply(status=304), reply("yes"))
    async with fetching(at_once=1, timeout=0.5) as fetcher:
        for path in ("/gone", "/private", "/cut", "/hangs"):
            with pytest.raises(FetchError):
                await fetcher.fetch(site.url(path))
        assert isinstance(await fetcher.fetch(site.url("/there")), Fetched)
        assert not isinstance(await fetcher.fetch(url, etag='"1"'), Fetched)
        with suppress(ZeroDivisionError):
            async with fetcher.fetching(url):
                raise ZeroDivisionError
        task = asyncio.create_task(fetcher.fetch(site.url("/hangs")))
        await site.until(lambda: site.asked("/hangs") == 2)
        task.cancel()
        await asyncio.wait([task])
        assert isinstance(await fetcher.fetch(url), Fetched)
