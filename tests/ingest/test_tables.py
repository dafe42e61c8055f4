"""Tables: names of columns, merged cells, titles, comments, whatever the format."""

from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.chunk import chunk
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.dispatch import find_reader
from llmstack_api.ingest.reading.sheets.xls_formats import shown_numbers
from llmstack_api.ingest.reading.source import Source
from tests.ingest.making import S, docx, ods, paragraph, sheet_rows, style_sheet, xlsx


def read(data: str | bytes, name: str | None = None) -> Document:
    return find_reader(Source(data.encode() if isinstance(data, str) else data, name))()


def passages(document: Document) -> list[str]:
    return [
        document.text[start:end].strip() for start, end in pairwise([*document.passages, len(document.text)])
    ]


def contents(document: Document, *, size: int = 1200) -> list[str]:
    return [place.content(document.text) for place in chunk(document, size=size, overlap=size // 8)]


# --- names of columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "first"),
    [
        ("Item,2025-01-01,2025-02-01\nGas,10,12", "Item: Gas\n2025-01-01: 10\n2025-02-01: 12"),
        (",2021,2022,2023\nGas,100,110,120\nOil,60,70,80", "column 1: Gas\n2021: 100\n2022: 110\n2023: 120"),
        ("Name,2025-03-03,2025-03-04\nA,F,S\nB,S,F", "Name: A\n2025-03-03: F\n2025-03-04: S"),
        ("Room,08:00,09:00\nR1,Art,PE\nR2,PE,Art", "Room: R1\n08:00: Art\n09:00: PE"),
        ("Name,1,2,3\nA,F,S,S\nB,S,F,S", "Name: A\n1: F\n2: S\n3: S"),
        ("Name:,Age:\nRosa,40\nBen,50", "Name: Rosa\nAge: 40"),
        ("SEP=;\nName;Age\nRosa;40\nBen;50", "Name: Rosa\nAge: 40"),
        ("Part,Weight,Length\n,kg,mm\nA1,1.5,30\nA2,2,40", "Part: A1\nWeight kg: 1.5\nLength mm: 30"),
        ("Item,2023,2024,2025\nGas,10,12,9\nOil,1,2,3", "Item: Gas\n2023: 10\n2024: 12\n2025: 9"),
        ("Depot,1,2,3,4\nBern,88,20,31,7", "Depot: Bern\n1: 88\n2: 20\n3: 31\n4: 7"),
        ("Name,Phone,Phone\nRosa,111,222", "Name: Rosa\nPhone: 111\nPhone: 222"),
        (",Q1,Q2\nGas,1,2", "column 1: Gas\nQ1: 1\nQ2: 2"),
        ("part_no,made_by\nA-1,Kessler\nB-2,Vogt", "part_no: A-1\nmade_by: Kessler"),
        ("Art,Kennzeichen\nLkw,ZH-100\nBus,BE-201\nPkw,AG-302", "Art: Lkw\nKennzeichen: ZH-100"),
        ("name,ok\nA,TRUE\nB,FALSE", "name: A\nok: TRUE"),
    ],
)
def test_a_row_unlike_those_below_names_the_columns(table: str, first: str) -> None:
    assert passages(read(table, "t.csv"))[0] == first


@pytest.mark.parametrize(
    "table",
    [
        "1001,Hammer,12.50\n1002,Saw,19.00",
        "2021,10\n2022,12",
        "1,2,3\n2,3,4\n3,4,5",
        "a.\nb.",
        "x,2020-01-01\ny,2021-01-01",
    ],
)
def test_a_row_like_those_below_names_nothing(table: str) -> None:
    rows = table.split("\n")
    assert contents(read(table, "t.csv")) == [row.replace(",", " | ") for row in rows]


def test_a_row_that_may_be_names_or_not_is_kept_as_a_row_and_stands_before_those_below() -> None:
    document = read("Anna,Bern,Electrician\nBeat,Basel,Plumber\nCarla,Chur,Carpenter\n", "t.csv")
    assert passages(document) == [
        "Anna | Bern | Electrician",
        "Beat | Basel | Plumber",
        "Carla | Chur | Carpenter",
    ]
    assert contents(document)[2] == "Anna | Bern | Electrician\nCarla | Chur | Carpenter"


def test_facts_in_two_columns_are_rows() -> None:
    found = contents(read("Company,ACME AG\nFounded,1999\nStaff,250\nCity,Bern\n", "t.csv"))
    assert "Founded | 1999" in found[1]
    assert "Company: Founded" not in "\n".join(found)


def test_names_may_take_two_rows() -> None:
    table = ",2024,,2025,\nDepot,Plan,Actual,Plan,Actual\nBern,1,2,3,4\nBasel,5,6,7,8"
    assert passages(read(table, "t.csv"))[0] == (
        "Depot: Bern\n2024 Plan: 1\n2024 Actual: 2\n2025 Plan: 3\n2025 Actual: 4"
    )


def test_names_of_groups_may_be_written_in_each_column_and_names_of_rows_below_them() -> None:
    table = ",,2024,2024,2025,2025\n,,Plan,Actual,Plan,Actual\nRegion,Item,,,,\nNorth,Gas,1,2,3,4\nSouth,Gas,5,6,7,8"
    assert passages(read(table, "t.csv")) == [
        "Region: North\nItem: Gas\n2024 Plan: 1\n2024 Actual: 2\n2025 Plan: 3\n2025 Actual: 4",
        "Region: South\nItem: Gas\n2024 Plan: 5\n2024 Actual: 6\n2025 Plan: 7\n2025 Actual: 8",
    ]


def test_a_row_under_equal_names_is_no_part_of_them() -> None:
    table = "Name,Phone,Phone\nRosa,private,none\nBen,111,222\nCleo,333,444\nDora,555,666"
    assert passages(read(table, "t.csv"))[0] == "Name: Rosa\nPhone: private\nPhone: none"


def test_lines_of_a_form_are_no_names() -> None:
    document = read("Leave request\n\nName:,Rosa,Date:,2025-03-01\nStaff no.:,00471\nDays:,11\n", "t.csv")
    assert contents(document) == [
        "Leave request", "Name: Rosa | Date: 2025-03-01", "Staff no.: 00471", "Days: 11"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("above", "title"),
    [
        ("Price list,,,as of: 2025-03-01\n\n", "Price list"),
        ("Price list,,,as of: 2025-03-01\n", "Price list"),
        ("ACME\nMain street 1\n\nPrice list,,,March\n\n", "Price list"),
        ("Statement\nAccount,CH93 0076\nPeriod,2025-01-01 - 2025-03-31\n", "Statement"),
        ("Statement\nOwner,Rosa\nBranch,Bern\n", "Statement"),
        ("Account:,CH93 0076\nOwner:,Rosa\n", None),
    ],
)
def test_what_stands_above_the_names_is_no_part_of_them(above: str, title: str | None) -> None:
    document = read(f"{above}Item,Unit,Price,Stock\nBolt,pc,0.12,5\nNut,pc,0.15,7\n", "t.csv")
    assert passages(document)[-2:] == [
        "Item: Bolt\nUnit: pc\nPrice: 0.12\nStock: 5", "Item: Nut\nUnit: pc\nPrice: 0.15\nStock: 7"
    ]  # fmt: skip
    assert chunk(document)[-1].table == title


def test_questions_as_names_are_clipped_and_stand_once_in_full() -> None:
    question = f"How content are you with the {'very ' * 60}long way?"
    found = contents(read(f"When,{question},Age\n2025-01-01,quite,40\n2025-01-02,not at all,50\n", "t.csv"))
    assert found[0] == f"When | {question} | Age"
    assert found[2].startswith("When: 2025-01-02\nHow content are you with the very")
    assert found[2].endswith("very…: not at all\nAge: 50")


def test_titles_and_notes_stand_by_themselves_and_the_title_is_known_to_the_rows() -> None:
    table = "Stock report\nmade by hand\n\nItem,Units\nBolt,1\nNut,2\n\nStaff\nName,Age\nRosa,40\n"
    document = read(table, "t.csv")
    assert passages(document) == [
        "Stock report", "made by hand", "Item: Bolt\nUnits: 1", "Item: Nut\nUnits: 2", "Staff", "Name: Rosa\nAge: 40"
    ]  # fmt: skip
    assert [place.table for place in chunk(document)] == [
        None, None, "Stock report", "Stock report", None, "Staff"
    ]  # fmt: skip


def test_an_empty_row_within_a_table_does_not_end_its_names() -> None:
    table = "Item,Units\nBolt,1\nNut,2\n\nSaw,3\nAxe,4\n"
    assert passages(read(table, "t.csv"))[2:] == ["Item: Saw\nUnits: 3", "Item: Axe\nUnits: 4"]


def test_names_that_are_repeated_further_down_are_no_row() -> None:
    assert len(passages(read("Item,Units\nBolt,1\nItem,Units\nNut,2\n", "t.csv"))) == 2


def test_every_part_of_a_long_row_knows_its_column_and_its_row() -> None:
    document = read(f"Ticket,Description,Status\nT-1,{'word ' * 500},open\n", "t.csv")
    found = contents(document)
    assert len(found) > 2
    assert all(content.startswith("Ticket: T-1") for content in found)
    assert all("Description:" in content for content in found[1:])
    assert [place for place in chunk(document) if document.text[place.start : place.end].startswith("Ticket")]


# --- spreadsheets ------------------------------------------------------------------------------------------


def test_cells_are_read_as_they_are_shown() -> None:
    rows = sheet_rows(
        ["Start", "Length", "Share", "Code", "Sum"],
        [15 / 1440, 1.5, 0.125, 42, 7.000000000000001],
        styles={"A2": 1, "B2": 2, "C2": 3, "D2": 4},
    )
    document = read(xlsx(rows, styles=style_sheet("hh:mm", "[h]:mm:ss", "0.0%", "00000")))
    assert document.text.endswith("Start: 00:15\nLength: 36:00:00\nShare: 12.5 %\nCode: 00042\nSum: 7")


def test_each_cell_of_a_merged_range_has_its_value() -> None:
    rows = sheet_rows(
        [None, "2024", None, "2025", None],
        ["Region", "Plan", "Actual", "Plan", "Actual"],
        ["North", 1, 2, 3, 4],
        [None, 5, "closed", None, None],
        ["All prices without tax"],
    )
    merged = "".join(
        f'<mergeCell ref="{place}"/>'
        for place in ("B1:C1", "D1:E1", "A3:A4", "C4:E4", "A5:E5", "A9:XFD1048576")
    )
    document = read(xlsx(rows, after=f"<mergeCells>{merged}</mergeCells>"))
    assert passages(document) == [
        "# Data\n\nRegion: North\n2024 Plan: 1\n2024 Actual: 2\n2025 Plan: 3\n2025 Actual: 4",
        "Region: North\n2024 Plan: 5\n2024 Actual: closed\n2025 Plan: closed\n2025 Actual: closed",
        "All prices without tax",
    ]


def test_comments_are_read_where_their_cells_are() -> None:
    notes = (
        f'<comments xmlns="{S}"><commentList><comment ref="B2"><text><r><t>Reorder </t></r><r><t>early</t></r></text>'
        '</comment><comment ref="A9"><text><t>Lonely</t></text></comment></commentList></comments>'
    )
    threads = (
        '<ThreadedComments xmlns="http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments">'
        '<threadedComment ref="A2"><text>Why?</text></threadedComment>'
        '<threadedComment ref="A2"><text>Because.</text></threadedComment></ThreadedComments>'
    )
    rows = sheet_rows(["Item", "Stock"], ["Valve", 3])
    text = read(xlsx(rows, comments=notes, threadedComment=threads)).text
    assert "Item: Valve [Comment: Why? / Because.]\nStock: 3 [Comment: Reorder early]" in text
    assert "Item: [Comment: Lonely]" in text


def test_the_address_of_a_linked_cell_follows_its_text() -> None:
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    linked = "".join(
        f'<hyperlink ref="{cell}" r:id="{name}"/>'
        for cell, name in (("B2", "k1"), ("B3", "k2"), ("C9", "k1"), ("A2", "k9"))
    )
    rows = sheet_rows(["Pages", "Manual"], [1, "PDF"], [2, "example.org/m2"])
    book = xlsx(
        rows,
        after=f'<hyperlinks xmlns:r="{office}">{linked}</hyperlinks>',
        links={"k1": "https://example.org/m1?a=1&amp;b=2", "k2": "https://example.org/m2"},
    )
    assert passages(read(book)) == [
        "# Data\n\nPages: 1\nManual: PDF (https://example.org/m1?a=1&b=2)",
        "Pages: 2\nManual: example.org/m2",
    ]


def test_a_formula_that_was_never_calculated_shows_itself() -> None:
    rows = sheet_rows(["A", "Sum"], [2]).replace("</v></c>", '</v></c><c r="B2"><f>A2&lt;3</f></c>')
    assert read(xlsx(rows)).text.endswith("A: 2\nSum: =A2<3")


def test_a_zero_of_a_formula_that_is_still_to_be_calculated_is_no_value() -> None:
    rows = sheet_rows(["A", "Sum"], [2, 0]).replace("<v>0</v>", "<f>A2*3</f><v>0</v>")
    assert read(xlsx(rows)).text.endswith("A: 2\nSum: 0")
    stale = xlsx(rows, book='<calcPr calcId="1" fullCalcOnLoad="1"/>')
    assert read(stale).text.endswith("A: 2\nSum: =A2*3")


def test_bold_names_frozen_names_and_names_of_filters_are_names() -> None:
    rows = (["Anna", "Bern"], ["Beat", "Basel"])
    bold = xlsx(sheet_rows(*rows, styles={"A1": 1, "B1": 1}), styles=style_sheet(bold=True))
    frozen = xlsx(
        sheet_rows(*rows),
        before='<sheetViews><sheetView><pane ySplit="1" state="frozen"/></sheetView></sheetViews>',
    )
    filtered = xlsx(sheet_rows(*rows), after='<autoFilter ref="A1:B2"/>')
    listed = xlsx(sheet_rows(*rows), table=f'<table xmlns="{S}" ref="A1:B2"/>')
    for data in (bold, frozen, filtered, listed):
        assert read(data).text.endswith("Anna: Beat\nBern: Basel")


def test_texts_have_their_runs_and_not_how_they_are_pronounced() -> None:
    strings = (
        f'<sst xmlns="{S}"><si><r><t>Rich </t></r><r><t>text_x000D_</t></r></si>'
        "<si><t>東京</t><rPh><t>トウキョウ</t></rPh></si></sst>"
    )
    rows = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
    assert read(xlsx(rows, strings=strings)).text.endswith("Rich text | 東京")


def test_plain_xml_and_any_other_give_the_same_rows() -> None:
    rows = sheet_rows(["Item", "Note"], ["A &amp; B", "x &#233;"], ["C", 5], styles={"B3": 1})
    plain = read(xlsx(rows, styles=style_sheet("0.0")))
    for old, new in (
        ("<row", "<!-- note --><row"),
        ('<c r="A2"', '<c cm="1" r="A2"'),
        ("<v>5</v>", '<v xml:space="preserve">5</v>'),
        ("<t>C</t>", "<t><![CDATA[C]]></t>"),
    ):
        assert old in rows
        assert read(xlsx(rows.replace(old, new, 1), styles=style_sheet("0.0"))) == plain
    assert "Item: A & B\nNote: x é" in plain.text
    assert plain.text.endswith("Note: 5.0")


def test_a_cell_in_the_last_corner_takes_no_memory() -> None:
    rows = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
    assert contents(read(xlsx(rows))) == ["# Data\n\n1", "2"]


def test_merged_cells_without_end_are_refused() -> None:
    rows = "".join(f'<row r="{n}"><c r="A{n}"><v>1</v></c></row>' for n in range(1, 2001))
    merged = "".join(f'<mergeCell ref="A{n}:XFD{n}"/>' for n in range(1, 2001))
    with pytest.raises(ExtractError) as refused:
        read(xlsx(rows, after=f"<mergeCells>{merged}</mergeCells>"))
    assert refused.value.code == "too-large"


@pytest.mark.parametrize(
    "rows",
    ["<row><c>", "<row></c></row>", "<row><c><v>1</v></c>", '<row r="1"><c r="A1"><v>&x;</v></c></row><row>'],
)
def test_damaged_rows_are_corrupt(rows: str) -> None:
    with pytest.raises(ExtractError) as refused:
        read(xlsx(rows))
    assert refused.value.code == "corrupt"


def test_an_opendocument_sheet_is_read_as_it_is_shown() -> None:
    def cell(kind: str, value: str, shown: str, more: str = "") -> str:
        values = f'office:value-type="{kind}" {value} {more}'
        return f"<table:table-cell {values}><text:p>{shown}</text:p></table:table-cell>"

    def words(*texts: str) -> str:
        return "".join(cell("string", "", text) for text in texts)

    rows = (
        f"<table:table-row>{words('Start', 'Length', 'Share', 'Code', 'Price', 'Day')}</table:table-row>"
        "<table:table-row>"
        + cell("time", 'office:time-value="PT00H15M00S"', "0:15")
        + cell("time", 'office:time-value="PT36H00M00S"', "36:00:00", 'table:number-rows-spanned="2"')
        + cell("percentage", 'office:value="0.125"', "12,5%")
        + cell("float", 'office:value="42"', "00042")
        + cell("currency", 'office:value="1234.5"', "1.234,50 €")
        + '<table:table-cell office:value-type="date" office:date-value="2025-03-01"><office:annotation><text:p>Late'
        "</text:p></office:annotation><text:p>01.03.25</text:p></table:table-cell>"
        "</table:table-row>"
        "<table:table-row>"
        + cell("float", 'office:value="7.000000000000001"', "7")
        + "<table:covered-table-cell/></table:table-row>"
        '<table:table-row table:number-rows-repeated="1048573">'
        '<table:table-cell table:number-columns-repeated="16384"/></table:table-row>'
    )
    first = "Start: 00:15\nLength: 36:00:00\nShare: 12.5 %\nCode: 00042\nPrice: 1234.50 €\nDay: 2025-03-01"
    second = "Start: 7\nLength: 36:00:00"
    assert passages(read(ods(rows))) == [f"# Data\n\n{first} [Comment: Late]", second]


@pytest.mark.parametrize(
    ("kind", "value", "shown", "text"),
    [
        ("percentage", 'office:value="0"', "0,0%", "0.0 %"),
        ("float", 'office:value="0"', "0,00", "0.00"),
        ("float", 'office:value="0.001"', "0.00", "0.00"),
        ("float", 'office:value="0"', "000", "000"),
        ("currency", 'office:value="0"', "0,00 €", "0.00 €"),
        ("date", 'office:date-value="2025-03-01"', "2025", "2025"),
        ("date", 'office:date-value="2025-03-01T18:00:00"', "01.03.2025 18:00", "2025-03-01 18:00"),
        ("date", 'office:date-value="2025-03-01T18:00:05"', "01.03.2025 18:00:05", "2025-03-01 18:00:05"),
    ],
)
def test_a_cell_of_an_opendocument_sheet_is_read_as_it_is_shown(
    kind: str, value: str, shown: str, text: str
) -> None:
    cell = f'<table:table-cell office:value-type="{kind}" {value}><text:p>{shown}</text:p></table:table-cell>'
    assert passages(read(ods(f"<table:table-row>{cell}</table:table-row>"))) == [f"# Data\n\n{text}"]


# --- tables in documents -----------------------------------------------------------------------------------


def rows_of_docx(*rows: list[str], properties: str = "") -> str:
    lines = "".join(
        "<w:tr>" + "".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in row) + "</w:tr>" for row in rows
    )
    return f"<w:tbl>{properties}{lines}</w:tbl>"


def test_every_chunk_of_a_long_table_begins_with_its_names_and_holds_whole_rows() -> None:
    lines = [[f"Bearing {n:03}", str(10 + n), f"Supplier {n % 7}"] for n in range(120)]
    names = ["Part", "Torque", "Supplier"]
    title = '<w:tblPr><w:tblCaption w:val="Gearbox"/></w:tblPr>'
    word = docx(paragraph("Before.") + rows_of_docx(names, *lines, properties=title) + paragraph("After."))
    page = "<html><body><p>Before.</p><table><caption>Gearbox</caption>" + "".join(
        "<tr>" + "".join(f"<td>{text}</td>" for text in row) + "</tr>" for row in [names, *lines]
    )
    markdown = "Before.\n\n| Part | Torque | Supplier |\n|---|---|---|\n" + "".join(
        f"| {' | '.join(row)} |\n" for row in lines
    )
    for data, name in (
        (word, None),
        (f"{page}</table><p>After.</p></body></html>", "a.html"),
        (markdown, "a.md"),
    ):
        document = read(data, name)
        chunks = chunk(document, size=400, overlap=50)
        for place in chunks:
            own = document.text[place.start : place.end]
            assert "Part | Torque | Supplier" in place.content(document.text) or own == "After."
            assert place.table == (None if name == "a.md" or own == "After." else "Gearbox")
            assert all(line.count("|") in (0, 2, 4) for line in own.split("\n") if "---" not in line)
        assert sum(place.content(document.text).count("Bearing") for place in chunks) == len(lines)


def test_names_with_an_empty_corner_stand_once_in_the_chunk_that_they_begin() -> None:
    page = "<table><tr><th></th><th>Mon</th><th>Tue</th></tr><tr><th>8-9</th><td>Art</td><td>PE</td></tr></table>"
    assert contents(read(page, "t.html")) == ["| Mon | Tue\n8-9 | Art | PE"]


def test_merged_cells_of_documents_have_their_text_in_each_cell() -> None:
    page = (
        "<html><body><table><tr><th rowspan=2>House</th><th colspan=2>Price</th></tr><tr><th>Low</th><th>High</th></tr>"
        "<tr><td rowspan=0>Lake</td><td>1</td><td>2</td></tr><tr><td>3</td><td>4</td></tr>"
        "<tr><td colspan=9>Without tax</td></tr></table></body></html>"
    )
    assert read(page, "a.html").text.split("\n") == [
        "House | Price | Price", "House | Low | High", "Lake | 1 | 2", "Lake | 3 | 4",
        "Lake | Without tax | Without tax",
    ]  # fmt: skip
    start, on = '<w:tcPr><w:vMerge w:val="restart"/></w:tcPr>', "<w:tcPr><w:vMerge/></w:tcPr>"
    wide = '<w:tcPr><w:gridSpan w:val="2"/></w:tcPr>'
    word = docx(
        "<w:tbl>"
        f"<w:tr><w:tc>{start}{paragraph('Lake')}</w:tc><w:tc>{paragraph('1')}</w:tc><w:tc>{paragraph('2')}</w:tc></w:tr>"
        f"<w:tr><w:tc>{on}<w:p/></w:tc><w:tc>{wide}{paragraph('closed')}</w:tc></w:tr></w:tbl>"
    )
    assert read(word).text == "Lake | 1 | 2\nLake | closed | closed"


@pytest.mark.parametrize("attributes", ["colspan=1000000", "rowspan=65534 colspan=1000"])
def test_spans_without_end_end(attributes: str) -> None:
    page = f"<html><body><table>{f'<tr><td {attributes}>boom</td><td>x</td></tr>' * 30_000}</table></body></html>"
    with pytest.raises(ExtractError) as refused:
        read(page, "a.html")
    assert refused.value.code == "too-large"


def test_a_table_of_long_cells_names_the_column_of_each() -> None:
    text = "many words stand here " * 40
    rows = f"<tr><th>Code</th><th>Meaning</th></tr><tr><td>E2</td><td>{text}</td></tr>"
    page = f"<html><body><table>{rows}</table></body></html>"
    document = read(page, "a.html")
    assert document.text.startswith("Code: E2\nMeaning: many words")
    for content in contents(document, size=300)[1:]:
        assert content.startswith("Code: E2\nMeaning:")


# --- binary workbooks --------------------------------------------------------------------------------------

SHIFTS = Path(__file__).parent / "files" / "xlwt_shifts.xls"
SMALL = Path(__file__).parent / "files" / "libreoffice_small.xls"
"""Its workbook is smaller than a sector allows, so that it lies among other small streams."""


def test_a_binary_workbook_is_read_as_it_is_shown() -> None:
    assert passages(read(SHIFTS.read_bytes()))[1] == (
        "Name: Shift 2\nShare: 12.5 %\nCode: 00042\nStart: 00:15\nLength: 36:00:00\nPrice: 12.50 EUR\nCount: 7"
    )


def test_a_small_binary_workbook_is_read_as_it_is_shown_with_its_errors() -> None:
    assert passages(read(SMALL.read_bytes())) == [
        "# Rates\n\nPart: Bolt\nShare: 12.5 %\nCode: 00042\nRatio: #DIV/0!\nLeft: #N/A",
        "Part: Nut\nShare: 0.0 %\nCode: 00043\nRatio: 2\nLeft: 5",
    ]


@pytest.mark.parametrize("file", [SHIFTS, SMALL])
def test_no_damage_to_a_binary_workbook_is_more_than_an_error(file: Path) -> None:
    data = file.read_bytes()
    chance = Random(5)  # noqa: S311 # the same damage each time
    for _ in range(300):
        harmed = bytearray(data)
        for _ in range(chance.randrange(1, 40)):
            harmed[chance.randrange(len(harmed))] = chance.randrange(256)
        shown_numbers(bytes(harmed))
        shown_numbers(bytes(harmed[: chance.randrange(len(harmed))]))
