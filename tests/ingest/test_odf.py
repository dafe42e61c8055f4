"""Numbers, links, charts and pictures of OpenDocument texts and slides."""

import pytest

from llmstack_api.ingest.reading.dispatch import find_reader
from llmstack_api.ingest.reading.source import Source
from tests.ingest.making import odf

SVG = "urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0"


def level(number: int, numerals: str = "1", *, before: str = "", after: str = ".", more: str = "") -> str:
    return (
        f'<text:list-level-style-number text:level="{number}" style:num-format="{numerals}"'
        f' style:num-prefix="{before}" style:num-suffix="{after}" {more}/>'
    )


def list_style(name: str, *levels: str) -> str:
    return f'<text:list-style style:name="{name}">{"".join(levels)}</text:list-style>'


STYLES = (
    list_style("L1", level(1), level(2, "a", after=")"), level(3, more='text:display-levels="3"'))
    + list_style("L2", level(1, "I", before="(", after=")"), level(2, "i", before="(", after=")"))
    + '<style:style style:name="Mine" style:family="paragraph" style:list-style-name="L2"/>'
    + '<style:style style:name="Child" style:family="paragraph" style:parent-style-name="Mine"/>'
)
OUTLINE = (
    '<text:outline-style style:name="Outline">'
    + "".join(
        f'<text:outline-level-style text:level="{n}" style:num-format="1" text:display-levels="{n}"/>'
        for n in (1, 2, 3)
    )
    + "</text:outline-style>"
    + '<style:style style:name="Bare" style:family="paragraph" style:list-style-name=""/>'
)


def p(text: str, name: str = "") -> str:
    return f'<text:p text:style-name="{name}">{text}</text:p>'


def item(*inner: str, more: str = "") -> str:
    return f"<text:list-item {more}>{''.join(inner)}</text:list-item>"


def inner(*items: str, more: str = "") -> str:
    return f"<text:list {more}>{''.join(items)}</text:list>"


def numbered(*items: str, style: str = "L1", more: str = "") -> str:
    return inner(*items, more=f'text:style-name="{style}" {more}')


def heading(depth: int, text: str, more: str = "") -> str:
    return f'<text:h text:outline-level="{depth}" {more}>{text}</text:h>'


def read(body: str, styles: str = STYLES, common: str = OUTLINE, **parts: str) -> list[str]:
    text = find_reader(Source(odf(body, styles=styles, common=common, **parts), "a.odt"))().text
    return [line for line in text.split("\n") if line]


def test_levels_count_in_the_formats_of_their_style() -> None:
    body = numbered(item(p("a"), inner(item(p("b")), item(p("c"), inner(item(p("d")))))), item(p("e")))
    assert read(body) == ["1. a", "  a) b", "  b) c", "    1.b.1. d", "2. e"]


@pytest.mark.parametrize(
    ("numerals", "more", "shown"),
    [
        ("1", "", "28."),
        ("a", "", "ab."),
        ("a", 'style:num-letter-sync="true"', "bb."),
        ("A", "", "AB."),
        ("i", "", "xxviii."),
        ("I", "", "XXVIII."),
        ("1st, 2nd, 3rd, ...", "", "28th."),
        ("一, 二, 三, ...", "", "二十八."),
        ("a format of the future", "", "28."),
    ],
)
def test_numbers_are_written_in_their_format(numerals: str, more: str, shown: str) -> None:
    styles = list_style("L", level(1, numerals, more=f'text:start-value="28" {more}'))
    assert read(numbered(item(p("x")), style="L"), styles) == [f"{shown} x"]


def test_the_pattern_of_a_level_goes_before_its_parts() -> None:
    pattern = 'text:display-levels="2" loext:num-list-format="§ %1%-%2%:"'
    styles = list_style("L", level(1), level(2, more=pattern))
    assert read(numbered(item(p("a"), inner(item(p("b")))), style="L"), styles) == ["1. a", "  § 1-1: b"]
    unnumbered = list_style("L", level(1, ""), level(2, more=pattern))
    assert read(numbered(item(p("a"), inner(item(p("b")))), style="L"), unnumbered)[-1] == "  § 1: b"


def test_a_list_begins_again_unless_it_says_that_it_goes_on() -> None:
    one = numbered(item(p("a")), item(p("b")))
    assert read(one + numbered(item(p("c")))) == ["1. a", "2. b", "1. c"]
    going_on = numbered(item(p("c")), more='text:continue-numbering="true"')
    assert read(one + p("between") + going_on)[-1] == "3. c"
    other = numbered(item(p("x")), style="L2")
    assert read(one + other + going_on) == ["1. a", "2. b", "(I) x", "3. c"]


def test_a_list_goes_on_from_the_one_that_it_names() -> None:
    one = numbered(item(p("a"), inner(item(p("b")))), more='xml:id="one"')
    other = numbered(item(p("x")), more='xml:id="two"')
    named = numbered(item(inner(item(p("c")))), item(p("d")), more='text:continue-list="one"')
    assert read(one + other + named) == ["1. a", "  a) b", "1. x", "  b) c", "2. d"]


def test_a_second_list_within_an_item_begins_again() -> None:
    two = item(p("a"), inner(item(p("b")), item(p("c"))), p("between"), inner(item(p("d"))))
    assert read(numbered(two)) == ["1. a", "  a) b", "  b) c", "between", "  a) d"]


def test_an_item_may_have_a_number_or_a_style_of_its_own() -> None:
    items = (
        item(p("a")),
        item(p("b"), more='text:start-value="7"'),
        item(p("c"), more='text:style-override="L2"'),
    )
    assert read(numbered(*items)) == ["1. a", "7. b", "(VIII) c"]


def test_only_the_first_paragraph_of_an_item_has_a_number() -> None:
    header = f"<text:list-header>{p('h')}</text:list-header>"
    assert read(numbered(header, item(p("a"), p("more")), item(p("b")))) == ["h", "1. a", "more", "2. b"]


def test_a_level_below_one_that_has_not_begun_takes_its_start() -> None:
    assert read(numbered(item(inner(item(inner(item(p("a")))))), item(p("b")))) == ["    1.a.1. a", "2. b"]


def test_a_paragraph_style_may_number_the_lists_that_name_no_style() -> None:
    assert read(inner(item(p("a", "Mine")), item(p("b", "Child")))) == ["(I) a", "(II) b"]
    assert read(p("a", "Mine")) == ["a"]


def test_bullets_and_unknown_styles_are_dashes_and_a_bullet_begins_a_new_level_below() -> None:
    bullet = '<text:list-level-style-bullet text:level="1" text:bullet-char="•"/>'
    styles = list_style("L", bullet, level(2))
    below = inner(item(p("b")), item(p("c")))
    assert read(numbered(item(p("a"), below), item(p("d"), below), style="L"), styles) == [
        "- a", "  1. b", "  2. c", "- d", "  1. b", "  2. c",
    ]  # fmt: skip
    assert read(numbered(item(p("a")), style="nowhere")) == ["- a"]


def test_headings_have_the_numbers_of_the_outline() -> None:
    body = heading(1, "A") + heading(2, "B") + p("x") + heading(2, "C") + heading(1, "D") + heading(2, "E")
    body += heading(1, "Annex", 'text:style-name="Bare"') + heading(1, "Head", 'text:is-list-header="true"')
    body += heading(1, "F", 'text:restart-numbering="true" text:start-value="9"') + heading(3, "G")
    assert read(body) == [
        "# 1 A", "## 1.1 B", "x", "## 1.2 C", "# 2 D", "## 2.1 E", "# Annex", "# Head", "# 9 F", "### 9.1.1 G",
    ]  # fmt: skip
    assert read(heading(1, "A"), common="") == ["# A"]


def test_headings_in_lists_have_the_numbers_of_those() -> None:
    assert read(numbered(item(heading(1, "A")), item(heading(1, "B")), style="L2")) == ["# (I) A", "# (II) B"]
    outline = numbered(item(heading(1, "A"), inner(item(heading(2, "B")))), style="Outline")
    assert read(outline + heading(2, "C")) == ["# 1 A", "## 1.1 B", "## 1.2 C"]


def test_numbers_that_were_written_out_are_not_read_twice() -> None:
    body = heading(1, "<text:number>1</text:number>A")
    assert read(body + numbered(item("<text:number>1.</text:number>", p("a")))) == ["# 1 A", "1. a"]


def test_paragraphs_that_name_their_list_are_counted() -> None:
    one = '<text:numbered-paragraph text:list-id="q" text:style-name="L1" text:level="{}">{}</text:numbered-paragraph>'
    body = one.format(1, p("a")) + one.format(2, p("b")) + p("x") + one.format(1, p("c"))
    assert read(body) == ["1. a", "  a) b", "x", "2. c"]


def test_cells_have_their_numbers() -> None:
    going_on = numbered(item(p("b")), more='text:continue-numbering="true"')
    rows = [(numbered(item(p("a"))), p("x")), (going_on, p("y"))]
    cells = ["".join(f"<table:table-cell>{cell}</table:table-cell>" for cell in row) for row in rows]
    table = "".join(f"<table:table-row>{row}</table:table-row>" for row in cells)
    assert read(f"<table:table>{table}</table:table>") == ["1. a | x", "2. b | y"]


def test_levels_and_starts_out_of_range_do_no_harm() -> None:
    styles = list_style("L", level(99, more='text:start-value="999999999999"'))
    assert read(numbered(item(p("a")), style="L"), styles) == ["- a"]
    start = item(p("a"), more='text:start-value="-3"')
    assert read(numbered(start)) == ["-3. a"]
    loop = '<style:style style:name="A" style:family="paragraph" style:parent-style-name="A"/>'
    assert read(inner(item(p("a", "A"))), loop) == ["- a"]


# --- what is not in the text -------------------------------------------------------------------------------


def link(target: str, text: str) -> str:
    return f'<text:a xlink:href="{target}">{text}</text:a>'


def test_the_target_of_a_link_stands_in_brackets_after_it() -> None:
    assert read(p(f"The form is {link('https://example.org/a', 'here')}.")) == [
        "The form is here (https://example.org/a)."
    ]
    assert read(p(link("#top", "up") + link("https://example.org/", " example.org"))) == ["up example.org"]
    pieces = link("https://example.org/a", "he") + link("https://example.org/a", "re")
    assert read(p(pieces)) == ["here (https://example.org/a)"]


def frame(content: str) -> str:
    return f"<draw:frame>{content}</draw:frame>"


CHART = """<office:body><office:chart><chart:chart><chart:title><text:p>Harbour</text:p></chart:title><chart:plot-area>
<chart:axis><chart:title><text:p>Month</text:p></chart:title></chart:axis></chart:plot-area><table:table><table:table-rows>
<table:table-row><table:table-cell/><table:table-cell><text:p>Boats</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell><text:p>May</text:p></table:table-cell><table:table-cell><text:p>12</text:p>
</table:table-cell></table:table-row></table:table-rows></table:table></chart:chart></office:chart></office:body>"""


def test_a_chart_is_its_titles_and_its_table() -> None:
    body = p("Before" + frame('<draw:object xlink:href="./Object 1"/>'))
    parts = {"Object 1/content.xml": CHART}
    assert read(body, **parts) == ["Before", "Harbour", "Axes: Month", "| Boats", "May | 12"]
    assert read(p("x" + frame('<draw:object xlink:href="./nowhere"/>'))) == ["x"]


def test_what_the_author_says_of_a_picture_is_kept() -> None:
    described = frame("<svg:desc>A pump with two valves</svg:desc>")
    assert read(p("x" + described)) == ["x", "[Picture: A pump with two valves]"]
    assert read(p("x" + frame("<svg:desc>scan 01.PNG</svg:desc>"))) == ["x"]


def test_slides_have_numbers_links_and_charts_too() -> None:
    items = numbered(item(p("a")), item(p(link("https://example.org/a", "b"))))
    slide = frame(f"<draw:text-box>{items}</draw:text-box>") + frame(
        '<draw:object xlink:href="./Object 1"/><svg:desc>Boats by month</svg:desc>'
    )
    data = odf(
        f"<draw:page>{slide}</draw:page>",
        styles=STYLES,
        kind="presentation",
        **{"Object 1/content.xml": CHART},
    )
    document = find_reader(Source(data, "a.odp"))()
    assert document.text == (
        "1. a\n2. b (https://example.org/a)\n\nHarbour\nAxes: Month\n| Boats\nMay | 12\n\n[Picture: Boats by month]"
    )
    assert [page.number for page in document.pages] == [1]
