"""Web pages: questions in controls, readings over characters, numbers of lists, titles."""

import pytest

from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.dispatch import find_reader
from llmstack_api.ingest.reading.source import Source

MENU = """<header><nav><button aria-expanded=false aria-controls=menu>Menu</button><ul id=menu>
<li><a href=/>Home page of the firm</a></li><li><a href=/shop>Shop for everything</a></li></ul></nav></header>
<div role=dialog><h2>We value your privacy</h2><button aria-expanded=false aria-controls=ck>Cookie details</button>
<div id=ck>These cookies are used for many purposes by our partners.</div></div>"""
FOOT = """<footer><button aria-expanded=false aria-controls=f1>About us</button><div id=f1>Imprint, privacy, terms and
conditions of sale</div></footer>"""
FORMS = {
    "a button in a heading": "<h3><button aria-expanded=false aria-controls=p{n}>{q}</button></h3>"
    "<div id=p{n}>{a}</div>",
    "a button with an icon in a heading": "<h2><button type=button data-bs-toggle=collapse data-bs-target='#p{n}'>"
    "<span>{q}</span><i></i></button></h2><div id=p{n}><div>{a}</div></div>",
    "a button": "<button aria-expanded=false aria-controls=p{n}>{q}</button><div id=p{n}>{a}</div>",
    "a button before its panel": "<button class=accordion>{q}</button><div class=panel>{a}</div>",
    "an element with the role of a button": "<div role=button aria-expanded=false aria-controls=p{n}>{q}</div>"
    "<div id=p{n}>{a}</div>",
    "a link with the role of a button": "<a href='#p{n}' role=button aria-expanded=false aria-controls=p{n}>{q}</a>"
    "<div id=p{n}>{a}</div>",
    "an element with the role of a heading": "<div role=heading aria-level=3>{q}</div>{a}",
    "a summary": "<details><summary>{q}</summary>{a}</details>",
    "the label of a box": "<div class=tab><input type=checkbox id=b{n}><label for=b{n}>{q}</label><div>{a}</div></div>",
    "a term": "<dl><dt>{q}</dt><dd>{a}</dd></dl>",
    "a button in a term": "<dl><dt><button aria-expanded=false aria-controls=p{n}>{q}</button></dt>"
    "<dd id=p{n}>{a}</dd></dl>",
}


def read(page: str, *, main_text: bool = False) -> Document:
    return find_reader(Source(page.encode(), None, "text/html", main_text=main_text))()


def questions(form: str) -> str:
    answer = "<p>Turn the part number {n} to the left, pull it out and press the new one in, then close the lid.</p>"
    return "".join(
        form.replace("{a}", answer).replace("{q}", "How is part {n} replaced?").replace("{n}", str(number))
        for number in range(1, 6)
    )


@pytest.mark.parametrize("form", FORMS)
def test_questions_of_a_page_are_kept_and_its_menus_are_not(form: str) -> None:
    intro = "<h1>Help</h1><p>Here are the answers to the questions that customers ask us most often about repairs.</p>"
    page = (
        f"<!doctype html><html><body>{MENU}<main>{intro}{questions(FORMS[form])}</main>{FOOT}</body></html>"
    )
    text = read(page, main_text=True).text
    for number in range(1, 6):
        question, answer = f"How is part {number} replaced?", f"Turn the part number {number} to the left"
        assert text.count(question) == 1
        assert text.index(question) < text.index(answer)
    for left_out in ("Menu", "Home page", "Cookie", "privacy", "About us", "Imprint"):
        assert left_out not in text
    assert "How is part 3 replaced?" in read(page).text


def test_a_button_beside_a_heading_is_no_part_of_it() -> None:
    answer = "<p>Turn the part to the left, pull it out and press the new one in, and then close the lid again.</p>"
    page = f"<html><body><main><h1>Help</h1><h2>Part 1 <button>Copy link</button></h2>{answer * 3}</main></body></html>"
    assert "## Part 1\n" in read(page, main_text=True).text


# --- ruby ------------------------------------------------------------------------------------------------

RUBY = (
    "<ruby>災害<rp>(</rp><rt>さいがい</rt><rp>)</rp></ruby>のときは<ruby><rb>避難所</rb><rtc><rt>ひなんじょ</rt></rtc></ruby>へ"
    "<ruby>行<rt>い</ruby>ってください。"
)


def test_readings_over_characters_are_left_out() -> None:
    plain = "災害のときは避難所へ行ってください。"
    page = f"<html lang=ja><head><title>{RUBY}</title></head><body><h1>{RUBY}</h1><p>{RUBY}</p></body></html>"
    assert read(page.replace(f"<title>{RUBY}</title>", "")).title == plain
    assert read(page).text == f"# {plain}\n\n{plain}"
    assert plain in read(page, main_text=True).text
    assert read(f"<table><tr><td>{RUBY}</td><td>1</td></tr></table>").text == f"{plain} | 1"


# --- lists -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "marks"),
    [
        ("", ["1.", "2.", "3."]),
        ("start=5", ["5.", "6.", "7."]),
        ("start=-1", ["-1.", "0.", "1."]),
        ("type=a start=26", ["z.", "aa.", "ab."]),
        ("type=A", ["A.", "B.", "C."]),
        ("type=i start=3", ["iii.", "iv.", "v."]),
        ("type=I start=3999", ["MMMCMXCIX.", "MMMM.", "MMMMI."]),
        ("reversed", ["3.", "2.", "1."]),
        ("reversed start=10", ["10.", "9.", "8."]),
        ("style='list-style-type: lower-roman'", ["i.", "ii.", "iii."]),
        ("style='color:red; list-style:upper-alpha inside'", ["A.", "B.", "C."]),
        ("start=99999999999999999999", ["1.", "2.", "3."]),
        ("start=x type=q", ["1.", "2.", "3."]),
    ],
)
def test_lists_have_the_numbers_that_browsers_show(attributes: str, marks: list[str]) -> None:
    items = "".join(f"<li>{text}</li>" for text in ("one", "two", "three"))
    lines = [f"{mark} {text}" for mark, text in zip(marks, ("one", "two", "three"), strict=True)]
    assert read(f"<html><body><ol {attributes}>{items}</ol></body></html>").text.split("\n") == lines


def test_an_item_may_have_a_number_of_its_own() -> None:
    page = "<html><body><ol><li>a<li value=7>b<ul><li>x</ul><li>c</ol></body></html>"
    assert read(page).text == "1. a\n7. b\n  - x\n8. c"


def test_numbers_are_kept_in_the_main_text() -> None:
    prose = (
        "<p>These are the duties of the tenant under this agreement, which both parties have signed today.</p>"
        * 3
    )
    items = "<li>to pay the rent on the first day of each month</li><li>to keep the yard and the stairs clean</li>"
    page = f"<html><body><main><h1>Rent</h1>{prose}<ol type=a start=3>{items}</ol></main></body></html>"
    text = read(page, main_text=True).text
    assert "\nc. to pay the rent on the first day of each month\nd. to keep the yard" in text


# --- titles ----------------------------------------------------------------------------------------------


def test_the_title_of_a_picture_is_none_of_the_page() -> None:
    picture = "<svg><title>Arrow</title></svg>"
    assert read(f"<html><body>{picture}<h1>Hours</h1><p>Nine to five.</p></body></html>").title == "Hours"
    page = f"<html><head><title> Opening\n hours </title></head><body>{picture}<p>Mon-Fri 9-17.</p></body></html>"
    assert (read(page).title, read(page).text) == ("Opening hours", "Mon-Fri 9-17.")
    assert read(page, main_text=True).title == "Opening hours"


# --- tables of fetched pages -----------------------------------------------------------------------------

AROUND = (
    "<p>Berths are let by the season, and the fees below hold for boats of every kind in all of the harbour.</p>"
    "<p>Ask the harbour master for the berths that are free, and pay on the first day of the season.</p>"
)
TABLES = {
    "cells that span rows": "<tr><th>Room<th>Bed<th>Fee<tr><td rowspan=2>Sea view<td>single<td>90"
    "<tr><td>double<td>140<tr><td>Court<td>double<td>110",
    "cells that span columns": "<tr><th rowspan=2>Boat<th colspan=2>Fee<tr><th>Day<th>Week"
    "<tr><td>Dinghy<td>5<td>30<tr><td>Yacht<td colspan=2>on request",
    "a title over all columns": "<tr><th colspan=3>Fees of 2025<tr><th>Room<th>Bed<th>Fee<tr><td>A<td>single<td>90",
    "a caption, and rows with names": "<caption>Fees</caption><thead><tr><th><th>Day<th>Week</thead>"
    "<tbody><tr><th>Dinghy<td>5<td>30<tr><th>Yacht<td>20<td>120</tbody>",
    "names of columns in bold": "<tr><td><b>Boat</b><td><b>Fee</b><tr><td>Dinghy<td><a href=/d>5</a>",
    "empty cells": "<tr><td><td>Day<tr><td>Dinghy<td><tr><td>Yacht<td>20",
    "lists in cells": "<tr><th>Boat<th>Needs<tr><td>Dinghy<td><ul><li>oars<li>rope</ul><tr><td>Yacht<td>anchor",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_a_fetched_page_is_read_as_that_of_a_file(name: str) -> None:
    table = f"<table>{TABLES[name]}</table>"
    page = (
        f"<title>T</title>{MENU}<main><h1>Fees</h1>{AROUND}{table}<p>Fees are due at once.</p></main>{FOOT}"
    )
    alone, fetched = read(table), read(page, main_text=True)
    assert f"\n\n{alone.text}\n\nFees are due" in fetched.text
    assert [(table.header, table.title) for table in fetched.tables] == [
        (table.header, table.title) for table in alone.tables
    ]
    assert "\u2060" not in fetched.text
    assert "Shop for everything" not in fetched.text


def test_a_page_that_holds_the_mark_of_a_table_reads_it_once() -> None:
    table = "<table><tr><td>Boat<td>Fee<tr><td>Dinghy<td>5</table>"
    copies = "<table><tr><td>\u2060T0\u2060Other<td>x<tr><td>y<td>z</table>" * 3
    text = read(f"<h1>Fees</h1>{AROUND}{table}{copies}{AROUND}", main_text=True).text
    assert text.count("Dinghy") == 1


def test_tables_stay_if_the_whole_page_is_read_instead() -> None:
    table = "<table><tr><td>Boat<td>Fee<tr><td rowspan=2>Dinghy<td>5<tr><td>6</table>"
    page = (
        f"<div role=heading>Where do I pay?</div>{AROUND}{table}<section hidden><h2>{'x' * 20}</h2></section>"
    )
    text = read(page, main_text=True).text
    assert "Boat | Fee\nDinghy | 5\nDinghy | 6" in text
    assert "\u2060" not in text
