"""Headings of PDF: what is set like one, and what only looks so."""

from collections.abc import AsyncIterator

import pytest

from llmstack_api.ingest.extract import Extractor, open_extractor
from tests.ingest.making_pdf import BOLD, lines, pages, text

BODY = (
    "The harbour is open from six in the morning until ten at night, and",
    "every vessel that moors at the eastern quay pays the fee on the day of",
    "its arrival, at the office beside the lighthouse.",
)


@pytest.fixture
async def extractor() -> AsyncIterator[Extractor]:
    async with open_extractor(timeout=20, memory=1 << 30) as opened:
        yield opened


def body(y: float) -> bytes:
    return lines(*BODY, y=y)


async def headings(extractor: Extractor, *contents: bytes, **further: object) -> list[str]:
    document = await extractor.extract(pages(*contents, **further), file_name=None, media_type=None)  # pyright: ignore[reportArgumentType] # passed on
    return [line for line in document.text.split("\n") if line.startswith("#")]


async def test_larger_lines_are_headings_by_their_size_and_bold_ones_below_them(extractor: Extractor) -> None:
    content = (
        text(72, 740, "Harbour rules", size=22, font=BOLD)
        + text(72, 700, "Mooring", size=15)
        + body(680)
        + text(72, 610, "Fees", size=11, font=BOLD)
        + body(594)
        + text(72, 520, "Leaving the harbour", size=15)
        + body(500)
    )
    assert await headings(extractor, content) == [
        "# Harbour rules",
        "## Mooring",
        "### Fees",
        "## Leaving the harbour",
    ]


async def test_a_heading_of_two_lines_is_one(extractor: Extractor) -> None:
    content = lines("Rules for vessels that", "arrive after sunset", y=740, size=18) + body(680)
    assert await headings(extractor, content) == ["# Rules for vessels that arrive after sunset"]


async def test_captions_formulas_figures_and_sentences_are_no_headings(extractor: Extractor) -> None:
    for words in (
        "Figure 3: The eastern quay at night",
        "Table 2 Fees by length",
        "Abbildung 4: Der Leuchtturm",
        "Fig. 12",
        "Tableau 1 Tarifs du port",
        "x = a + b",
        "E mc 2",
        "n i 1",
        "412",
        "12 May 2020",
        "18.50",
        "A",
        "The fee is due at once.",
        "who pays on the day of its arrival",
        "See https://example.org/fees",
        "- a point of a list",
        "Contents . . . . . . . . . . 4",
        "Name:",
        "Total due: 116.00 EUR",
    ):
        for size, font in ((16, b"F1"), (11, BOLD)):
            content = body(740) + text(72, 660, words, size=size, font=font) + body(630)
            assert await headings(extractor, content) == [], words


async def test_what_stands_on_every_page_is_no_heading(extractor: Extractor) -> None:
    contents = [
        text(72, 760, "Harbour rules of the port", size=14)
        + text(72, 30, f"Revision 4, page {number}", size=14, font=BOLD)
        + text(72, 720, name, size=18)
        + body(690)
        for number, name in enumerate(("Mooring", "Fees", "Leaving", "Storms"), 1)
    ]
    assert await headings(extractor, *contents) == ["# Mooring", "# Fees", "# Leaving", "# Storms"]


async def test_bold_words_of_a_paragraph_and_of_a_table_are_no_headings(extractor: Extractor) -> None:
    lead_in = body(740) + text(72, 670, "Fees", font=BOLD) + text(100, 670, "are due on the day of arrival.")
    inside = lines(*BODY, y=740) + text(72, 700.4, "Pay at once", font=BOLD) + lines(*BODY, y=687)
    paragraph = body(740) + lines(*BODY, *BODY, y=660, font=BOLD) + body(540)
    table = body(740) + b"".join(
        text(72 + 150 * column, 660 - 14 * row, word, font=BOLD if row == 0 else b"F1")
        for row, cells in enumerate(
            (("Length", "Fee", "Due"), ("Short", "12", "noon"), ("Long", "40", "night"))
        )
        for column, word in enumerate(cells)
    )
    for content in (lead_in, inside, paragraph, table):
        assert await headings(extractor, content) == []


async def test_large_type_that_is_no_heading_makes_none(extractor: Extractor) -> None:
    quote = lines(*BODY, *BODY, y=740, size=14)
    assert await headings(extractor, quote + body(600) + body(540) + body(480)) == []


async def test_the_outline_confirms_a_heading_and_gives_its_depth(extractor: Extractor) -> None:
    content = (
        text(72, 740, "1. Mooring of vessels") + body(720) + text(72, 660, "1.1 Fees", size=9) + body(640)
    )
    more = [
        b"<< /First 6 0 R /Last 6 0 R /Count 2 >>",
        b"<< /Title (Mooring of vessels) /Parent 5 0 R /First 7 0 R /Last 7 0 R /Dest [0 /Fit] >>",
        b"<< /Title (1.1 Fees) /Parent 6 0 R /Dest [0 /Fit] >>",
    ]
    assert await headings(extractor, content, more=more, catalog=b"/Outlines 5 0 R") == [
        "# 1. Mooring of vessels",
        "## 1.1 Fees",
    ]


async def test_a_line_that_begins_with_a_hash_makes_no_heading(extractor: Extractor) -> None:
    document = await extractor.extract(
        pages(lines("# mount the disk", "mount /dev/sda1 /srv")), file_name=None, media_type=None
    )
    assert document.text == "    # mount the disk\nmount /dev/sda1 /srv"


async def test_names_below_the_title_are_no_headings(extractor: Extractor) -> None:
    content = (
        text(150, 750, "Tides of the northern coast", size=20, font=BOLD)
        + text(220, 720, "Ada Holm and Piet Rask", size=14)
        + text(250, 700, "Institute of Tides", size=13)
        + text(72, 670, "Findings", size=15, font=BOLD)
        + body(650)
        + text(72, 570, "Outlook", size=15, font=BOLD)
        + body(550)
    )
    assert await headings(extractor, content) == [
        "# Tides of the northern coast",
        "## Findings",
        "## Outlook",
    ]


async def test_a_name_above_its_address_and_an_option_are_no_headings(extractor: Extractor) -> None:
    address = body(740) + text(72, 660, "Kestrel Supply", font=BOLD) + lines("12 Quay Road", "Town", y=646.8)
    option = body(740) + text(72, 660, "--verbose", font=BOLD) + body(640)
    for content in (address, option):
        assert await headings(extractor, content + body(540)) == []


async def test_large_cells_that_stand_close_are_no_heading(extractor: Extractor) -> None:
    header = text(72, 660, "Gauge", size=14, font=BOLD) + text(130, 660, "Harbour", size=14, font=BOLD)
    assert await headings(extractor, body(740) + header + body(640)) == []


async def test_a_heading_at_the_end_of_a_page_is_one_if_a_page_follows(extractor: Extractor) -> None:
    content = body(740) + text(72, 640, "Leaving at night", font=BOLD)
    assert await headings(extractor, content, body(740)) == ["# Leaving at night"]
    assert await headings(extractor, body(740), content) == []


async def test_small_bold_capitals_are_a_heading(extractor: Extractor) -> None:
    content = body(740) + text(72, 650, "LEAVING AT NIGHT", size=9, font=BOLD) + body(632)
    assert await headings(extractor, content) == ["# LEAVING AT NIGHT"]
