"""robots.txt: what it says, and that it is asked for and heeded."""

import asyncio
import gzip

import httpx
import pytest

from llmstack_api.ingest import robots_memory
from llmstack_api.ingest.robots import MAX_BYTES, Rules, parse_robots
from llmstack_api.ingest.robots_memory import RobotsMemory
from tests.fake_site import FakeSite, fake_site
from tests.fake_site.answers import Play, drop, hang, hold, redirect, reply
from tests.ingest.fetching import failure, fetching

FORBID = "User-agent: *\nDisallow: /"


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/", "/", True),
        ("/", "/anything?x", True),
        ("/fish", "/fish", True),
        ("/fish", "/fish.html", True),
        ("/fish", "/fishheads/yummy.html", True),
        ("/fish", "/fish?id=anything", True),
        ("/fish", "/Fish.asp", False),
        ("/fish", "/catfish", False),
        ("/fish", "/desert/fish", False),
        ("/fish*", "/fish.html", True),
        ("/fish*", "/Fish", False),
        ("/fish/", "/fish/?id=x", True),
        ("/fish/", "/fish", False),
        ("/*.php", "/folder/file.php?x", True),
        ("/*.php", "/windows.PHP", False),
        ("/*.php$", "/file.php", True),
        ("/*.php$", "/file.php?x", False),
        ("/*.php$", "/a.php/b.php", True),
        ("/*.php$", "/.php5", False),
        ("/fish*.php", "/fishheads/catfish.php?x", True),
        ("/fish*.php", "/Fish.PHP", False),
        ("*/private", "/a/private/b", True),
        ("*.pdf$", "/a.pdf", True),
        ("/a$", "/a", True),
        ("/a$", "/ab", False),
        ("/a*$", "/abc", True),
        ("/$", "/", True),
        ("/$", "/a", False),
        ("/a$b", "/a$b", True),
        ("/ab*b$", "/ab", False),
        ("/ab*b$", "/abb", True),
        ("/*a*b*c", "/xaxbxc", True),
        ("/*a*b*c", "/cba", False),
        ("/?", "/?q", True),
        ("/?", "/q", False),
        ("/**", "/x", True),
        ("/ü", "/%C3%BC", True),
        ("/%C3%BC", "/%c3%bc", True),
        ("/%7Ejoe", "/~joe", True),
        ("/~joe", "/%7ejoe", True),
        ("/a%2Fb", "/a/b", False),
        ("/a%2fb", "/a%2Fb", True),
        ("/%", "/%", True),
        ("fish", "/fish", False),
        ("/with space", "/with%20space", True),
    ],
)
def test_a_pattern_fits_from_the_start_of_the_path(pattern: str, path: str, *, fits: bool) -> None:
    rules = parse_robots(f"User-agent: *\nDisallow: {pattern}".encode())
    assert rules.allows(path) is not fits


@pytest.mark.parametrize(
    ("robots", "path", "allowed"),
    [
        pytest.param("", "/", True, id="empty"),
        pytest.param("<html>Not found</html>", "/", True, id="a page instead"),
        pytest.param(FORBID, "/", False, id="all forbidden"),
        pytest.param(FORBID, "/robots.txt", True, id="robots.txt itself"),
        pytest.param("User-agent: *\nDisallow:", "/", True, id="nothing forbidden"),
        pytest.param("Disallow: /", "/", True, id="a rule for nobody"),
        pytest.param("user-AGENT : *\n DISALLOW :/ # all", "/", False, id="case, spaces, comment"),
        pytest.param("\ufeffUser-agent: *\r\nDisallow: /\r\n", "/", False, id="byte order mark, CRLF"),
        pytest.param("User-agent: *\rDisallow: /", "/", False, id="CR alone"),
        pytest.param("User-agent: *\n\n\nDisallow: /", "/", False, id="empty lines end nothing"),
        pytest.param("User-agent: *\nDisallow: /\u2028Allow: /x", "/x", True, id="only line ends end lines"),
        pytest.param("User-agent: other\nDisallow: /", "/", True, id="somebody else"),
        pytest.param("User-agent: LLMStack-API/2.0\nDisallow: /", "/", False, id="us, with a version"),
        pytest.param("User-agent: llmstack\nDisallow: /", "/", True, id="half our name"),
        pytest.param("User-agent: llmstack-api-x\nDisallow: /", "/", True, id="more than our name"),
        pytest.param(FORBID + "\nUser-agent: llmstack-api\nDisallow: /x", "/y", True, id="ours over all's"),
        pytest.param("User-agent: llmstack-api\nAllow: /\n" + FORBID, "/y", True, id="ours, before all's"),
        pytest.param(FORBID + "\nUser-agent: llmstack-api\n", "/y", True, id="ours, without rules"),
        pytest.param(
            "User-agent: other\nUser-agent: llmstack-api\nDisallow: /x", "/x", False, id="a shared group"
        ),
        pytest.param(
            "User-agent: llmstack-api\nCrawl-delay: 9\nUser-agent: other\nDisallow: /x",
            "/x",
            False,
            id="other records end no group",
        ),
        pytest.param(
            "User-agent: llmstack-api\nDisallow: /x\nUser-agent: o\nDisallow: /\n"
            "User-agent: llmstack-api\nDisallow: /y",
            "/y",
            False,
            id="groups of one agent are one",
        ),
        pytest.param(
            "User-agent: llmstack-api\nDisallow: /x\nUser-agent: o\nDisallow: /", "/z", True, id="only ours"
        ),
        pytest.param("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", True, id="the longest decides"),
        pytest.param("User-agent: *\nAllow: /a/b\nDisallow: /a", "/a/c", False, id="in any order"),
        pytest.param("User-agent: *\nDisallow: /a\nAllow: /a", "/a", True, id="allow wins a tie"),
        pytest.param("User-agent: *\nAllow: /page\nDisallow: /*.htm", "/page.htm", False, id="stars count"),
        pytest.param("User-agent: *\nAllow: /$\nDisallow: /", "/", True, id="only the front page"),
        pytest.param("User-agent: *\nAllow: /$\nDisallow: /", "/x", False, id="nothing but the front page"),
        pytest.param("User-agent: *foo\nDisallow: /", "/", True, id="a star and more"),
        pytest.param("User-agent: * foo\nDisallow: /", "/", False, id="a star and words"),
        pytest.param("User-agent *\nDisallow /", "/", True, id="no colons"),
    ],
)
def test_the_group_that_names_us_decides(robots: str, path: str, *, allowed: bool) -> None:
    assert parse_robots(robots.encode()).allows(path) is allowed


def test_what_is_over_the_limit_counts_as_not_written() -> None:
    start = b"User-agent: *\nDisallow: /x\n#"
    cut = b"\nDisallow: /private\n"
    data = start + b"-" * (MAX_BYTES - len(start) - 12) + cut
    assert parse_robots(data).allows("/anything"), "half a rule is none"
    assert not parse_robots(data).allows("/x")


def test_hostile_robots_are_read_and_heeded_in_good_time() -> None:
    stars = parse_robots(b"User-agent: *\nDisallow: /" + b"*a" * 250_000 + b"$")
    assert stars.allows("/" + "a" * 2000 + "b")
    many = parse_robots(b"User-agent: *\n" + b"".join(b"Allow: /*a*b%d\n" % n for n in range(30_000)))
    assert many.allows("/" + "a" * 2000)
    assert parse_robots(b"a:" * 262_144 + bytes(100)).rules == ()
    assert parse_robots(b"User-agent:\xff*\n" * 40_000).rules == ()


# --- asked for and heeded --------------------------------------------------------------------------------


async def test_what_robots_forbid_is_not_asked_for(site: FakeSite) -> None:
    site.page("/robots.txt", reply("User-agent: *\nDisallow: /private\nDisallow: /*?q="))
    async with fetching() as fetcher:
        await fetcher.fetch(site.page("/public", reply("yes")))
        for path in ("/private/x", "/public?q=1"):
            error = await failure(fetcher, site.url(path))
            assert error.code == "robots-disallowed"
        site.page("/way", redirect("/private/x"))
        assert (await failure(fetcher, site.url("/way"))).code == "robots-disallowed"
    assert [asked.path for asked in site.requests] == ["/robots.txt", "/public", "/way"]


async def test_robots_are_asked_for_once_an_hour_by_each_origin(
    site: FakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()
    site.page("/robots.txt", hold(gate, "User-agent: *\nAllow: /"))
    url = site.page("/page", reply("yes"))
    async with fake_site() as other, fetching() as fetcher:
        other.page("/robots.txt", reply(FORBID))
        tasks = [asyncio.create_task(fetcher.fetch(url)) for _ in range(8)]
        await site.until(lambda: site.asked("/robots.txt") == 1)
        gate.set()
        await asyncio.gather(*tasks)
        assert (await failure(fetcher, other.url("/page"))).code == "robots-disallowed"
        assert site.asked("/robots.txt") == 1
    monkeypatch.setattr(robots_memory, "KEPT", -1.0)
    async with fetching() as fetcher:
        await fetcher.fetch(url)
        await fetcher.fetch(url)
    assert site.asked("/robots.txt") == 3


async def test_one_who_leaves_while_robots_come_hinders_nobody(site: FakeSite) -> None:
    site.page("/robots.txt", hang, reply("User-agent: *\nAllow: /"))
    url = site.page("/page", reply("yes"))
    async with fetching() as fetcher:
        first, second = (asyncio.create_task(fetcher.fetch(url)) for _ in range(2))
        await site.until(lambda: site.asked("/robots.txt") == 1)
        first.cancel()
        assert (await second).data == b"yes"
        await asyncio.wait([first])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 429, 204, 304])
async def test_robots_that_are_not_there_allow_all(site: FakeSite, status: int) -> None:
    body = "" if status in {204, 304} else FORBID
    site.page("/robots.txt", reply(body, status=status, headers={"retry-after": "0"}))
    async with fetching() as fetcher:
        assert (await fetcher.fetch(site.page("/page", reply("yes")))).data == b"yes"


@pytest.mark.parametrize(
    ("robots", "code"),
    [
        pytest.param(reply("", status=503, headers={"retry-after": "0"}), "robots-disallowed", id="busy"),
        pytest.param(reply("", status=501), "robots-disallowed", id="failing"),
        pytest.param(drop, "connection-reset", id="reset"),
        pytest.param(hang, "timeout", id="silent"),
        pytest.param(redirect("http://10.0.0.1/robots.txt"), "address-refused", id="to a private address"),
        pytest.param(reply("x", headers={"content-encoding": "br"}), "unsupported-encoding", id="packed"),
    ],
)
async def test_robots_that_cannot_be_read_forbid_all(
    site: FakeSite, robots: Play, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.page("/robots.txt", robots)
    url = site.page("/page", reply("yes"))
    async with fetching(timeout=1.6) as fetcher:
        error = await failure(fetcher, url)
        assert error.code == code
        assert "robots.txt" in str(error) or code == "address-refused"
        asked = site.asked("/robots.txt")
        assert str(await failure(fetcher, url)) == str(error)
        assert (site.asked("/page"), site.asked("/robots.txt")) == (0, asked)
        monkeypatch.setattr(robots_memory, "FAILURE_KEPT", -1.0)
    async with fetching(timeout=1.6) as fetcher:
        await failure(fetcher, url)
        site.page("/robots.txt", reply(status=404))
        assert await fetcher.fetch(url), "it is read again soon"


async def test_robots_are_followed_through_redirects_and_inflated(site: FakeSite) -> None:
    site.page("/robots.txt", redirect(f"http://127.0.0.2:{site.port}/rules"))
    packed = gzip.compress(b"User-agent: *\nDisallow: /x\n" + b"#" * (MAX_BYTES + 100))
    site.page("/rules", reply(packed, headers={"content-encoding": "gzip"}))
    async with fetching() as fetcher:
        assert (await failure(fetcher, site.url("/x"))).code == "robots-disallowed"
        assert await fetcher.fetch(site.page("/y", reply("yes")))
    assert site.asked("/rules") == 1


async def test_robots_that_redirect_for_ever_count_as_absent(site: FakeSite) -> None:
    site.page("/robots.txt", redirect("/robots.txt"))
    async with fetching() as fetcher:
        assert await fetcher.fetch(site.page("/page", reply("yes")))


async def test_the_sites_remembered_are_few_and_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robots_memory, "MAX_SITES", 3)
    loaded: list[str] = []

    async def load(url: httpx.URL) -> Rules:
        loaded.append(url.host)
        return parse_robots(b"User-agent: *\nDisallow: /" + b"x" * 30)

    async def asked(memory: RobotsMemory, hosts: str) -> str:
        loaded.clear()
        for host in hosts:
            await memory.rules(httpx.URL(f"http://{host}/"))
        return "".join(loaded)

    memory = RobotsMemory(load)
    assert await asked(memory, "abcabcdbcda") == "abcda"
    monkeypatch.setattr(robots_memory, "MAX_SIZE", 70)
    assert await asked(memory, "e") == "e"
    assert await asked(memory, "aeaed") == "d"
    assert await asked(memory, "eda") == "a"
