"""Sitemaps: read, and collected from a real site."""

import asyncio
import gzip

import pytest

from llmstack_api.errors import FetchError
from llmstack_api.ingest.sitemap import MAX_SITEMAPS, MAX_URLS, Sitemap, collect, parse_sitemap
from tests.fake_site import FakeSite
from tests.fake_site.answers import endless, hang, hold, redirect, reply
from tests.ingest.fetching import fetching

HOME = "https://example.com/sitemap.xml"
NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"


def urlset(*urls: str, attributes: str = f'xmlns="{NAMESPACE}"') -> str:
    entries = "".join(f"<url><loc>{url}</loc><lastmod>2020-01-01</lastmod></url>" for url in urls)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset {attributes}>{entries}</urlset>'


def index(*urls: str) -> str:
    entries = "".join(f"<sitemap><loc>{url}</loc></sitemap>" for url in urls)
    return f'<sitemapindex xmlns="{NAMESPACE}">{entries}</sitemapindex>'


PAGES = ["https://example.com/a", "https://example.com/b?x=1&y=2"]
TWO = urlset("https://example.com/a", "https://example.com/b?x=1&amp;y=2")


DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
BARE = TWO.removeprefix(DECLARATION)
PREFIXED = BARE.replace("<", "<s:").replace("<s:/", "</s:").replace("xmlns=", "xmlns:s=")
SPACED = urlset(" \n https://example.com/a \n", "<![CDATA[https://example.com/b?x=1&y=2]]>", attributes="")
TWICE = urlset(PAGES[0], PAGES[0] + "#x", "https://example.com/b?x=1&#38;y=2")
FORMS: dict[str, bytes] = {
    "namespace": TWO.encode(),
    "prefix": PREFIXED.encode(),
    "no namespace, cdata": SPACED.encode(),
    "doctype": ("<!DOCTYPE urlset>" + BARE).encode(),
    "byte order mark": b"\xef\xbb\xbf \n" + BARE.encode(),
    "utf-16": TWO.replace("UTF-8", "UTF-16").encode("utf-16"),
    "latin-1": TWO.replace("UTF-8", "ISO-8859-1").encode("latin-1"),
    "twice": TWICE.encode(),
    "gzip": gzip.compress(TWO.encode()),
    "list": "\n".join(PAGES).encode(),
    "list, CRLF": b"\xef\xbb\xbf" + "\r\n\r\n".join([*PAGES, PAGES[0], ""]).encode(),
    "list, gzip": gzip.compress("\n".join(PAGES).encode()),
}


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_a_sitemap_is_read_in_each_of_its_forms(data: bytes) -> None:
    assert parse_sitemap(data, url=HOME) == Sitemap(urls=PAGES)


def test_an_index_names_sitemaps() -> None:
    data = index("https://example.com/1.xml", "https://example.com/2.xml.gz", "https://other.example/3.xml")
    found = parse_sitemap(data.encode(), url=HOME)
    assert found == Sitemap(sitemaps=["https://example.com/1.xml", "https://example.com/2.xml.gz"], ignored=1)


def test_only_pages_of_its_own_host_are_kept() -> None:
    found = parse_sitemap(
        urlset(
            "http://www.example.com/a",
            "https://EXAMPLE.com:8443/b",
            "https://sub.example.com/",
            "https://example.com.evil.example/",
            "https://example.com@evil.example/",
            "ftp://example.com/",
            "javascript:alert(1)",
            "/relative",
            "https://[::1",
            "https://example.com/" + "x" * 3000,
            "https://example.com/a&#10;b",
            "",
        ).encode(),
        url=HOME,
    )
    assert found == Sitemap(urls=["http://www.example.com/a", "https://EXAMPLE.com:8443/b"], ignored=10)


def test_only_the_loc_of_a_url_counts() -> None:
    data = (
        '<urlset xmlns:image="x" xmlns:xhtml="y"><loc>https://example.com/no</loc><url>'
        "<image:image><image:loc>https://example.com/i.png</image:loc></image:image>"
        '<xhtml:link href="https://example.com/de"/><loc>https://example.com/<b>bo</b>ld</loc></url>'
        "<sitemap><loc>https://example.com/no.xml</loc></sitemap></urlset>"
    )
    assert parse_sitemap(data.encode(), url=HOME) == Sitemap(urls=["https://example.com/bold"])


LAUGHS = "".join(
    f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10)
)  # a billion of them


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello", id="words"),
        pytest.param(b"<html><body>Not found</body></html>", id="a page"),
        pytest.param(b"<!doctype html><p>Not <br>found", id="loose html"),
        pytest.param(b"<urlset><url><loc>https://example.com/", id="cut off"),
        pytest.param(b"<urlset></urlset><urlset/>", id="two roots"),
        pytest.param(b'<?xml version="1.0" encoding="klingon"?><urlset/>', id="unknown encoding"),
        pytest.param(b'<?xml version="1.0" encoding="zip"?><urlset/>', id="encoding of no text"),
        pytest.param(b"\x1f\x8bnot gzip", id="broken gzip"),
        pytest.param(gzip.compress(TWO.encode())[:-9], id="cut gzip"),
        pytest.param(f"<!DOCTYPE u [{LAUGHS}]><urlset>&l9;</urlset>".encode(), id="billion laughs"),
        pytest.param(
            b'<!DOCTYPE u [<!ENTITY x SYSTEM "file:///etc/passwd">]><urlset>&x;</urlset>', id="file"
        ),
        pytest.param(b'<!DOCTYPE u [<!ENTITY % x SYSTEM "http://10.0.0.1/">%x;]><urlset/>', id="dtd"),
        pytest.param(b"<urlset>" + b"<a>" * 100_000, id="deep"),
        pytest.param(b"\x00\x01\x02" * 100, id="binary"),
    ],
)
def test_what_is_no_sitemap_is_refused(data: bytes) -> None:
    with pytest.raises(FetchError, match="sitemap") as refused:
        parse_sitemap(data, url=HOME)
    assert refused.value.code == "not-a-sitemap"


def test_a_bomb_is_refused() -> None:
    with pytest.raises(FetchError) as refused:
        parse_sitemap(gzip.compress(b"<urlset>" + bytes(60_000_000)), url=HOME)
    assert refused.value.code == "too-large"


def test_reading_ends_at_the_most_that_a_sitemap_may_name() -> None:
    urls = [f"https://example.com/{number}" for number in range(MAX_URLS + 10)]
    assert len(parse_sitemap(urlset(*urls).encode() + b"<broken", url=HOME).urls) == MAX_URLS
    assert len(parse_sitemap("\n".join(urls).encode(), url=HOME).urls) == MAX_URLS


def test_long_tokens_are_read_in_good_time() -> None:
    long = "x" * 10_000_000
    data = f"<urlset a='{long}'><url><loc>https://example.com/{long}</loc></url><!--{long}--></urlset>"
    assert parse_sitemap(data.encode(), url=HOME) == Sitemap(ignored=1)


# --- collecting ------------------------------------------------------------------------------------------


async def test_nested_sitemaps_are_read_breadth_first(site: FakeSite) -> None:
    url = site.url
    site.page("/sitemap.xml", redirect("/index.xml"))
    site.page("/index.xml", reply(index(url("/1.xml"), url("/2.xml.gz"), url("/1.xml"), url("/sitemap.xml"))))
    site.page("/1.xml", reply(index(url("/3.xml"))))
    gz = {"content-type": "application/gzip"}
    site.page("/2.xml.gz", reply(gzip.compress(urlset(url("/a"), url("/b")).encode()), headers=gz))
    site.page("/3.xml", reply(urlset(url("/b"), url("/c"), "https://other.example/")))
    async with fetching() as fetcher:
        assert await collect(fetcher, url("/sitemap.xml")) == [url("/a"), url("/b"), url("/c")]
        assert await collect(fetcher, url("/sitemap.xml"), limit=1) == [url("/a")]


async def test_sitemaps_are_read_up_to_a_number(site: FakeSite) -> None:
    names = [site.url(f"/{number}.xml") for number in range(80)]
    site.page("/sitemap.xml", reply(index(*names)))
    for number, name in enumerate(names):
        site.page(f"/{number}.xml", reply(urlset(name.replace(".xml", ".html"))))
    async with fetching() as fetcher:
        pages = await collect(fetcher, site.url("/sitemap.xml"))
    assert pages == [name.replace(".xml", ".html") for name in names[: MAX_SITEMAPS - 1]]
    assert site.most_at_once == 1


async def test_a_nested_sitemap_that_is_gone_is_passed_over(site: FakeSite) -> None:
    site.page("/robots.txt", reply("User-agent: *\nDisallow: /private"))
    names = [site.url(path) for path in ("/gone.xml", "/private.xml", "/1.xml")]
    site.page("/sitemap.xml", reply(index(*names)))
    site.page("/1.xml", reply(urlset(site.url("/a"))))
    async with fetching() as fetcher:
        assert await collect(fetcher, site.url("/sitemap.xml")) == [site.url("/a")]


async def test_a_nested_sitemap_that_fails_fails_all(site: FakeSite) -> None:
    site.page("/sitemap.xml", reply(index(site.url("/1.xml"), site.url("/2.xml"))))
    site.page("/1.xml", reply(urlset(site.url("/a"))))
    site.page("/2.xml", reply("no", status=501), reply("<html/>"))
    async with fetching() as fetcher:
        for code in ("http-501", "not-a-sitemap"):
            with pytest.raises(FetchError, match=r"/2\.xml") as failed:
                await collect(fetcher, site.url("/sitemap.xml"))
            assert failed.value.code == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<urlset/>", "empty-sitemap"),
        (urlset("https://other.example/a"), "empty-sitemap"),
        (index("https://other.example/a.xml"), "empty-sitemap"),
        ("<rss/>", "not-a-sitemap"),
    ],
    ids=["empty", "of others", "of others' sitemaps", "no sitemap"],
)
async def test_a_sitemap_that_names_no_page_is_told_as_such(site: FakeSite, body: str, code: str) -> None:
    async with fetching() as fetcher:
        with pytest.raises(FetchError) as failed:
            await collect(fetcher, site.page("/sitemap.xml", reply(body)))
    assert failed.value.code == code


async def test_a_sitemap_that_is_not_there_is_told_as_such(site: FakeSite) -> None:
    async with fetching() as fetcher:
        with pytest.raises(FetchError) as failed:
            await collect(fetcher, site.url("/sitemap.xml"))
    assert failed.value.code == "http-404"


async def test_collecting_has_the_time_of_one_fetch(site: FakeSite) -> None:
    names = [site.url(f"/{number}.xml") for number in range(8)]
    site.page("/sitemap.xml", reply(index(*names)))
    for number in range(8):
        site.page(f"/{number}.xml", hang if number % 2 else endless(b" ", every=0.05))
    async with fetching(timeout=0.6) as fetcher:
        with pytest.raises(FetchError) as failed:
            await collect(fetcher, names[0].replace("0.xml", "sitemap.xml"))
    assert failed.value.code == "timeout"
    await site.until(lambda: site.open_calls == 0)


async def test_two_sitemaps_are_in_memory_at_once_and_others_wait_at_no_cost(site: FakeSite) -> None:
    gate = asyncio.Event()
    site.page("/sitemap.xml", hold(gate, urlset("https://127.0.0.1/a", "https://127.0.0.2/a")))
    homes = [site.url("/sitemap.xml", host=f"127.0.0.{1 + number % 2}") for number in range(6)]
    site.page("/hangs.xml", hang)
    async with fetching(timeout=0.5) as fetcher:
        slow = [
            asyncio.create_task(collect(fetcher, site.url("/hangs.xml", host=f"127.0.0.{number}")))
            for number in (3, 4)
        ]
        await site.until(lambda: site.asked("/hangs.xml") == 2)
        waiting = [asyncio.create_task(collect(fetcher, home)) for home in homes]
        assert await fetcher.fetch(site.page("/page", reply("yes"))), "pages do not wait for sitemaps"
        assert site.asked("/sitemap.xml") == 0
        for task in slow:
            with pytest.raises(FetchError, match=r"within 0\.5 seconds"):
                await task
        await site.until(lambda: site.asked("/sitemap.xml") == 2)
        gate.set()
        assert [await task for task in waiting] == [
            [f"https://127.0.0.{1 + number % 2}/a"] for number in range(6)
        ]


async def test_cancelling_a_collection_ends_its_transfers(site: FakeSite) -> None:
    site.page("/sitemap.xml", reply(index(site.url("/1.xml"))))
    site.page("/1.xml", hold(asyncio.Event()))
    async with fetching() as fetcher:
        task = asyncio.create_task(collect(fetcher, site.url("/sitemap.xml")))
        await site.until(lambda: site.asked("/1.xml") == 1)
        task.cancel()
        await site.until(lambda: site.left == 1)
        with pytest.raises(asyncio.CancelledError):
            await task
