"""What stands on slides beside their text."""

import pytest

from llmstack_api.ingest.reading.dispatch import find_reader
from llmstack_api.ingest.reading.source import Source
from tests.ingest.making import RELATIONSHIPS, related_parts, zipped

P = "http://schemas.openxmlformats.org/presentationml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
C = "http://schemas.openxmlformats.org/drawingml/2006/chart"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
DGM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"


def test_charts_are_tables_and_diagrams_are_lists() -> None:
    cells = '<c:pt idx="0"><c:v>{}</c:v></c:pt><c:pt idx="1"><c:v>{}</c:v></c:pt>'
    labels, values = cells.format("May", "June"), cells.format("12", "15")
    chart = f'<c:chart xmlns:c="{C}"><c:ser><c:cat>{labels}</c:cat><c:val>{values}</c:val></c:ser></c:chart>'
    points = "".join(
        f'<dgm:pt modelId="{number}"><dgm:t><a:p><a:r><a:t>{text}</a:t></a:r></a:p></dgm:t></dgm:pt>'
        for number, text in enumerate(("Weigh", "Store"))
    )
    slide = '<p:sldIdLst><p:sldId r:id="r1"/></p:sldIdLst>'
    slides = f'<p:presentation xmlns:p="{P}" xmlns:r="{R}">{slide}</p:presentation>'
    data = zipped(
        {
            "_rels/.rels": RELATIONSHIPS.format(target="ppt/presentation.xml"),
            "ppt/presentation.xml": slides,
            "ppt/_rels/presentation.xml.rels": related_parts(slide="slides/s.xml"),
            "ppt/slides/s.xml": f'<p:sld xmlns:p="{P}"/>',
            "ppt/slides/_rels/s.xml.rels": related_parts(chart="c.xml", diagramData="d.xml"),
            "ppt/slides/c.xml": chart,
            "ppt/slides/d.xml": f'<dgm:dataModel xmlns:dgm="{DGM}" xmlns:a="{A}">{points}</dgm:dataModel>',
        }
    )
    assert find_reader(Source(data, "a.pptx"))().text == "May | 12\nJune | 15\n\n- Weigh\n- Store"


def test_marks_of_lists_in_rtf_are_kept_as_they_are_shown() -> None:
    for mark in ("4.", "(a)", "ii)", "1.2.3", "IV.", "B)"):
        data = f"{{\\rtf1 {{\\listtext {mark}\\tab }}to pay the rent\\par}}".encode()
        assert find_reader(Source(data, "a.rtf"))().text == f"{mark} to pay the rent", mark


def deck(shapes: str, **related: str) -> str:
    """Text of a presentation of one slide with these shapes."""
    slide = '<p:sldIdLst><p:sldId r:id="r1"/></p:sldIdLst>'
    tree = f"<p:cSld><p:spTree>{shapes}</p:spTree></p:cSld>"
    data = zipped(
        {
            "_rels/.rels": RELATIONSHIPS.format(target="ppt/presentation.xml"),
            "ppt/presentation.xml": f'<p:presentation xmlns:p="{P}" xmlns:r="{R}">{slide}</p:presentation>',
            "ppt/_rels/presentation.xml.rels": related_parts(slide="slides/s.xml"),
            "ppt/slides/s.xml": f'<p:sld xmlns:p="{P}" xmlns:a="{A}" xmlns:r="{R}">{tree}</p:sld>',
            "ppt/slides/_rels/s.xml.rels": related_parts(**related),
        }
    )
    return find_reader(Source(data, "a.pptx"))().text


def shape(*paragraphs: str, styles: str = "", properties: str = "") -> str:
    body = f"<p:txBody><a:lstStyle>{styles}</a:lstStyle>{''.join(paragraphs)}</p:txBody>"
    return f"<p:sp><p:nvSpPr>{properties}</p:nvSpPr>{body}</p:sp>"


def line(text: str, bullet: str = "", level: int = 0) -> str:
    return f'<a:p><a:pPr lvl="{level}">{bullet}</a:pPr><a:r><a:t>{text}</a:t></a:r></a:p>'


def auto(kind: str, start: int | None = None) -> str:
    return f'<a:buAutoNum type="{kind}"' + (f' startAt="{start}"/>' if start is not None else "/>")


@pytest.mark.parametrize(
    ("kind", "mark"),
    [
        ("arabicPlain", "28"),
        ("arabicPeriod", "28."),
        ("arabicParenR", "28)"),
        ("arabicParenBoth", "(28)"),
        ("alphaLcPeriod", "ab."),
        ("alphaLcParenR", "ab)"),
        ("alphaUcParenBoth", "(AB)"),
        ("romanLcParenR", "xxviii)"),
        ("romanUcPeriod", "XXVIII."),
        ("circleNumDbPlain", "㉘"),
        ("ea1ChsPeriod", "二十八."),
        ("of the future", "28."),
    ],
)
def test_numbers_of_slides_are_written_in_their_format(kind: str, mark: str) -> None:
    assert deck(shape(line("x", auto(kind, 28)))) == f"{mark} x"


def test_numbers_of_slides_count_by_level_until_a_paragraph_without_one() -> None:
    one, inner = auto("arabicPeriod"), auto("alphaLcParenR")
    text = deck(
        shape(
            line("a", one),
            line("b", inner, 1),
            line("c", inner, 1),
            "<a:p/>",
            line("d", one),
            line("e", inner, 1),
            line("plain", "<a:buNone/>"),
            line("f", one),
            line("g", auto("romanUcPeriod")),
            line("point", '<a:buChar char="x"/>'),
        )
    )
    assert text.split("\n") == [
        "1. a", "  a) b", "  b) c", "2. d", "  a) e", "plain", "1. f", "I. g", "- point",
    ]  # fmt: skip


def test_the_list_style_of_a_shape_numbers_its_paragraphs() -> None:
    styles = f"<a:lvl1pPr>{auto('arabicPeriod', 4)}</a:lvl1pPr>"
    assert deck(shape(line("a"), line("b"), line("c", "<a:buNone/>"), styles=styles)) == "4. a\n5. b\nc"


def test_cells_of_slides_have_their_numbers_and_targets() -> None:
    link = '<a:r><a:rPr><a:hlinkClick r:id="r1"/></a:rPr><a:t>here</a:t></a:r>'
    cells = line("Pay", auto("arabicParenR", 2)), f"<a:p>{link}</a:p>"
    row = "".join(f"<a:tc><a:txBody>{cell}</a:txBody></a:tc>" for cell in cells)
    frame = f"<p:graphicFrame><a:tbl><a:tr>{row}</a:tr></a:tbl></p:graphicFrame>"
    assert deck(frame, hyperlink="https://example.org/a") == "2) Pay | here (https://example.org/a)"


def test_targets_of_slides_stand_in_brackets_once_a_link() -> None:
    run = '<a:r><a:rPr><a:hlinkClick r:id="r{}"/></a:rPr><a:t>{}</a:t></a:r>'
    plain = "<a:r><a:t>{}</a:t></a:r>"
    text = plain.format("The form is ") + run.format(1, "he") + run.format(1, "re") + plain.format(".")
    assert deck(shape(f"<a:p>{text}</a:p>"), hyperlink="https://example.org/a") == (
        "The form is here (https://example.org/a)."
    )
    inner = shape(f"<a:p>{run.format(1, 'next')}</a:p>")
    assert deck(inner, slide="s2.xml") == "next"
    clicked = shape(line("Open"), properties='<p:cNvPr id="1"><a:hlinkClick r:id="r1"/></p:cNvPr>')
    assert deck(clicked, hyperlink="https://example.org/a") == "Open (https://example.org/a)"


def test_what_the_author_says_of_a_picture_on_a_slide_is_kept() -> None:
    picture = '<p:pic><p:nvPicPr><p:cNvPr id="1" descr="{}"/></p:nvPicPr></p:pic>'
    grouped = f"<p:grpSp>{picture.format('A pump with two valves')}</p:grpSp>"
    assert deck(shape(line("x")) + grouped + picture.format("scan.png")) == (
        "x\n\n[Picture: A pump with two valves]"
    )
