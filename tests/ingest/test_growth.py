"""Reading takes time that grows with the text, whatever the text: eight times as much may not take the square.

What is counted is processor time of this process, as work that is done within C cannot be counted otherwise. The
bounds leave room for a busy machine: linear work grows eightfold here, quadratic work sixty-four-fold.
"""

from collections.abc import Callable
from time import process_time

import pytest

from llmstack_api.errors import ExtractError, IngestError
from llmstack_api.ingest.chunk import chunk
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.dispatch import find_reader
from llmstack_api.ingest.reading.draft import tidy
from llmstack_api.ingest.reading.mail.mail_alternatives import is_stub
from llmstack_api.ingest.reading.mail.mail_calendar import read_calendar
from llmstack_api.ingest.reading.mail.mail_flow import unflow
from llmstack_api.ingest.reading.source import Source
from llmstack_api.processors.sentences import split_passage
from tests.ingest.making import docx, paragraph

SMALL = 6_000
TIMES = 8
GROWTH = 24
"""Times as much processor time as eight times the text may take; three times what is linear."""
FLOOR = 0.05
"""Seconds that any reading may take, however little the small one took."""

HTML = ("<html><head><title>T</title></head><body><h1>H</h1><p>Before.</p>", "<p>After.</p></body></html>")
MAIL = "From: a@example.org\nTo: b\nSubject: x\nDate: y\n"
FRAMES: dict[str, tuple[str, str, str]] = {
    "text": ("a.txt", "", ""),
    "markdown": ("a.md", "# Head\n\n", "\n\nend"),
    "page": ("a.html", *HTML),
    "page before its beginning": ("a.html", "", "".join(HTML)),
    "preformatted": ("a.html", "<html><body><pre>", "</pre>x</body></html>"),
    "cell": ("a.html", "<html><body><table><tr><td>", "</td></tr></table>x</body></html>"),
    "attribute": ("a.html", "<html><body><p title='", "'>x</p></body></html>"),
    "XML": ("a.xml", "<?xml version='1.0'?><a>", "</a>"),
    "table": ("a.csv", "a,b\n1,2\n", ""),
    "JSON": ("a.json", '{"a": "', '"}'),
    "RTF": ("a.rtf", "{\\rtf1 x", "}"),
    "mail": ("a.eml", f"{MAIL}\n", ""),
    "header of a mail": ("a.eml", "From: a@example.org\nTo: b\nDate: y\nSubject: ", "\n\nbody"),
    "type of a mail": ("a.eml", f'{MAIL}Content-Type: text/plain; name="', "\n\nbody"),
    "mail of HTML": ("a.eml", f"{MAIL}Content-Type: text/html\n\n{HTML[0]}", HTML[1]),
}
PIECES = (
    " ", "\n", "\t", " \n", "\r", "\xa0", "<", "<!--", "-->", "<?", "<?xml ", "&", "&amp", "#", "# ", "- ", "*", "`",
    "```\n", '"', "'", ",", ";", ';"', "(", "[", "](", "[a](", "1. ", ". ", "a", "ab ", "<b>", "<div>", "</div>",
    "<table><tr><td>", "<a href=x>y</a>", "<script>", "<ruby>x<rt>y</ruby>", "<ol start=2><li>x",
    "<h3><button>q?</button>",
    "<button aria-expanded=0>q?</button><p>", "<form>", "<nav>x</nav>y", "<svg><title>", "<p a=1 ", "x: y\n", "{\\*",
    "{}", "\\u1 ", "\\'e4", "|", "=?utf-8?q?", "\u2028", "_", "\\", "東", "ü", "-1", "1,", '""', '"\n',
)  # fmt: skip


def read(source: Source) -> Document | None:
    try:
        return find_reader(source)()
    except ExtractError:  # that it is refused is an answer too
        return None


def read_and_cut(source: Source) -> None:
    document = read(source)
    try:
        if document:
            chunk(document)
    except IngestError as error:
        assert error.code == "too-many-chunks"  # noqa: PT017 # it may be raised, and nothing else


def seconds(work: Callable[[], object]) -> float:
    start = process_time()
    work()
    return process_time() - start


def grows_like_its_input(make: Callable[[int], Callable[[], object]]) -> bool:
    """Whether eight times the work takes about eight times as long; looked at thrice before it is denied."""
    small, large = make(1), make(TIMES)
    small()  # imports are not counted
    for _ in range(3):
        bound = max(seconds(small) * GROWTH, FLOOR)
        if seconds(large) < bound:
            return True
    return False


@pytest.mark.parametrize("frame", FRAMES)
def test_reading_grows_like_the_file(frame: str) -> None:
    name, before, after = FRAMES[frame]

    def of(piece: str) -> Callable[[int], Callable[[], object]]:
        def make(times: int) -> Callable[[], object]:
            data = (before + piece * (SMALL * times // len(piece)) + after).encode()
            return lambda: read_and_cut(Source(data, name))

        return make

    assert [piece for piece in PIECES if not grows_like_its_input(of(piece))] == []


def test_choosing_the_main_text_grows_like_the_page() -> None:
    prose = "<p>Before this there is a paragraph that is long enough for anybody to take it for text.</p>"
    pieces = (
        "<ruby>x<rt>y</ruby>",
        "<h3><button>q?</button></h3>",
        "<nav>x</nav>y",
        "<ol start=2><li>x",
        " ",
        "<b>",
    )

    def of(piece: str) -> Callable[[int], Callable[[], object]]:
        def make(times: int) -> Callable[[], object]:
            data = f"{HTML[0]}{prose}{piece * (SMALL * times // len(piece))}{prose}{HTML[1]}".encode()
            return lambda: read(Source(data, None, "text/html", main_text=True))

        return make

    assert [piece for piece in pieces if not grows_like_its_input(of(piece))] == []


def test_two_hundred_thousand_blanks_are_read_as_one() -> None:
    document = read(Source((HTML[0] + " " * 200_000 + HTML[1]).encode(), "a.html"))
    assert document is not None
    assert document.text == "# H\n\nBefore.\n\nAfter."


WORKS: dict[str, Callable[[str], object]] = {
    "tidy": tidy,
    "split_passage": split_passage,
    "read_calendar": read_calendar,
    "unflow": lambda text: unflow(text, delete_space=True),
    "is_stub": lambda text: is_stub(text, text[1:]),
}


@pytest.mark.parametrize("name", WORKS)
def test_what_handles_text_grows_like_it(name: str) -> None:
    work = WORKS[name]

    def of(piece: str) -> Callable[[int], Callable[[], object]]:
        def make(times: int) -> Callable[[], object]:
            text = "BEGIN:VEVENT\nx" + piece * (SMALL * times // len(piece)) + "x"
            return lambda: work(text)

        return make

    assert [piece for piece in (*PIECES, " \n>", '":', ". (") if not grows_like_its_input(of(piece))] == []


def test_numbering_grows_like_the_document() -> None:
    fields = '<w:r><w:fldChar w:fldCharType="begin"/><w:fldChar w:fldCharType="separate"/></w:r>'
    ends = '<w:r><w:fldChar w:fldCharType="end"/></w:r>'

    def nested(times: int) -> Callable[[], object]:
        data = docx(f"<w:p>{fields * (500 * times)}{ends * (500 * times)}</w:p>{paragraph('x')}")
        return lambda: read(Source(data, "a.docx"))

    assert grows_like_its_input(nested)
