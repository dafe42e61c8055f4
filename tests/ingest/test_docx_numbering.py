"""Numbers of headings and lists in Word documents, as Word shows them."""

import pytest

from llmstack_api.ingest.reading.dispatch import find_reader
from llmstack_api.ingest.reading.source import Source
from tests.ingest.making import W, docx, instance, level, lists, numbered, paragraph, related_parts

LEGAL = level(0, "%1.") + level(1, "%1.%2") + level(2, "%1.%2.%3")


def read(body: str, numbering: str, styles: str = "") -> list[str]:
    parts = {
        "word/_rels/document.xml.rels": related_parts(numbering="numbering.xml", styles="styles.xml"),
        "word/numbering.xml": numbering,
        "word/styles.xml": f'<w:styles xmlns:w="{W}">{styles}</w:styles>',
    }
    text = find_reader(Source(docx(body, **parts), "a.docx"))().text
    return [line for line in text.split("\n") if line]


def style(name: str, properties: str, *, based_on: str = "", title: str = "", kind: str = "paragraph") -> str:
    base = f'<w:basedOn w:val="{based_on}"/>' if based_on else ""
    return (
        f'<w:style w:type="{kind}" w:styleId="{name}"><w:name w:val="{title or name}"/>{base}'
        f"<w:pPr>{properties}</w:pPr></w:style>"
    )


def in_list(number: int, depth: int | None = None) -> str:
    place = "" if depth is None else f'<w:ilvl w:val="{depth}"/>'
    return f'<w:numPr>{place}<w:numId w:val="{number}"/></w:numPr>'


def styled(name: str, text: str, properties: str = "") -> str:
    return f'<w:p><w:pPr><w:pStyle w:val="{name}"/>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>'


def test_levels_count_and_begin_again_below_a_higher_one() -> None:
    items = ((0, "a"), (1, "b"), (1, "c"), (2, "d"), (0, "e"), (1, "f"))
    assert read(numbered(*items), lists(LEGAL)) == [
        "1. a",
        "  1.1 b",
        "  1.2 c",
        "    1.2.1 d",
        "2. e",
        "  2.1 f",
    ]


def test_a_level_below_one_that_has_not_begun_takes_its_start() -> None:
    definition = level(0, "%1.", start=4) + level(1, "%1.%2")
    assert read(numbered((1, "a"), (1, "b"), (0, "c")), lists(definition)) == ["  4.1 a", "  4.2 b", "5. c"]


def test_numbers_are_written_in_the_format_of_their_level() -> None:
    written = {
        "decimal": "27",
        "decimalZero": "27",
        "lowerLetter": "aa",
        "upperLetter": "AA",
        "lowerRoman": "xxvii",
        "upperRoman": "XXVII",
        "ordinal": "27th",
        "cardinalText": "Twenty-seven",
        "ordinalText": "Twenty-seventh",
        "hex": "1B",
        "chicago": "‡‡‡‡‡‡‡",
        "numberInDash": "- 27 -",
        "decimalEnclosedParen": "(27)",
        "chineseCounting": "二十七",
        "ideographDigital": "二七",
        "ganada": "파",
        "russianLower": "э",
        "a format of the future": "27",
    }
    for name, shown in written.items():
        assert read(numbered((0, "x")), lists(level(0, "%1", name, 27))) == [f"{shown} x"], name


@pytest.mark.parametrize(
    ("numerals", "number", "shown"),
    [
        ("decimalZero", 7, "07"),
        ("lowerLetter", 26, "z"),
        ("lowerLetter", 28, "bb"),
        ("lowerLetter", 781, "a"),
        ("lowerRoman", 3999, "mmmcmxcix"),
        ("upperRoman", 4000, "MMMM"),
        ("upperRoman", 2_000_000_000, "2000000000"),
        ("ordinal", 111, "111th"),
        ("ordinal", 122, "122nd"),
        ("ordinalText", 40, "Fortieth"),
        ("ordinalText", 12, "Twelfth"),
        ("cardinalText", 120_305, "One hundred twenty thousand three hundred five"),
        ("decimalEnclosedCircle", 20, "⑳"),
        ("decimalEnclosedCircle", 51, "51"),
        ("japaneseCounting", 10, "十"),
        ("chineseCounting", 110, "一百一十"),
        ("ideographTraditional", 3, "丙"),
        ("aiueo", 47, "ア"),
        ("japaneseCounting", 110, "百十"),
        ("chineseCounting", 10_012, "一万十二"),
    ],
)
def test_numerals_at_their_edges(numerals: str, number: int, shown: str) -> None:
    assert read(numbered((0, "x")), lists(level(0, "%1", numerals, number))) == [f"{shown} x"]


def test_a_custom_format_says_how_many_digits_there_are() -> None:
    numerals = (
        '</w:lvl><w:lvl w:ilvl="0"><w:start w:val="7"/><w:numFmt w:val="custom" w:format="001, 002, ..."/>'
    )
    definition = f'{numerals.removeprefix("</w:lvl>")}<w:lvlText w:val="%1"/></w:lvl>'
    assert read(numbered((0, "x")), lists(definition)) == ["007 x"]


def test_text_around_the_number_is_kept_and_nothing_may_stand_between() -> None:
    definition = level(0, "第%1章", "chineseCounting", 3, more='<w:suff w:val="nothing"/>')
    assert read(numbered((0, "总则")), lists(definition)) == ["第三章总则"]
    assert read(numbered((0, "Scope")), lists(level(0, "Article %1:", "upperRoman"))) == ["Article I: Scope"]


def test_a_legal_level_writes_all_its_numbers_in_digits() -> None:
    definition = level(0, "Article %1", "upperRoman") + level(1, "%1.%2", "upperLetter", more="<w:isLgl/>")
    assert read(numbered((0, "a"), (0, "b"), (1, "c")), lists(definition)) == [
        "Article I a",
        "Article II b",
        "  2.1 c",
    ]


def test_a_level_begins_again_only_below_what_it_names() -> None:
    never = level(0, "%1.") + level(1, "(%2)", more='<w:lvlRestart w:val="0"/>')
    assert read(numbered((0, "a"), (1, "b"), (0, "c"), (1, "d")), lists(never))[-1] == "  (2) d"
    first = level(0, "%1.") + level(1, "%1.%2") + level(2, "%3)", more='<w:lvlRestart w:val="1"/>')
    items = ((0, "a"), (1, "b"), (2, "c"), (1, "d"), (2, "e"), (0, "f"), (2, "g"))
    assert [line.strip() for line in read(numbered(*items), lists(first))] == [
        "1. a", "1.1 b", "1) c", "1.2 d", "2) e", "2. f", "1) g",
    ]  # fmt: skip


def test_lists_of_one_definition_go_on_counting_unless_they_start_anew() -> None:
    body = numbered((0, "a"), (0, "b")) + numbered((0, "c"), (0, "d"), number=2) + numbered((0, "e"))
    shared = instance(1, 1) + instance(2, 1)
    assert read(body, lists(LEGAL, instances=shared)) == ["1. a", "2. b", "3. c", "4. d", "5. e"]
    start = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/></w:lvlOverride>'
    anew = instance(1, 1) + instance(2, 1, start)
    assert read(body, lists(LEGAL, instances=anew)) == ["1. a", "2. b", "7. c", "8. d", "9. e"]


def test_an_instance_may_have_a_level_of_its_own() -> None:
    own = f'<w:lvlOverride w:ilvl="0">{level(0, "(%1)", "lowerLetter")}</w:lvlOverride>'
    body = numbered((0, "a")) + numbered((0, "b"), number=2)
    assert read(body, lists(LEGAL, instances=instance(1, 1) + instance(2, 1, own))) == ["1. a", "(b) b"]


def test_two_definitions_count_for_themselves() -> None:
    body = numbered((0, "a")) + numbered((0, "b"), number=2) + numbered((0, "c"))
    assert read(body, lists(LEGAL, LEGAL)) == ["1. a", "1. b", "2. c"]


def test_headings_take_their_numbers_from_their_styles() -> None:
    definition = level(0, "%1", more='<w:pStyle w:val="H1"/>') + level(
        1, "%1.%2", more='<w:pStyle w:val="H2"/>'
    )
    styles = (
        style("H1", in_list(1), title="heading 1")
        + style("H2", in_list(1), title="heading 2")
        + style("Mine", "", based_on="H2")
        + style("Bare", in_list(0), based_on="H1")
    )
    body = styled("H1", "Fees") + styled("H2", "When due") + styled("Mine", "Late") + styled("Bare", "Annex")
    body += styled("H1", "Plain", in_list(0)) + styled("H1", "End")
    assert read(body, lists(definition), styles) == [
        "# 1 Fees",
        "## 1.1 When due",
        "## 1.2 Late",
        "# Annex",
        "# Plain",
        "# 2 End",
    ]


def test_a_style_may_name_its_level_itself() -> None:
    styles = style("A", in_list(1, 1)) + style("B", "", based_on="A")
    assert read(numbered((0, "a")) + styled("A", "b") + styled("B", "c"), lists(LEGAL), styles) == [
        "1. a",
        "  1.1 b",
        "  1.2 c",
    ]


def test_a_list_may_name_the_style_that_defines_it() -> None:
    linked = '<w:numStyleLink w:val="Legal"/>'
    numbering = lists(LEGAL, linked)
    assert read(
        numbered((0, "a"), (1, "b"), number=2), numbering, style("Legal", in_list(1), kind="numbering")
    ) == [
        "1. a",
        "  1.1 b",
    ]


def test_styles_and_lists_that_name_each_other_end() -> None:
    styles = (
        style("A", "", based_on="B") + style("B", "", based_on="A") + style("L", in_list(1), kind="numbering")
    )
    numbering = lists('<w:numStyleLink w:val="L"/>')
    assert read(styled("A", "a") + numbered((0, "b")), numbering, styles) == ["a", "b"]


def test_deleted_paragraphs_do_not_count_and_empty_ones_do() -> None:
    gone = '<w:rPr><w:del w:id="1" w:author="x"/></w:rPr>'
    deleted = (
        f"<w:p><w:pPr>{in_list(1, 0)}{gone}</w:pPr><w:del><w:r><w:delText>x</w:delText></w:r></w:del></w:p>"
    )
    assert read(numbered((0, "a")) + deleted + numbered((0, "b")), lists(LEGAL)) == ["1. a", "2. b"]
    assert read(numbered((0, "a"), (0, ""), (0, "b")), lists(LEGAL)) == ["1. a", "3. b"]


def test_a_paragraph_of_a_list_that_is_not_there_has_no_number() -> None:
    assert read(numbered((0, "a"), number=9) + numbered((7, "b")), lists(LEGAL)) == ["a", "b"]


def test_bullets_are_dashes_and_headings_have_none() -> None:
    bullets = level(0, "\u2022", "bullet") + level(1, "o", "bullet")
    body = numbered((0, "a"), (1, "b")) + styled("H1", "Title", in_list(1, 0))
    assert read(body, lists(bullets), style("H1", "", title="heading 1")) == ["- a", "  - b", "# Title"]


def test_a_bullet_lets_the_levels_below_it_begin_again() -> None:
    mixed = level(0, "\u2022", "bullet") + level(1, "%2.")
    assert read(numbered((0, "a"), (1, "b"), (1, "c"), (0, "d"), (1, "e")), lists(mixed)) == [
        "- a", "  1. b", "  2. c", "- d", "  1. e",
    ]  # fmt: skip


def test_cells_and_boxes_are_counted_where_they_stand() -> None:
    number = numbered((0, ""))
    rows = (f"<w:tr><w:tc>{number}</w:tc><w:tc>{paragraph(text)}</w:tc></w:tr>" for text in ("Bolt", "Nut"))
    table = f"<w:tbl>{''.join(rows)}</w:tbl>"
    assert read(numbered((0, "a")) + table + numbered((0, "b")), lists(LEGAL)) == [
        "1. a",
        "2. | Bolt",
        "3. | Nut",
        "4. b",
    ]


def test_levels_and_starts_out_of_range_do_no_harm() -> None:
    definition = level(0, "%1.", start=-3) + level(1, "%9%2" * 500, start=10**12)
    assert read(numbered((0, "a"), (4_000, "b")), lists(definition)) == ["-3. a", "b"]
    assert len(read(numbered((1, "a")), lists(definition))[0]) < 1_000
