"""What stands on slides beside their text."""

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
