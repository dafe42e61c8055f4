"""PDF, read by the real process: boxes, turned pages, order, characters, titles, and what is hostile."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.extract import Extractor, open_extractor
from tests.ingest import making, making_pdf
from tests.ingest.making_pdf import lines, pages, spelled, text

FILES = Path(__file__).parent / "files"
THREE = lines("First line of the page.", "Second line of it.", "The third is the last.")
WORDS = "First line of the page.\nSecond line of it.\nThe third is the last."
TABLE = (("Name", "Price", "Stock"), ("Anchor", "12", "3"), ("Buoy", "7", "44"), ("Chain", "90", "1"))


@pytest.fixture
async def extractor() -> AsyncIterator[Extractor]:
    async with open_extractor(timeout=20, memory=1 << 30) as opened:
        yield opened


async def read(extractor: Extractor, data: bytes) -> Document:
    return await extractor.extract(data, file_name="a.pdf", media_type=None)


async def test_a_page_is_read_wherever_its_box_begins(extractor: Extractor) -> None:
    for box in (b"[0 1000 612 1792]", b"[-1000 -1000 0 0]", b"[612 792 0 0]", b"[0 0 0 0]", b"[0 0 1e9 1e9]"):
        assert (await read(extractor, pages(THREE, box=box))).text == WORDS, box
    for page in (b"/CropBox [0 0 100 100]", b"/CropBox [-50 -50 700 900]", b"/UserUnit 4"):
        assert (await read(extractor, pages(THREE, page=page))).text == WORDS, page


async def test_a_turned_page_is_read_from_top_to_bottom(extractor: Extractor) -> None:
    for quarters in (0, 90, 180, 270):
        assert (await read(extractor, pages(THREE, page=b"/Rotate %d" % quarters))).text == WORDS, quarters


async def test_rows_of_a_table_that_stands_sideways_stay_together(extractor: Extractor) -> None:
    rows = [" ".join(row) for row in TABLE]
    for matrix, (x, y), (right, down) in (
        ("0 1 -1 0", (100, 100), ((0, 120), (20, 0))),
        ("0 -1 1 0", (400, 700), ((0, -120), (-20, 0))),
        ("-1 0 0 -1", (500, 100), ((-120, 0), (0, 20))),
        ("1 0 0 1", (72, 700), ((120, 0), (0, -20))),
    ):
        drawn = b"".join(
            text(
                x + cell * right[0] + row * down[0], y + cell * right[1] + row * down[1], word, matrix=matrix
            )
            for row, words in enumerate(TABLE)
            for cell, word in enumerate(words)
        )
        assert (await read(extractor, pages(drawn))).text.split("\n") == rows, matrix


async def test_words_cut_at_the_end_of_a_line_are_joined(extractor: Extractor) -> None:
    document = await read(
        extractor,
        pages(
            lines(
                "This paragraph has a rather long line that ends with an exam-",
                "ple of a word, and another one that ends with the name Jean-",
                "Luc, who lived by the sea from the spring of the year 1990-",
                "1995 and who knew the Vorder- und Hinterseite of all Haupt-",
                "und Nebenfragen there.",
            )
        ),
    )
    assert document.text == (
        "This paragraph has a rather long line that ends with an example of a word, and another one that ends with"
        " the name Jean-Luc, who lived by the sea from the spring of the year 1990-1995 and who knew the"
        " Vorder- und Hinterseite of all Haupt- und Nebenfragen there."
    )


async def test_a_gap_parts_paragraphs(extractor: Extractor) -> None:
    full = "A line that is as wide as the column that it stands in, more or less"
    drawn = lines(full, full, full) + lines(full, full, y=660)
    assert (await read(extractor, pages(drawn))).text == f"{full} {full} {full}\n\n{full} {full}"


async def test_what_is_no_character_costs_itself_and_not_its_page(extractor: Extractor) -> None:
    letters = {
        "A": "D800", "B": "DC00", "C": "D83DDE00", "D": "DFFFD800", "E": "0000", "F": "E000",
        "G": "00660069", "I": "FFFE", "J": "FB01", "K": "110000",
    }  # fmt: skip
    data = pages(
        lines(
            "x A one",
            "xBx two",
            "xCx three",
            "xDx four",
            "xEx five",
            "xFx six",
            "xGx seven",
            "xIx eight",
            "xJx nine",
        ),
        fonts=(b"/ToUnicode 5 0 R ", b""),
        more=[making_pdf.unicode_map(letters)],
    )
    found = (await read(extractor, data)).text.split("\n")
    assert found[0].split() == ["x", "one"]
    assert [line.replace("\ue000", "") for line in found[1:]] == [
        "xx two", "x😀x three", "xx four", "xx five", "xx six", "xfix seven", "xx eight", "xfix nine",
    ]  # fmt: skip


async def test_lines_from_right_to_left_come_in_the_order_of_reading(extractor: Extractor) -> None:
    for logical, shown in {
        "כל עובד זכאי לשלושים ימי חופשה": "השפוח ימי םישולשל יאכז דבוע לכ",
        "בשנת 2010 קנה Microsoft Word ב-50% פחות": "תוחפ 50%-ב Microsoft Word הנק 2010 תנשב",
        "טלפון: 03-555-0199 (בבוקר)": "(רקובב) 03-555-0199 :ןופלט",
        "يحق لكل موظف ثلاثون يوم إجازة": "ةزاجإ موي نوثالث فظوم لكل قحي",
        "دفع 1,250.75 دولار": "رالود 1,250.75 عفد",
        "The word שלום עולם means hello.": "The word םלוע םולש means hello.",
        "שלום עולם, טוב לראות אותך.": ".ךתוא תוארל בוט ,םלוע םולש",
    }.items():
        assert (await read(extractor, spelled(shown))).text == logical


async def test_lines_of_a_narrow_column_are_joined_and_rows_of_a_table_are_not(extractor: Extractor) -> None:
    full = "A line as wide as this column"
    prose = lines(full, full, full, "ends here.", x=72) + lines(full, full, full, full, x=300)
    wide = text(
        72, 500, "A line of the page that is as wide as all of its columns taken together, and then some"
    )
    rows = [
        ("Brass cleat with two bolts", "12.50"),
        ("Sisal rope of twenty metres", "33.00"),
        ("Oilcloth, large", "99.10"),
    ]
    table = b"".join(
        text(72, 400 - 13 * row, name) + text(500, 400 - 13 * row, price)
        for row, (name, price) in enumerate(rows)
    )
    found = (await read(extractor, pages(prose + wide + table))).text.split("\n")
    assert f"{full} {full} {full} ends here." in found
    assert f"{full} {full} {full} {full}" in found
    assert [f"{name} {price}" for name, price in rows] == found[-3:]


async def test_lines_that_are_stored_as_they_are_read_stay_so(extractor: Extractor) -> None:
    """Each letter placed on its own, the first of the line to the right: the order of printed web pages."""
    words = "כל עובד זכאי לחופשה"
    letters = sorted(set(words) - {" "})
    codes = dict(zip(letters, "0123456789abdegh", strict=False)) | {" ": " "}  # all as wide as each other
    names = {codes[letter]: letter.encode("utf-16-be").hex() for letter in letters}
    drawn = b"".join(
        text(500 - 5.56 * place, 700, codes[letter], size=10) for place, letter in enumerate(words)
    )
    data = pages(drawn, fonts=(b"/ToUnicode 5 0 R ", b""), more=[making_pdf.unicode_map(names)])
    assert (await read(extractor, data)).text == words


async def test_shapes_of_arabic_letters_become_letters(extractor: Extractor) -> None:
    assert (await read(extractor, spelled("\ufee1\ufefc\ufeb3"))).text == "سلام"


async def test_a_title_that_a_program_made_up_is_none(extractor: Extractor) -> None:
    for title in (
        "untitled",
        "Untitled Document",
        "Microsoft Word - plan.docx",
        "report_final2.indd",
        "Slide 1",
        " ",
        "https://a.b/c",
    ):
        data = pages(THREE, more=[b"<< /Title (%b) >>" % title.encode()], trailer=b"/Info 5 0 R ")
        assert (await read(extractor, data)).title is None, title
    data = pages(THREE, more=[b"<< /Title (Rules of the Harbour) >>"], trailer=b"/Info 5 0 R ")
    assert (await read(extractor, data)).title == "Rules of the Harbour"


async def test_bytes_before_the_header_and_a_lost_index_do_no_harm(extractor: Extractor) -> None:
    data = pages(THREE)
    assert (await read(extractor, b"\x00\x01 some mail header\r\n" + data)).text == WORDS
    assert (await read(extractor, data[: data.index(b"startxref\n")])).text == WORDS
    assert (await read(extractor, data.replace(b"startxref\n", b"startxref\n9"))).text == WORDS


async def test_a_file_without_pages_or_text_says_so(extractor: Extractor) -> None:
    for data, message in (
        (making_pdf.tree(0, b""), "has no pages"),
        (pages(b""), "only images"),
        (pages(b"", b"1 0 0 RG 10 10 m 20 20 l S"), "only images"),
    ):
        with pytest.raises(ExtractError, match=message) as caught:
            await read(extractor, data)
        assert caught.value.code == "no-text"


async def test_ten_thousand_pages_are_read(extractor: Extractor) -> None:
    document = await read(extractor, making_pdf.tree(10_000, b"3 0 R " * 10_000))
    assert [document.pages[0].number, document.pages[-1].number] == [1, 10_000]


def crowded(subtype: str) -> bytes:
    return pages(THREE, annotations=[making_pdf.note(subtype, f"note {number}") for number in range(10_001)])


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "half a million pages": (lambda: making_pdf.tree(500_000, b"3 0 R " * 500_000), "too-large"),
    "a page that is its own parent": (lambda: making_pdf.tree(5, b"2 0 R"), "corrupt"),
    "a tree of pages that is 50,000 deep": (
        lambda: making_pdf.document(
            [
                b"<< /Type /Catalog /Pages 2 0 R >>",
                *(b"<< /Type /Pages /Kids [%d 0 R] /Count 1 >>" % (number + 3) for number in range(50_000)),
                b"<< /Type /Page /MediaBox [0 0 612 792] >>",
            ]
        ),
        "corrupt",
    ),
    "10,001 fields": (
        lambda: making_pdf.form(
            THREE, *(making_pdf.widget("Tx", (9, 9, 99, 99), f"/T (f{n}) /V (v)") for n in range(10_001))
        ),
        "too-large",
    ),
    "10,001 comments": (lambda: crowded("Text"), "too-large"),
    "arrays nested a million times": (lambda: b"%PDF-1.4\n1 0 obj\n" + b"[" * 1_000_000, "corrupt"),
}


async def test_hostile_files_fail_with_their_code_and_the_next_one_is_read(extractor: Extractor) -> None:
    for what, (make, code) in HOSTILE.items():
        with pytest.raises(ExtractError) as caught:
            await read(extractor, make())
        assert caught.value.code == code, what
        assert (await read(extractor, pages(THREE))).text == WORDS, what


async def test_too_little_memory_is_said_and_the_next_file_is_read() -> None:
    async with open_extractor(timeout=20, memory=48 << 20) as extractor:
        crowded_page = pages(
            lines(*(f"Line {number} of a page that has far too many" for number in range(20_000)))
        )
        for data in (crowded_page, making.pdf_bomb()):
            with pytest.raises(ExtractError) as caught:
                await read(extractor, data)
            assert caught.value.code == "out-of-memory"
            assert (await read(extractor, pages(THREE, box=b"[0 0 2000000000 2000000000]"))).text == WORDS
            assert (await read(extractor, pages(THREE))).text == WORDS


async def test_many_links_an_outline_that_loops_and_odd_numbers_do_no_harm(extractor: Extractor) -> None:
    loop = b"<< /Title (One) /Parent 5 0 R /Next 6 0 R /First 6 0 R /Dest [0 /Fit] >>"
    for data in (
        pages(THREE, annotations=[making_pdf.note("Link", "") for _ in range(20_000)]),
        pages(THREE, catalog=b"/Outlines 5 0 R", more=[b"<< /First 6 0 R /Last 6 0 R /Count 1 >>", loop]),
        pages(THREE + text(1e30, -1e30, "far away", size=1e30)),
    ):
        assert (await read(extractor, data)).text.startswith(WORDS)


async def test_nothing_is_loaded_from_or_written_to_a_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir(mode=0o500)
    monkeypatch.setenv("TMPDIR", str(folder))
    async with open_extractor(timeout=20, memory=1 << 30) as extractor:
        assert (await read(extractor, (FILES / "reportlab_report.pdf").read_bytes())).pages
        [child] = [
            child
            for child in psutil.Process().children()
            if "llmstack_api.ingest.reading.extraction" in child.cmdline()
        ]
        assert "TMPDIR" not in child.environ()
        assert not any(mapped.path.startswith(str(folder)) for mapped in child.memory_maps())
        assert not list(folder.iterdir())


async def test_the_rest_is_read_of_a_file_with_damaged_pages(extractor: Extractor) -> None:
    data = pages(*(text(72, 700, f"Sheet number {n} reads well") for n in range(1, 7)))
    for number in (2, 4, 5):
        place = 5 + 2 * (number - 1)
        data = data.replace(b"\n%d 0 obj\n<< /Type /Page " % place, b"\n%d 0 obj\n<< /Type /Nope " % place)
    document = await read(extractor, data)
    assert document.text.split("\n\n") == [
        "Sheet number 1 reads well",
        "[Page 2 cannot be read.]",
        "Sheet number 3 reads well",
        "[Pages 4 to 5 cannot be read.]",
        "Sheet number 6 reads well",
    ]
    assert [page.number for page in document.pages] == [1, 2, 3, 4, 6]
    lie = await read(extractor, making_pdf.tree(40_000, b"3 0 R"))
    assert lie.text.endswith("\n\n[Pages 2 to 40000 cannot be read.]")


async def test_a_file_all_of_whose_pages_are_damaged_is_corrupt(extractor: Extractor) -> None:
    data = pages(text(72, 700, "Hidden"), text(72, 700, "Lost"))
    with pytest.raises(ExtractError) as error:
        await read(extractor, data.replace(b"/Type /Page ", b"/Type /Nope "))
    assert error.value.code == "corrupt"


async def test_a_file_cut_in_its_index_is_read_and_one_cut_before_it_is_corrupt(extractor: Extractor) -> None:
    data = pages(text(72, 700, "The bell rings at noon"))
    document = await read(extractor, data[: data.rindex(b"/Root") - 3])
    assert document.text == "The bell rings at noon"
    with pytest.raises(ExtractError) as error:
        await read(extractor, data[: data.rindex(b"xref\n0 ")])
    assert error.value.code == "corrupt"


async def test_a_hyphen_at_the_end_of_a_line_stays_if_the_rest_of_the_document_has_it(
    extractor: Extractor,
) -> None:
    cut = (
        "A line that is long enough to be cut at its end is well-",
        "known to all who read this page of the book.",
    )
    for more, word in (
        ("A well-known rule.", "is well-known to"),
        ("All is well, as known before.", "is well-known to"),
        ("Nobody else says so.", "is wellknown to"),
        ("All is wellknown and well-known.", "is wellknown to"),
    ):
        document = await read(extractor, pages(lines(*cut) + text(72, 500, more)))
        assert word in document.text, more
    proof = (
        "The harbour has a rule for all vessels that enter the har-",
        "bour at night, and all is well, as known.",
    )
    document = await read(extractor, pages(lines(*cut) + lines(*proof, y=500)))
    assert "is wellknown to" in document.text
    assert "enter the harbour at night" in document.text
