"""The port `HttpCaller` before a real web site."""

import asyncio
import gzip
import socket
import zlib
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from llmstack_api.engine.ports import HttpAnswer, HttpCall
from llmstack_api.errors import AddressRefusedError, HttpCallError, ProcessorInputError
from llmstack_api.outbound import Egress, guarded_client, parse_egress
from llmstack_api.tools.http import MAX_REDIRECTS, GuardedHttp, open_http_caller
from tests.fake_site import FakeSite, fake_site
from tests.fake_site.answers import (
    drop,
    endless,
    hang,
    not_http,
    redirect,
    reply,
    truncate,
)
from tests.test_outbound import LOOPBACK_FORMS, Names, listener

SECRETS = (("Authorization", "Bearer s3cret"), ("Cookie", "id=1"), ("X-Api-Key", "s3cret"))
LOOPBACK = parse_egress("127.0.0.0/8")
KEPT = (("Accept", "application/json"), ("Content-Type", "application/json"))


@pytest.fixture
async def site() -> AsyncGenerator[FakeSite]:
    async with fake_site() as running:
        yield running


@pytest.fixture
async def http() -> AsyncGenerator[GuardedHttp]:
    async with open_http_caller(LOOPBACK, max_bytes=100_000) as caller:
        yield caller


def call(url: str, method: str = "GET", **more: Any) -> HttpCall:
    return HttpCall(method=method, url=url, **more)


def header(answer: HttpAnswer, name: str) -> list[str]:
    return [value for given, value in answer.headers if given.lower() == name]


async def test_an_answer_is_given_whatever_its_status(http: GuardedHttp, site: FakeSite) -> None:
    page = reply("no such thing", status=404, headers={"content-type": "text/plain; charset=latin-1"})
    answer = await http.call(call(site.page("/gone", page)))
    assert (answer.status, answer.content, answer.charset) == (404, b"no such thing", "latin-1")
    assert answer.url == site.url("/gone")
    assert header(answer, "content-type") == ["text/plain; charset=latin-1"]
    assert answer.elapsed > 0


async def test_what_the_caller_gives_is_what_arrives(http: GuardedHttp, site: FakeSite) -> None:
    url = site.page("/items?q=a%26b%20c", reply("made", status=201))
    headers = (("Content-Type", "application/json"), ("X-Trace", "né"), *SECRETS)
    answer = await http.call(call(url, "PATCH", headers=headers, content=b'{"a": 1}'))
    received = site.requests[0]
    assert answer.status == 201
    assert (received.method, received.body) == ("PATCH", {"a": 1})
    assert received.path == "/items?q=a%26b%20c"
    assert received.headers["authorization"] == "Bearer s3cret"
    assert received.headers["cookie"] == "id=1"
    assert received.headers["x-trace"].encode("latin-1").decode() == "né"
    assert received.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"inflated")),
        ("deflate", zlib.compress(b"inflated")),
        ("", b"inflated"),
    ],
    ids=["gzip", "deflate", "plain"],
)
async def test_a_body_is_inflated(http: GuardedHttp, site: FakeSite, encoding: str, body: bytes) -> None:
    url = site.page("/", reply(body, headers={"content-encoding": encoding}, chunked=True))
    assert (await http.call(call(url))).content == b"inflated"


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_an_answer_may_have_no_body(http: GuardedHttp, site: FakeSite, method: str) -> None:
    async def headers_only(exchange: Any) -> None:
        exchange.raw(b"HTTP/1.1 204 No Content\r\ncontent-length: 999999999\r\n\r\n")
        exchange.close()

    answer = await http.call(call(site.page("/", headers_only), method))
    assert (answer.status, answer.content) == (204, b"")


async def test_what_is_too_large_is_refused_before_and_after_inflation(
    http: GuardedHttp, site: FakeSite
) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    assert len(bomb) < 100_000
    pages = [
        reply(b"0" * 100_001),
        reply(b"0" * 100_001, chunked=True),
        reply(bomb, headers={"content-encoding": "gzip"}),
        endless(b"0" * 10_000),
        endless(gzip.compress(b"", 0), headers={"content-encoding": "gzip"}),
    ]
    for page in pages:
        with pytest.raises(HttpCallError, match="more than 100,000 bytes"):
            await http.call(call(site.page("/", page)))
    await site.until(lambda: site.open_calls == 0)
    exact = await http.call(call(site.page("/", reply(b"0" * 100_000))))
    assert len(exact.content) == 100_000


# --- redirects -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (302, "PUT", "PUT"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "DELETE", "DELETE"),
    ],
)
async def test_a_redirect_keeps_or_changes_the_method_as_its_status_says(
    http: GuardedHttp, site: FakeSite, status: int, method: str, becomes: str
) -> None:
    site.page("/new", reply("here"))
    url = site.page("/old", redirect("/new", status=status))
    content = b"{}" if method != "HEAD" else None
    answer = await http.call(call(url, method, headers=(*SECRETS, *KEPT), content=content))
    received = site.requests[-1]
    assert answer.url == site.url("/new")
    assert received.method == becomes
    kept = content is not None and becomes == method
    assert received.body == ({} if kept else None)
    assert ("content-type" in received.headers) == (becomes == method)
    assert received.headers["authorization"] == "Bearer s3cret", "the origin is the same"


async def test_credentials_stay_with_their_origin(http: GuardedHttp, site: FakeSite) -> None:
    async with fake_site() as other:
        url = site.page("/old", redirect(other.url("/new"), status=307))
        other.page("/new", redirect(site.url("/back"), status=307))
        site.page("/back", reply("here"))
        await http.call(call(url, "POST", headers=(*SECRETS, *KEPT), content=b"{}"))
        for received in (other.requests[0], site.requests[-1]):
            assert not {"authorization", "cookie", "x-api-key"} & received.headers.keys()
            assert received.headers["accept"] == "application/json"
            assert received.body == {}


async def test_a_redirect_from_tls_to_plain_text_takes_no_credentials() -> None:
    class Downgrading(httpx.AsyncBaseTransport):
        """Stands for a site with a trusted certificate, which cannot be had on loopback."""

        def __init__(self) -> None:
            self.requests: list[httpx.Request] = []

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return httpx.Response(302, headers={"location": "http://example.com/b"})

    transport = Downgrading()
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(HttpCallError, match="more than 5 times"):
            await GuardedHttp(client).call(call("https://example.com/a", headers=SECRETS))
    assert "authorization" in transport.requests[0].headers
    assert not {"authorization", "cookie", "x-api-key"} & transport.requests[1].headers.keys()


async def test_a_redirect_is_an_answer_where_it_is_not_followed(http: GuardedHttp, site: FakeSite) -> None:
    answer = await http.call(call(site.page("/old", redirect("/new")), follow_redirects=False))
    assert (answer.status, header(answer, "location")) == (302, ["/new"])
    without_location = await http.call(call(site.page("/odd", reply("which?", status=302))))
    assert without_location.content == b"which?"


async def test_redirects_in_a_circle_come_to_an_end(http: GuardedHttp, site: FakeSite) -> None:
    with pytest.raises(HttpCallError, match="more than 5 times"):
        await http.call(call(site.page("/old", redirect("/old"))))
    assert site.asked("/old") == MAX_REDIRECTS + 1


async def test_a_redirect_to_what_is_no_address_is_an_error(http: GuardedHttp, site: FakeSite) -> None:
    for location in ("ftp://example.com/", "https://user:password@example.com/"):
        with pytest.raises(HttpCallError, match="redirects to what is no"):
            await http.call(call(site.page("/old", redirect(location))))


# --- the guard -------------------------------------------------------------------------------------------


async def test_no_form_of_a_private_address_is_ever_connected_to() -> None:
    async with listener() as (port, met), open_http_caller(Egress()) as http, asyncio.timeout(20):
        for host in LOOPBACK_FORMS:
            with pytest.raises(AddressRefusedError):
                await http.call(call(f"http://{host}:{port}/", "POST", content=b"{}"))
    assert met == []


async def test_a_redirect_to_a_private_address_is_refused(site: FakeSite) -> None:
    async with (
        fake_site() as inner,
        open_http_caller(parse_egress(f"127.0.0.1:{site.port}")) as http,
    ):
        for location in (
            inner.url("/"),
            inner.url("/", host="127.0.0.2"),
            inner.url("/", host="localhost"),
            "http://169.254.169.254/latest/meta-data/",
            "http://[fd00:ec2::254]/",
        ):
            with pytest.raises(AddressRefusedError):
                await http.call(call(site.page("/old", redirect(location))))
        assert inner.accepted == 0


async def test_a_name_that_leads_to_a_private_address_is_refused() -> None:
    async with listener() as (port, met):
        for addresses in (["127.0.0.1"], ["169.254.169.254"], ["8.8.8.8", "10.0.0.1"]):
            async with guarded_client(Egress(), resolver=Names(rebound=addresses)) as client:
                with pytest.raises(AddressRefusedError):
                    await GuardedHttp(client).call(call(f"http://rebound:{port}/"))
    assert met == []


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://x/", "example.com", "http://", "http://a b/"]
)
async def test_what_is_no_web_address_is_refused(http: GuardedHttp, url: str) -> None:
    with pytest.raises(AddressRefusedError):
        await http.call(call(url))


# --- what cannot be sent ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "1\r\nX-B: 2"),
        ("X-A", "1\n"),
        ("X-A", "nul\0"),
        ("X-A", "half \ud800 a pair"),
        ("X A", "1"),
        ("X-A\r\nX-B", "1"),
        ("", "1"),
        ("Host", "internal"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "X-A"),
        ("Proxy-Authorization", "Basic x"),
        ("X-A", "0" * 70_000),
    ],
)
async def test_a_header_that_would_change_the_request_is_refused(
    http: GuardedHttp, site: FakeSite, name: str, value: str
) -> None:
    with pytest.raises(ProcessorInputError):
        await http.call(call(site.url("/"), headers=((name, value),)))
    assert site.requests == []


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "get", "GET / HTTP/1.1\r\nX:"])
async def test_a_method_that_is_not_for_callers_is_refused(
    http: GuardedHttp, site: FakeSite, method: str
) -> None:
    with pytest.raises(ProcessorInputError, match="is none of"):
        await http.call(call(site.url("/"), method))


# --- what fails ------------------------------------------------------------------------------------------


async def test_failures_are_told_in_words(http: GuardedHttp, site: FakeSite) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        async with fake_site(tls=True) as untrusted:
            for url, words in (
                (closed, "cannot be reached"),
                (untrusted.url("/", scheme="https"), "certificate is not trusted"),
                (site.page("/drop", drop), "broke the connection off"),
                (site.page("/half", truncate), "broke the connection off before all"),
                (site.page("/ssh", not_http), "does not answer in HTTP"),
                (site.page("/br", reply("x", headers={"content-encoding": "br"})), "not asked for"),
                (
                    site.page("/bad", reply("not gzip at all", headers={"content-encoding": "gzip"})),
                    "cannot be inflated",
                ),
            ):
                with pytest.raises(HttpCallError, match=words):
                    await http.call(call(url))


async def test_a_call_as_a_whole_has_a_time_out(http: GuardedHttp, site: FakeSite) -> None:
    for page in (hang, endless(b".", every=0.01)):
        with pytest.raises(HttpCallError, match=r"within 0\.1 seconds"):
            await http.call(call(site.page("/slow", page), timeout=0.1))
        await site.until(lambda: site.open_calls == 0)


async def test_a_call_that_is_cancelled_closes_its_connection(http: GuardedHttp, site: FakeSite) -> None:
    for page in (hang, endless(b".", every=0.01)):
        task = asyncio.create_task(http.call(call(site.page("/slow", page))))
        await site.until(lambda: site.open_calls == 1)
        task.cancel()
        await asyncio.wait({task}, timeout=5)
        assert task.cancelled()
        await site.until(lambda: site.open_calls == 0)
    assert site.left == 2
