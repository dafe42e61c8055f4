"""Chunks: true places, nothing lost, nothing too large."""

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack_api.errors import IngestError
from llmstack_api.ingest.chunk import (
    DEFAULT_OVERLAP,
    DEFAULT_SIZE,
    MAX_CHUNKS,
    MAX_SIZE,
    MIN_SIZE,
    chunk,
)
from llmstack_api.ingest.document import Chunk, Document, Page
from llmstack_api.ingest.outline import MAX_HEADING

PIECES = st.sampled_from(
    [
        "a",
        "word ",
        "A sentence. ",
        "\n",
        "\n\n",
        " ",
        "\t",
        "\x1c",
        "\u3000",
        "\u200b",
        "漢字",
        "かな。",
        "한국어 ",
        "👨‍👩‍👧‍👦",
        "e\u0301",
        "\u0301" * 40,
        "# Head\n",
        "```\n",
        "x" * 90,
        " " * 500,
        "\r\n",
        "ภาษาไทย",
        "\n---\n",
    ]
)
TEXTS = st.lists(st.tuples(PIECES, st.integers(1, 30)), max_size=30).map(
    lambda pieces: "".join(piece * times for piece, times in pieces)
)


def texts(document: Document, *, size: int = DEFAULT_SIZE, overlap: int = DEFAULT_OVERLAP) -> list[str]:
    return [document.text[place.start : place.end] for place in chunk(document, size=size, overlap=overlap)]


def check(document: Document, chunks: list[Chunk], *, size: int) -> None:
    covered = 0
    for number, place in enumerate(chunks):
        assert place.number == number
        piece = document.text[place.start : place.end]
        assert piece == piece.strip()
        assert 0 < len(piece) <= size
        assert not document.text[covered : place.start].strip()
        assert place.end > covered
        covered = place.end
    assert not document.text[covered:].strip()


@given(TEXTS, st.sampled_from([(MIN_SIZE, 0), (MIN_SIZE, 49), (150, 20), (DEFAULT_SIZE, DEFAULT_OVERLAP)]))
def test_no_chunk_is_too_large_or_empty_and_no_character_is_lost(text: str, bounds: tuple[int, int]) -> None:
    size, overlap = bounds
    document = Document(text=text)
    check(document, chunk(document, size=size, overlap=overlap), size=size)


@given(TEXTS, st.lists(st.floats(0, 1), max_size=12))
def test_passages_lose_nothing_and_are_never_joined(text: str, places: list[float]) -> None:
    starts = tuple(sorted({int(place * len(text)) for place in places}))
    document = Document(text=text, passages=starts)
    chunks = chunk(document, size=MIN_SIZE, overlap=20)
    check(document, chunks, size=MIN_SIZE)
    for place in chunks:
        assert not any(place.start < start < place.end for start in starts)


@pytest.mark.parametrize("size", [MIN_SIZE, DEFAULT_SIZE, MAX_SIZE])
@pytest.mark.parametrize(
    "unit",
    ["a", "漢", "👨‍👩‍👧‍👦", "e\u0301", "word ", "文。", "Of course. ", "line\n"],
    ids=lambda unit: unit.strip(),
)
def test_long_text_of_any_script_is_covered_with_overlap(unit: str, size: int) -> None:
    document = Document(text=unit * (50_000 // len(unit)))
    chunks = chunk(document, size=size, overlap=size // 8)
    check(document, chunks, size=size)
    # Well filled: no scraps where blocks end.
    filled = sum(place.end - place.start for place in chunks[:-1]) / max(1, len(chunks) - 1)
    assert len(chunks) == 1 or filled > 0.8 * size


def test_chunks_overlap() -> None:
    text = "".join(f"Sentence number {number}. " for number in range(2000))
    chunks = chunk(Document(text=text))
    for one, other in pairwise(chunks):
        assert 0 < one.end - other.start <= DEFAULT_OVERLAP


def test_blank_text_has_no_chunks() -> None:
    for text in ("", " ", "\n\t \u3000\x1c", " " * 100_000):
        assert chunk(Document(text=text)) == []


def test_text_in_a_sea_of_white_space_is_found() -> None:
    text = " " * 70_000 + "here" + "\n" * 70_000 + "and there" + " " * 70_000
    assert texts(Document(text=text)) == ["here", "and there"]


def test_a_passage_is_whole_where_it_fits_and_cut_where_it_does_not() -> None:
    rows = ["id: 1\nname: a\n\n", "id: 2\nname: b\n\n", "long: " + "word " * 100 + "\n\n", "id: 4\n"]
    starts = [sum(map(len, ["Table\n", *rows[:index]])) for index in range(len(rows))]
    document = Document(text="Table\n" + "".join(rows), passages=tuple(starts))
    found = texts(document, size=200, overlap=20)
    assert found[:3] == ["Table", "id: 1\nname: a", "id: 2\nname: b"]
    assert found[-1] == "id: 4"
    assert len(found) == 7


def test_a_chunk_is_on_the_page_that_it_begins_on() -> None:
    words = "word " * 30
    text = words * 3
    pages = (Page(1, 0, 150), Page(3, 150, 300), Page(4, 310, 450))
    chunks = chunk(Document(text=text, pages=pages), size=150, overlap=0)
    assert [(place.start, place.page) for place in chunks] == [(0, 1), (150, 3), (300, 4)]
    assert chunk(Document(text="far from it", pages=(Page(1, 50, 60),)))[0].page is None
    assert chunk(Document(text="none"))[0].page is None


def test_a_chunk_stands_under_its_headings() -> None:
    words = " words" * 12 + "\n\n"
    text = (
        f"Zero{words}"
        f"# Install ##\n\n## **Linux** and [more](http://x.test/a)\n\nOne{words}"
        f"Two{words}"
        f"```sh\n# no heading\n```\n\nThree{words}"
        f"### Deep `code` snake_case\n\nFour{words}"
        f"# Use\nFive{words}"
    )
    document = Document(text=text, mime_type="text/markdown")
    numbers = ("Zero", "One", "Two", "Three", "Four", "Five")
    found = [
        (number, place.heading)
        for place in chunk(document, size=140, overlap=0)
        for number in numbers
        if number in document.text[place.start : place.end]
    ]
    assert found == [
        ("Zero", None),
        ("One", "Install > Linux and more"),
        ("Two", "Install > Linux and more"),
        ("Three", "Install > Linux and more"),
        ("Four", "Install > Linux and more > Deep code snake_case"),
        ("Five", "Use"),
    ]


def test_a_heading_stays_with_its_text() -> None:
    text = "".join(f"## Part {number}\n\n" + "Some words of text. " * 40 + "\n\n" for number in range(50))
    for place in chunk(Document(text=text)):
        heading = f"## {place.heading}\n"
        assert text.startswith(heading, place.start)


def test_what_looks_like_a_heading_in_code_or_data_is_none() -> None:
    for mime_type in ("text/x-python", "text/csv", "application/json"):
        assert chunk(Document(text="# note\nvalue", mime_type=mime_type))[0].heading is None
    for text in (
        "#hashtag and text",
        "    # indented\ntext",
        "~~~\n# inside\n```\n# inside\n~~~",
        "####### seven\nx",
    ):
        assert chunk(Document(text=text))[0].heading is None


def test_a_heading_without_end_is_shortened() -> None:
    heading = chunk(Document(text="# " + "x" * 5000 + "\n\ntext"))[-1].heading
    assert heading is not None
    assert len(heading) == MAX_HEADING


@pytest.mark.parametrize(
    "text",
    [
        "A sentence of some words stands here. Another one follows.\n\n" * 340_000,
        "# Head\n\nshort\n" * 1_400_000,
        "# a\n" * 5_000_000,
        "# a\n```\n# b\n```\n" * 1_200_000,
        "###### " * 2_800_000,
        "a b " * 5_000_000,
        "x" * 20_000_000,
        "漢" * 6_600_000,
        ("漢" * 199 + "a") * 33_000,
        "ภาษาไทยไม่มีช่องว่าง" * 330_000,
    ],
    ids=["prose", "headings", "tiny", "code", "marks", "line", "unbroken", "han", "mixed", "thai"],
)
def test_twenty_megabytes_take_a_moment_and_little_memory(text: str) -> None:
    document = Document(text=text)
    chunk(document)
    tracemalloc.start()
    try:
        chunk(Document(text=text[: len(text) // 40]))
        assert tracemalloc.get_traced_memory()[1] < 1_500_000  # a fortieth of 60 MB
    finally:
        tracemalloc.stop()


def test_a_hundred_thousand_rows_take_a_moment() -> None:
    row = "id: 1\nname: somebody\n\n"
    document = Document(text=row * 100_000, passages=tuple(range(0, 100_000 * len(row), len(row))))
    assert len(chunk(document)) == MAX_CHUNKS


def test_more_chunks_than_can_be_kept_are_refused_with_a_way_out() -> None:
    with pytest.raises(IngestError, match="larger") as refused:
        chunk(Document(text="word " * 2_000_100), size=MIN_SIZE, overlap=0)
    assert refused.value.code == "too-many-chunks"
    assert "chunk_size is 100 characters" in str(refused.value)
    row = "id: 1\n\n"
    rows = Document(text=row * 100_001, passages=tuple(range(0, 100_001 * len(row), len(row))))
    with pytest.raises(IngestError, match="several files") as refused:
        chunk(rows)
    assert refused.value.code == "too-many-chunks"


@pytest.mark.parametrize("unit", ["漢字仮名交じり文を、", "ภาษาไทยน้ำ ไม่มีจุด "], ids=["han", "thai"])
def test_a_sentence_without_end_is_cut_where_it_pauses(unit: str) -> None:
    document = Document(text=unit * 500)
    chunks = chunk(document)
    check(document, chunks, size=DEFAULT_SIZE)
    for place in chunks[:-1]:
        around = document.text[place.end - 1 : place.end + 1]
        assert "、" in around or " " in around


def test_a_sentence_of_han_that_fits_is_whole() -> None:
    document = Document(text=("漢" * 699 + "。") * 40)
    for place in chunk(document):
        assert document.text[place.end - 1] == "。"
        assert place.start % 700 == 0
