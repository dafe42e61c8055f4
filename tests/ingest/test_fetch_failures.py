"""What cannot be fetched: each reason has its code and words for the user."""

import asyncio
import gzip
import zlib
from time import monotonic

import pytest

from llmstack_api.errors import FetchError
from llmstack_api.ingest import fetch
from llmstack_api.ingest.fetch import open_fetcher
from llmstack_api.outbound import Egress, parse_egress
from tests.fake_model.wire import Exchange
from tests.fake_site import FakeSite, fake_site
from tests.fake_site.answers import (
    Play,
    drop,
    drop_after_headers,
    endless,
    hang,
    hold,
    not_http,
    redirect,
    reply,
    truncate,
)
from tests.ingest.fetching import MAX_BYTES, failure, fetching

GZIP = {"content-encoding": "gzip"}
FAILURES: dict[str, tuple[Play, str, int]] = {
    "busy for long": (reply("no", status=503, headers={"retry-after": "0"}), "http-503", 3),
    "busy and says when": (reply("no", status=429, headers={"retry-after": "60"}), "http-429", 1),
    "reset": (drop, "connection-reset", 4),
    "reset when the body is due": (drop_after_headers, "connection-reset", 2),
    "cut in the middle": (truncate, "broken-off", 1),
    "no http": (not_http, "not-http", 1),
    "brotli": (reply("x", headers={"content-encoding": "br"}), "unsupported-encoding", 1),
    "twice compressed": (reply("x", headers={"content-encoding": "gzip, gzip"}), "unsupported-encoding", 1),
    "no gzip": (reply("no gzip at all", headers=GZIP), "bad-encoding", 1),
    "cut gzip": (reply(gzip.compress(b"abc" * 99)[:-12], headers=GZIP), "broken-off", 1),
    "large": (reply(b"x" * (MAX_BYTES + 1)), "too-large", 1),
    "large and chunked": (reply(b"x" * (MAX_BYTES + 1), chunked=True), "too-large", 1),
    "endless": (endless(b"x" * 65_536), "too-large", 1),
    "gzip bomb": (reply(gzip.compress(bytes(50_000_000)), headers=GZIP), "too-large", 1),
    "deflate bomb": (
        reply(zlib.compress(bytes(50_000_000)), headers={"content-encoding": "deflate"}),
        "too-large",
        1,
    ),
    "bomb of nothing": (endless(gzip.compress(b"") * 1000, headers=GZIP), "too-large", 1),
    "redirect to itself": (redirect("/page"), "too-many-redirects", 1),
    "redirect to ftp": (redirect("ftp://example.com/"), "bad-redirect", 1),
    "redirect to a malformed address": (redirect("http://[::1"), "bad-redirect", 1),
    "redirect to a long address": (redirect("/" + "x" * 3000), "bad-redirect", 1),
    "redirect to a private address": (redirect("http://10.0.0.1/latest"), "address-refused", 1),
    "redirect to metadata": (redirect("http://169.254.169.254/latest"), "address-refused", 1),
    "redirect to a mapped address": (redirect("http://[::ffff:10.0.0.1]/"), "address-refused", 1),
    "redirect with a password": (redirect("http://user:password@127.0.0.1/"), "bad-redirect", 1),
    "redirect to an unknown name": (redirect("http://nowhere.invalid/"), "dns", 1),
}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418, 451, 501, 505, 599, 206, 300, 304, 302])
async def test_a_refusal_is_told_by_its_status_and_not_tried_again(site: FakeSite, status: int) -> None:
    url = site.page("/page?key=secret", reply("" if status == 304 else "no", status=status))
    async with fetching() as fetcher:
        error = await failure(fetcher, url)
    assert error.code == f"http-{status}"
    assert f"HTTP {status}" in str(error)
    assert "/page" in str(error)
    assert "secret" not in str(error)
    assert site.asked("/page?key=secret") == 1


@pytest.mark.parametrize(("play", "code", "asked"), FAILURES.values(), ids=FAILURES)
async def test_each_failure_has_its_code(site: FakeSite, play: Play, code: str, asked: int) -> None:
    url = site.page("/page", play)
    async with fetching() as fetcher:
        error = await failure(fetcher, url)
    assert error.code == code
    assert site.asked("/page") == asked
    assert str(error).endswith(".")
    assert error.__cause__ is None


async def test_too_large_is_told_by_the_size_that_is_declared(site: FakeSite) -> None:
    async def declare(exchange: Exchange) -> None:
        exchange.start(length=10**15)
        await asyncio.Event().wait()

    url = site.page("/page", declare)
    async with fetching() as fetcher:
        assert (await failure(fetcher, url)).code == "too-large"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://nowhere.invalid/", "dns"),
        ("http://127.0.0.1:1/", "unreachable"),
        ("http://10.0.0.1/", "address-refused"),
        ("http://0x7f.1/", "address-refused"),
        ("ftp://127.0.0.1/", "bad-url"),
        ("nothing", "bad-url"),
        (f"http://127.0.0.1/{'x' * 3000}", "bad-url"),
        (f"http://{'a' * 70}.example/", "bad-url"),
        ("http://xn--a.example/", "bad-url"),
    ],
)
async def test_an_address_that_leads_nowhere_is_told_as_such(url: str, code: str) -> None:
    async with fetching() as fetcher:
        error = await failure(fetcher, url)
    assert error.code == code
    assert "Errno" not in str(error)


async def test_a_name_that_leads_to_a_private_address_is_refused(site: FakeSite) -> None:
    async with open_fetcher(Egress(), timeout=5, max_bytes=MAX_BYTES) as fetcher:
        error = await failure(fetcher, site.url("/", host="localhost"))
    assert error.code == "address-refused"
    assert site.accepted == 0


async def test_a_redirect_to_another_port_than_the_allowed_is_refused(site: FakeSite) -> None:
    egress = parse_egress(f"127.0.0.1:{site.port}")
    async with fake_site() as other, open_fetcher(egress, timeout=5, max_bytes=MAX_BYTES) as fetcher:
        error = await failure(fetcher, site.page("/page", redirect(other.url("/secret"))))
        assert other.accepted == 0
    assert error.code == "address-refused"
    assert str(error).startswith(f"http://127.0.0.1:{site.port}/page was redirected.")


async def test_a_certificate_that_nobody_trusts_is_told_as_such() -> None:
    async with fake_site(tls=True) as secure, fetching() as fetcher:
        error = await failure(fetcher, secure.url("/", scheme="https"))
    assert error.code == "tls"
    assert "certificate" in str(error)


async def test_a_server_that_speaks_no_tls_is_told_as_such() -> None:
    def speak_plainly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(speak_plainly, "127.0.0.1", 0) as server, fetching() as fetcher:
        port = server.sockets[0].getsockname()[1]
        assert (await failure(fetcher, f"https://127.0.0.1:{port}/")).code == "tls"


async def test_redirects_in_a_circle_or_over_five_are_given_up(site: FakeSite) -> None:
    for number in range(9):
        site.page(f"/{number}", redirect(f"/{number + 1}"))
    site.page("/a", redirect("/b#1"))
    site.page("/b", redirect("/a#2"))
    async with fetching() as fetcher:
        assert (await failure(fetcher, site.url("/0"))).code == "too-many-redirects"
        assert (site.asked("/5"), site.asked("/6")) == (1, 0)
        assert (await failure(fetcher, site.url("/a"))).code == "too-many-redirects"
        assert (site.asked("/a"), site.asked("/b")) == (1, 1)


async def test_retries_are_few_over_all_redirects(site: FakeSite) -> None:
    busy = reply("no", status=503, headers={"retry-after": "0"})
    site.page("/1", busy, busy, redirect("/2"))
    site.page("/2", busy, reply("never"))
    async with fetching() as fetcher:
        assert (await failure(fetcher, site.url("/1"))).code == "http-503"
    assert (site.asked("/1"), site.asked("/2")) == (3, 1)


@pytest.mark.parametrize(
    "play",
    [
        pytest.param(hang, id="never"),
        pytest.param(endless(b"x", every=0.02), id="drop by drop"),
        pytest.param(reply("no", status=503, headers={"retry-after": "0.3"}), id="busy again and again"),
        pytest.param(endless(gzip.compress(b""), every=0.02, headers=GZIP), id="gzip of nothing"),
    ],
)
async def test_time_is_over_for_all_together(site: FakeSite, play: Play) -> None:
    site.page("/1", redirect("/2"))
    site.page("/2", play)
    async with fetching(timeout=0.5) as fetcher:
        error = await failure(fetcher, site.url("/1"))
    assert error.code in {"timeout", "http-503"}
    await site.until(lambda: site.open_calls == 0)


async def test_a_retry_later_than_the_time_allows_is_not_waited_for(site: FakeSite) -> None:
    url = site.page("/page", reply("no", status=429, headers={"retry-after": "7"}))
    async with fetching(timeout=2) as fetcher:
        error = await failure(fetcher, url)
    assert error.code == "http-429"


async def test_a_line_that_does_not_move_is_left(site: FakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "PATIENCE", 0.1)
    gate = asyncio.Event()
    url = site.page("/page", hold(gate))
    async with fetching() as fetcher:
        tasks = [asyncio.create_task(fetcher.fetch(url)) for _ in range(4)]
        await site.until(lambda: site.asked("/page") == 4)
        assert (await failure(fetcher, url)).code == "host-busy"
        gate.set()
        await asyncio.wait(tasks)
    assert all(task.result().data == b"held" for task in tasks)


async def test_the_loop_turns_while_a_bomb_is_inflated(site: FakeSite) -> None:
    url = site.page("/bomb", reply(gzip.compress(bytes(30_000_000)), headers=GZIP))
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            before = monotonic()
            await asyncio.sleep(0)
            longest = max(longest, monotonic() - before)

    async with fetching(max_bytes=25_000_000) as fetcher:
        ticking = asyncio.create_task(tick())
        with pytest.raises(FetchError, match="larger"):
            await fetcher.fetch(url)
        ticking.cancel()
    assert longest < 0.1
