"""Real files, by several producers, read by the real process."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.extract import Extractor, open_extractor

FILES = Path(__file__).parent / "files"
HARBOUR = (
    "Vessels longer than forty metres moor on the eastern quay.",
    "channel is VHF 12",
    "Lines are doubled above Beaufort 7.",
    "Nested: storm lines in locker B.",
    "18.50",
    "Größere Schiffe müssen übermäßig früh ankündigen, naïve façade cœur. Žluťoučký kůň.",
    "港口规则\uff1a所有船只必须在日落前登记。",
    "東京湾の潮汐表。",
    "يجب على جميع السفن التسجيل قبل غروب الشمس.",
    "Правила порта обязательны.",
    "+31 20 555 0199",
    "the sea does not forgive haste",
    "The footnote says channel 74 is used at night.",
)
KINGFISHER = ("Project Kingfisher", "Supplier delay of six weeks", "Hull | 9,400", "Grouped text is found")
REPORT = (
    "412 gigawatt hours",
    "5,318 households",
    "The joining fee is 65 euros.",
    "Ünïcode façade.",
    "T2 98 GWh 11 days",
)
PRODUCTS = (
    "SKU: A-100\nName: Brass cleat\nPrice: 12.5\nStock: 40\nSince: 2021-03-04",
    "SKU: 0042\nName: Öltuch, groß",
)
NOTES = (
    "The main mirror is 1.8 metres wide and was polished in Jena in 1961.",
    "Algol 2.12 November",
    "12,480 plates",
)
REVIEW = (
    "Revenue grew 14 percent in Q3",
    "Speaker note: mention the Rotterdam contract.",
    "明年计划扩展到亚洲市场",
)

PHRASES: dict[str, tuple[str, ...]] = {
    "pandoc_harbour.docx": HARBOUR,
    "pandoc_harbour.odt": HARBOUR,
    "pandoc_harbour.rtf": HARBOUR,
    "pandoc_harbour.epub": HARBOUR,
    "pandoc_harbour.html": HARBOUR,
    "libreoffice_harbour.docx": HARBOUR,
    "libreoffice_harbour.rtf": HARBOUR,
    "libreoffice_harbour.epub": HARBOUR,
    "libreoffice_harbour.html": HARBOUR,
    "pydocx_manual.docx": (
        "Every employee has twenty-seven days of paid leave",
        "Senior | 30 | Director | Board",
        "form RW-17",
        "Confidential header text",
        "Footer revision 8",
        "Report sickness before 09:30.",
    ),
    "pandoc_slides.pptx": REVIEW,
    "pypptx_kingfisher.pptx": (*KINGFISHER, "Notes: ask legal about clause 9."),
    "libreoffice_kingfisher.odp": (*KINGFISHER, "Notes: ask legal about clause 9."),
    "libreoffice_kingfisher.pdf": ("Project Kingfisher", "Hull 9,400", "Grouped text is found"),
    "openpyxl_products.xlsx": PRODUCTS,
    "libreoffice_products.xlsx": (*PRODUCTS, "Quarter: Q1\nTotal: 3"),
    "openpyxl_products.ods": PRODUCTS,
    "openpyxl_products.xls": PRODUCTS,
    "libreoffice_products.csv": PRODUCTS,
    "libreoffice_products.pdf": ("Report of the year 2023", "Utrecht 361924 99.21"),
    "xlsxwriter_staff.xlsx": (
        "Name: 王小明\nRôle: 工程师\nHired: 2020-05-06",
        "Name: فاطمة",
        "Rich bold bit tail",
    ),
    "reportlab_report.pdf": REPORT,
    "ghostscript_report.pdf": REPORT,
    "reportlab_columns.pdf": (
        "Column left line 07 about salt marshes",
        "Column right line 39 about salt marshes",
    ),
    "encrypted_owner_only.pdf": ("Anybody may read this sentence",),
    "fpdf_minutes.pdf": ("Mites were found in hive twelve.", "the next meeting is on 14 March"),
    "fpdf_cjk.pdf": ("公司在上海开设了新的办事处。東京支社の売上は増加した。",),
    "libreoffice_notes.pdf": NOTES,
    "qpdf_notes.pdf": NOTES,
    "ebooklib_phare.epub": (
        "Le gardien du phare s'appelait Anselme. L'été fut très chaud.",
        "Lundi | 9 nœuds",
    ),
}
TITLES = {
    "pandoc_harbour.docx": "Harbour Handbook",
    "pandoc_harbour.epub": "Harbour Handbook",
    "libreoffice_harbour.rtf": "Harbour Handbook",
    "libreoffice_harbour.html": "Harbour Handbook",
    "pandoc_slides.pptx": "Quarterly Review",
    "pypptx_kingfisher.pptx": "Project Kingfisher",
    "reportlab_report.pdf": "Annual Report",
    "ebooklib_phare.epub": "The Lighthouse Keeper",
    "fpdf_minutes.pdf": None,
}
HEADINGS = {
    "pandoc_harbour.docx": ("# Mooring rules", "## Fees"),
    "libreoffice_harbour.docx": ("# Mooring rules", "## Fees"),
    "pandoc_harbour.odt": ("# Mooring rules", "## Fees"),
    "pandoc_harbour.rtf": ("# Mooring rules", "## Fees"),
    "libreoffice_harbour.rtf": ("# Mooring rules", "## Fees"),
    "pandoc_harbour.epub": ("# Mooring rules", "## Fees"),
    "libreoffice_harbour.html": ("# Mooring rules", "## Fees"),
    "pydocx_manual.docx": ("# Holidays", "## Sickness"),
    "pypptx_kingfisher.pptx": ("# Risks", "# Budget"),
    "openpyxl_products.xlsx": ("# Products", "# Sums"),
    "libreoffice_notes.pdf": ("## Telescope", "### Opening hours"),
    "ebooklib_phare.epub": ("# Chapitre un", "# Chapitre deux"),
}
REFUSED = {
    "encrypted_user.pdf": "encrypted",
    "encrypted.docx": "encrypted",
    "reportlab_scan.pdf": "no-text",
    "libreoffice_harbour.doc": "unsupported-type",
}


@pytest.fixture
async def extractor() -> AsyncIterator[Extractor]:
    async with open_extractor(timeout=20, memory=1 << 30) as opened:
        yield opened


async def read(extractor: Extractor, name: str, *, called: str | None = None) -> Document:
    data = await asyncio.to_thread((FILES / name).read_bytes)
    return await extractor.extract(data, file_name=called or name, media_type=None)


def flat(text: str) -> str:
    return " ".join(text.split())


async def test_every_sample_gives_its_phrases_title_and_headings(extractor: Extractor) -> None:
    for name, phrases in PHRASES.items():
        document = await read(extractor, name)
        for phrase in phrases:
            assert flat(phrase) in flat(document.text) or (
                name.endswith(".html") and phrase in document.text
            ), name
        if name in TITLES:
            assert document.title == TITLES[name], name
        for heading in HEADINGS.get(name, ()):
            assert heading in document.text.split("\n"), name
        assert not set("\x00\r") & set(document.text), name


async def test_a_name_that_lies_changes_nothing(extractor: Extractor) -> None:
    for name in (
        "pandoc_harbour.docx",
        "reportlab_report.pdf",
        "openpyxl_products.xls",
        "pandoc_harbour.rtf",
    ):
        honest = await read(extractor, name)
        for called in ("notes.txt", "table.csv", "page.html", "no ending"):
            assert await read(extractor, name, called=called) == honest


async def test_what_cannot_be_read_says_why(extractor: Extractor) -> None:
    for name, code in REFUSED.items():
        with pytest.raises(ExtractError) as caught:
            await read(extractor, name)
        assert caught.value.code == code, name
        assert str(caught.value).endswith("."), name


async def test_a_scan_says_that_ocr_is_not_available(extractor: Extractor) -> None:
    with pytest.raises(ExtractError, match=r"OCR\) is not available"):
        await read(extractor, "reportlab_scan.pdf")


async def test_half_a_file_is_corrupt_whatever_it_is(extractor: Extractor) -> None:
    for name in PHRASES:
        data = await asyncio.to_thread((FILES / name).read_bytes)
        if name.endswith((".html", ".csv")):
            continue
        with pytest.raises(ExtractError) as caught:
            await extractor.extract(data[: len(data) // 2], file_name=name, media_type=None)
        assert caught.value.code == ("unsupported-type" if name.endswith(".xls") else "corrupt"), name


async def test_pages_and_passages_are_places_in_the_text(extractor: Extractor) -> None:
    for name in PHRASES:
        document = await read(extractor, name)
        places = [place for page in document.pages for place in (page.start, page.end)]
        assert places == sorted(places), name
        assert all(page.start < page.end <= len(document.text) for page in document.pages), name
        assert list(document.passages) == sorted(set(document.passages)), name
        assert all(document.text[place].strip() for place in document.passages), name


async def test_pages_of_a_pdf_have_their_own_text(extractor: Extractor) -> None:
    document = await read(extractor, "reportlab_report.pdf")
    texts = {page.number: document.text[page.start : page.end] for page in document.pages}
    assert "gigawatt" in texts[1]
    assert "joining fee" in texts[2]
    assert "Delfzijl" in texts[3]
    assert [texts[number].count(f"Page {number} of the annual report") for number in (1, 2, 3)] == [1, 1, 1]


async def test_slides_and_sheets_are_pages(extractor: Extractor) -> None:
    slides = await read(extractor, "pypptx_kingfisher.pptx")
    assert [page.number for page in slides.pages] == [1, 2, 3, 4]
    assert "clause 9" in slides.text[slides.pages[1].start : slides.pages[1].end]
    sheets = await read(extractor, "openpyxl_products.xlsx")
    assert [page.number for page in sheets.pages] == [1, 2, 3]
    assert sheets.text[sheets.pages[1].start :].startswith("# Sums\n\nQuarter: Q1")


async def test_a_row_is_a_passage_with_the_names_of_its_columns(extractor: Extractor) -> None:
    document = await read(extractor, "libreoffice_products.csv")
    starts = [*document.passages, len(document.text)]
    rows = [document.text[start:end].strip() for start, end in pairwise(starts)]
    assert [row.split("\n")[0] for row in rows] == ["SKU: A-100", "SKU: A-101", "SKU: 0042"]
    assert (
        rows[1] == "SKU: A-101\nName: Sisal rope 20 m\nPrice: 33\nSince: 2022-12-31 13:05:00\nActive: FALSE"
    )
