"""Fetching, from a real site on loopback."""

import asyncio
import gzip
import zlib
from time import monotonic

import pytest

from llmstack_api.errors import InvalidInputError
from llmstack_api.ingest.address import check_entry_url
from llmstack_api.ingest.fetch import AT_ONCE, Fetched, NotModified
from llmstack_api.ingest.turns import Turns
from llmstack_api.outbound import Egress, parse_egress
from tests.fake_site import FakeSite
from tests.fake_site.answers import drop, hold, not_modified_if, redirect, reply
from tests.ingest.fetching import fetching

TEXT = b"All work and no play. " * 1000


async def test_a_page_comes_with_what_its_headers_say(site: FakeSite) -> None:
    headers = {
        "content-type": "Text/HTML; Charset=ISO-8859-1",
        "content-disposition": "inline; filename=\"a/b.txt\"; filename*=UTF-8''na%C3%AFve%20caf%C3%A9.html",
        "etag": 'W/"7"',
        "last-modified": "Wed, 21 Oct 2015 07:28:00 GMT",
    }
    url = site.page("/page?q=1", reply("<p>Hi</p>", headers=headers))
    async with fetching() as fetcher:
        page = await fetcher.fetch(url + "#part")
    assert page == Fetched(
        url=url,
        data=b"<p>Hi</p>",
        media_type="text/html",
        charset="iso-8859-1",
        file_name="naïve café.html",
        etag='W/"7"',
        last_modified="Wed, 21 Oct 2015 07:28:00 GMT",
    )
    asked = site.requests[-1].headers
    assert asked["user-agent"].startswith("llmstack-api/")
    assert asked["accept-encoding"] == "gzip, deflate"
    assert asked["accept"].startswith("text/html")
    assert not {"cookie", "authorization", "referer", "if-none-match"} & asked.keys()


async def test_an_answer_without_headers_is_a_page_too(site: FakeSite) -> None:
    url = site.page("/bare", reply(b"", status=204), reply(b"chunks", chunked=True))
    async with fetching() as fetcher:
        assert await fetcher.fetch(url) == Fetched(url=url, data=b"")
        assert await fetcher.fetch(url) == Fetched(url=url, data=b"chunks")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("x-gzip", gzip.compress(TEXT)),
        ("GZIP", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]) + b"\0trailing"),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", zlib.compress(TEXT, wbits=-15)),
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT, compresslevel=0)),
    ],
)
async def test_a_compressed_page_is_inflated(site: FakeSite, encoding: str, body: bytes) -> None:
    url = site.page("/packed", reply(body, headers={"content-encoding": encoding}))
    async with fetching() as fetcher:
        assert (await fetcher.fetch(url)).data == TEXT


# --- redirects -------------------------------------------------------------------------------------------


async def test_redirects_are_followed_to_the_final_address(site: FakeSite) -> None:
    site.page("/1", redirect("/2#part", status=301))
    site.page("/2", redirect(f"//127.0.0.2:{site.port}/3", status=302))
    site.page("/3", redirect("4?x=y", status=303))
    site.page("/4?x=y", redirect("/deep/../5", status=307))
    site.page("/5", redirect(" /end ", status=308))
    site.page("/end", reply("here"))
    async with fetching() as fetcher:
        page = await fetcher.fetch(site.url("/1"))
    assert page == Fetched(url=site.url("/end", host="127.0.0.2"), data=b"here")
    assert site.asked("/robots.txt") == 2, "each host is asked what it allows"


async def test_connections_are_used_again_through_redirects_and_absent_robots(site: FakeSite) -> None:
    site.page("/1", redirect("/2"))
    site.page("/2", reply("here"))
    async with fetching() as fetcher:
        await fetcher.fetch(site.url("/1"))
        await fetcher.fetch(site.url("/2"))
    assert site.accepted == 1


async def test_cookies_are_not_kept(site: FakeSite) -> None:
    site.page("/1", reply("in", headers={"set-cookie": "id=1; Path=/"}))
    async with fetching() as fetcher:
        await fetcher.fetch(site.url("/1"))
        await fetcher.fetch(site.url("/1"))
    assert all("cookie" not in asked.headers for asked in site.requests)


# --- conditions ------------------------------------------------------------------------------------------


async def test_what_has_not_changed_is_not_sent_again(site: FakeSite) -> None:
    site.page("/old", redirect("/page"))
    site.page("/page", not_modified_if('"v1"'))
    async with fetching() as fetcher:
        same = await fetcher.fetch(
            site.url("/old"), etag='"v1"', last_modified="Wed, 21 Oct 2015 07:28:00 GMT"
        )
        assert same == NotModified(url=site.url("/page"))
        assert site.requests[-1].headers["if-modified-since"] == "Wed, 21 Oct 2015 07:28:00 GMT"
        changed = await fetcher.fetch(site.url("/page"), etag='"v0"')
    assert isinstance(changed, Fetched)
    assert (changed.data, changed.etag) == (b"new", '"v1"')


@pytest.mark.parametrize("value", ["", "  ", "é", "a\r\nX-Evil: 1", "x" * 600])
async def test_a_validator_that_cannot_be_sent_is_not(site: FakeSite, value: str) -> None:
    url = site.page("/page", not_modified_if('"v1"'))
    async with fetching() as fetcher:
        page = await fetcher.fetch(url, etag=value, last_modified=value)
    assert isinstance(page, Fetched)
    assert not {"if-none-match", "if-modified-since", "x-evil"} & site.requests[-1].headers.keys()


# --- retries ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_passing_failure_is_tried_again(site: FakeSite, status: int) -> None:
    url = site.page("/page", reply("no", status=status, headers={"retry-after": "0"}), reply("yes"))
    async with fetching() as fetcher:
        assert (await fetcher.fetch(url)).data == b"yes"
    assert site.asked("/page") == 2


async def test_a_reset_before_an_answer_is_tried_again_twice(site: FakeSite) -> None:
    url = site.page("/page", drop, drop, reply("yes"))
    async with fetching() as fetcher:
        assert (await fetcher.fetch(url)).data == b"yes"
    assert site.asked("/page") == 3


async def test_retry_after_is_waited_for(site: FakeSite) -> None:
    url = site.page("/page", reply("no", status=503, headers={"retry-after": "0.4"}), reply("yes"))
    async with fetching() as fetcher:
        await fetcher.fetch(url)
    assert 0.4 <= site.requests[-1].at - site.requests[-2].at < 2


# --- politeness and cancelling ---------------------------------------------------------------------------


async def test_a_host_is_asked_by_so_many_at_once_and_waiting_costs_no_time(site: FakeSite) -> None:
    gate = asyncio.Event()
    site.page("/page", hold(gate))
    async with fetching() as fetcher, asyncio.TaskGroup() as group:
        tasks = [group.create_task(fetcher.fetch(site.url(f"/page?{number}"))) for number in range(12)]
        for number in range(12):
            site.page(f"/page?{number}", hold(gate))
        await site.until(lambda: len(site.requests) == AT_ONCE + 1)
        other = group.create_task(fetcher.fetch(site.page("/other", reply("yes")).replace("0.1", "0.2")))
        assert (await other).data == b"yes", "another host has its own line"
        assert site.open_calls == AT_ONCE
        gate.set()
    assert {task.result().data for task in tasks} == {b"held"}
    assert site.most_at_once <= AT_ONCE + 1


async def test_those_in_line_outlast_the_time_of_one_fetch(site: FakeSite) -> None:
    async with fetching(timeout=0.4) as fetcher:
        gates = [asyncio.Event() for _ in range(4)]
        urls = [site.page(f"/slow{number}", hold(asyncio.Event())) for number, _ in enumerate(gates)]
        slow = [asyncio.create_task(fetcher.fetch(url)) for url in urls]
        await site.until(lambda: site.open_calls == AT_ONCE)
        started = monotonic()
        late = [
            asyncio.create_task(fetcher.fetch(site.page(f"/late{number}", hold(asyncio.Event()))))
            for number in range(4)
        ]
        last = asyncio.create_task(fetcher.fetch(site.page("/last", reply("yes"))))
        assert (await last).data == b"yes"
        assert monotonic() - started > 0.4
        await asyncio.wait(slow + late)
    assert all(task.exception() for task in slow + late)


async def test_cancelling_ends_the_transfer_at_once(site: FakeSite) -> None:
    url = site.page("/page", hold(asyncio.Event()))
    async with fetching() as fetcher:
        task = asyncio.create_task(fetcher.fetch(url))
        await site.until(lambda: site.asked("/page") == 1)
        task.cancel()
        await site.until(lambda: site.left == 1)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_those_who_give_up_in_line_leave_no_trace() -> None:
    turns = Turns(1)
    entered = asyncio.Event()

    async def ask() -> None:
        async with asyncio.timeout(5) as clock, turns.turn("host", clock=clock, patience=5):
            entered.set()
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(ask()) for _ in range(3)]
    await entered.wait()
    assert len(turns) == 1
    for task in tasks[1:]:
        task.cancel()
    await asyncio.wait(tasks[1:])
    tasks[0].cancel()
    await asyncio.wait(tasks)
    assert len(turns) == 0
    async with asyncio.timeout(5) as clock, turns.turn("host", clock=clock, patience=5):
        assert len(turns) == 1


# --- what is refused at once -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "/page",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http:///path",
        "http://[::1",
        "http://ex ample.com/",
        "http://example.com:99999/",
        "http://user:password@example.com/",
        "http://127.0.0.1/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://2130706433/",
        "http://a..b.example/",
        "http://xn--a.example/",
        f"http://{'a' * 64}.example/",
        f"http://{'a.' * 130}example/",
        f"http://example.com/{'x' * 2048}",
        "http://exam\nple.com/",
        "http://\ud800.example/",
    ],
)
def test_an_address_that_could_never_be_fetched_is_refused_by_what_is_written(url: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_entry_url(url, Egress())
    [fault] = refused.value.faults
    assert fault.loc == "entry_data.url"
    assert fault.msg == str(refused.value)
    assert "\n" not in fault.msg


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "HTTPS://Example.COM:8443/a b?q=ü#part",
        "http://bücher.example/",
        "http://8.8.8.8/",
        "http://[2606:4700::1]/",
        "http://10.2.0.7:81/",
        "http://inside./",
    ],
)
def test_an_address_that_may_be_fetched_is_not(url: str) -> None:
    check_entry_url(url, parse_egress("10.2.0.0/16:81"))
