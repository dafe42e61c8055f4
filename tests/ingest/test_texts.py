"""The port `TextExtractor`: files of real programs, a real web site, the bundled vectors."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from llmstack_api.engine.ports import File
from llmstack_api.errors import AddressRefusedError, FileUnreadableError
from llmstack_api.ingest.texts import MAX_COMPARED, Texts, open_texts
from llmstack_api.outbound import Egress, parse_egress
from llmstack_api.settings import Settings
from tests.fake_site import FakeSite
from tests.fake_site.answers import redirect, reply
from tests.test_outbound import LOOPBACK_FORMS, listener

FILES = Path(__file__).with_name("files")
PAGE = """<!doctype html><html><head><title>Tides</title></head><body><nav>Home | About</nav><article>
<h1>Tides</h1><p>The tide is the rise and fall of the sea, caused by the moon and the sun together.</p>
<p>High water comes twice a day, some fifty minutes later each day than it came the day before.</p>
</article></body></html>"""
PIECES = [
    "Invoices are sent on the first day of each month and are due within thirty days.",
    "The harbour master opens the lock at high water.",
    "Our cat sleeps on the warm radiator in winter.",
    "Payment by card is possible at the counter.",
    "Ships moor at the northern quay.",
]


@pytest.fixture
async def texts() -> AsyncGenerator[Texts]:
    settings = Settings.load(_env_file=None, fetch_timeout=5)
    async with open_texts(settings, parse_egress("127.0.0.0/8")) as opened:
        yield opened


async def test_a_file_is_read_and_its_pages_are_told_apart(texts: Texts) -> None:
    name = "libreoffice_kingfisher.pdf"
    read = await texts.read(File((FILES / name).read_bytes(), name, "application/pdf"))
    assert len(read.pages) > 1
    assert all(page in read.text for page in read.pages)
    assert "kingfisher" in read.text.lower()


async def test_a_plain_text_has_no_pages(texts: Texts) -> None:
    read = await texts.read(File("Grüße".encode("latin-1"), "a.txt", "text/plain; charset=latin-1"))
    assert (read.text, read.pages) == ("Grüße", ())


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (File(b"", "empty.txt"), "empty"),
        (File(b"\x89PNG\r\n\x1a\n" + bytes(100), "picture.png", "image/png"), "picture.png"),
        (File((FILES / "encrypted_user.pdf").read_bytes(), "locked.pdf"), "locked.pdf"),
    ],
)
async def test_what_cannot_be_read_says_why(texts: Texts, file: File, words: str) -> None:
    with pytest.raises(FileUnreadableError, match=words):
        await texts.read(file)


async def test_a_page_is_fetched_without_its_menus(texts: Texts, site: FakeSite) -> None:
    url = site.page("/tides", reply(PAGE, headers={"content-type": "text/html; charset=utf-8"}))
    read = await texts.fetch(url)
    assert "The tide is the rise and fall" in read.text
    assert "Home | About" not in read.text


async def test_robots_are_heard(texts: Texts, site: FakeSite) -> None:
    site.page(
        "/robots.txt", reply("User-agent: *\nDisallow: /private", headers={"content-type": "text/plain"})
    )
    with pytest.raises(FileUnreadableError, match=r"robots\.txt"):
        await texts.fetch(site.page("/private", reply("secret")))
    assert site.asked("/private") == 0


async def test_what_cannot_be_fetched_says_why(texts: Texts, site: FakeSite) -> None:
    with pytest.raises(FileUnreadableError, match="404"):
        await texts.fetch(site.url("/gone"))
    with pytest.raises(FileUnreadableError, match="malformed"):
        await texts.fetch("not a url")


async def test_no_private_address_is_ever_connected_to(site: FakeSite) -> None:
    settings = Settings.load(_env_file=None)
    async with listener() as (port, met), open_texts(settings, Egress()) as texts, asyncio.timeout(20):
        for host in LOOPBACK_FORMS:
            with pytest.raises((AddressRefusedError, FileUnreadableError)):
                await texts.fetch(f"http://{host}:{port}/")
    assert met == []
    async with open_texts(settings, parse_egress(f"127.0.0.1:{site.port}")) as texts:
        for location in ("http://127.0.0.2/", "http://169.254.169.254/latest/"):
            with pytest.raises(AddressRefusedError):
                await texts.fetch(site.page("/old", redirect(location)))


async def test_a_text_is_cut_at_its_seams(texts: Texts) -> None:
    text = "\n\n".join(f"Paragraph {number}. " + "It goes on for a while. " * 5 for number in range(20))
    pieces = await texts.split(text, size=300)
    assert all(0 < len(piece) <= 300 for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    prose = "It goes on for a while. " * 100
    overlapping = await texts.split(prose, size=300, overlap=100)
    assert sum(map(len, overlapping)) > len(prose)
    assert await texts.split(" \n ", size=300) == []
    assert await texts.split("short", size=1) == ["short"], "no piece is cut smaller than makes sense"


async def test_pieces_are_chosen_by_words_and_by_meaning_and_stay_in_order(texts: Texts) -> None:
    assert await texts.select(PIECES, query="When are invoices due?", limit=1) == [PIECES[0]]
    assert await texts.select(PIECES, query="boats in a port", limit=2) == [PIECES[1], PIECES[4]]
    assert await texts.select(PIECES, query="paying the bill", limit=2) == [PIECES[0], PIECES[3]]
    assert await texts.select(PIECES, query="?", limit=9) == PIECES
    assert await texts.select([], query="anything", limit=3) == []


async def test_of_very_many_pieces_the_right_one_is_found(texts: Texts) -> None:
    pieces = [f"Row {number} of the ledger." for number in range(MAX_COMPARED + 50)]
    pieces[-1] = PIECES[1]
    assert await texts.select(pieces, query="the lock of the harbour", limit=1) == [PIECES[1]]
