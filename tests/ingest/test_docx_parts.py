"""Links, charts, diagrams and pictures of Word documents."""

from llmstack_api.ingest.reading.dispatch import find_reader
from llmstack_api.ingest.reading.source import Source
from tests.ingest.making import W, docx, related_parts

R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
C = "http://schemas.openxmlformats.org/drawingml/2006/chart"
CX = "http://schemas.microsoft.com/office/drawing/2014/chartex"
DGM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"


def read(body: str, relationships: str = "", **parts: str) -> str:
    named = {"word/_rels/document.xml.rels": relationships} if relationships else {}
    return find_reader(Source(docx(body, **named, **parts), "a.docx"))().text


def run(text: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


def link(text: str, number: int = 1, *, more: str = "") -> str:
    return f'<w:hyperlink xmlns:r="{R}" r:id="r{number}" {more}>{run(text)}</w:hyperlink>'


def field(code: str, result: str) -> str:
    kinds = (f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>' for kind in ("begin", "separate", "end"))
    begin, separate, end = kinds
    return f"{begin}<w:r><w:instrText>{code}</w:instrText></w:r>{separate}{run(result)}{end}"


def linked(target: str, text: str, more: str = "") -> str:
    return read(
        f"<w:p>{run('The form is ')}{link(text, more=more)}{run('.')}</w:p>", related_parts(hyperlink=target)
    )


def test_the_target_of_a_link_stands_in_brackets_after_it() -> None:
    assert linked("https://example.org/a", "here") == "The form is here (https://example.org/a)."
    assert linked("https://example.org/a", "here ") == "The form is here (https://example.org/a) ."
    assert linked("mailto:a@example.org?subject=x", "us") == "The form is us (a@example.org)."
    assert linked("https://example.org/a", "here", 'w:anchor="p2"').endswith(
        "here (https://example.org/a#p2)."
    )


def test_a_target_that_says_nothing_new_is_left_out() -> None:
    for target, text in (
        ("https://www.example.org/", "example.org"),
        ("http://example.org/a", "see https://example.org/a"),
        ("mailto:a@example.org", "a@example.org"),
        ("javascript:alert(1)", "here"),
        ("file:///etc/passwd", "here"),
        ("https://example.org/" + "x" * 600, "here"),
    ):
        assert linked(target, text) == f"The form is {text}.", target
    assert read(f'<w:p><w:hyperlink w:anchor="top">{run("up")}</w:hyperlink></w:p>') == "up"


def test_one_link_in_two_pieces_has_one_target() -> None:
    body = f"<w:p>{link('he')}{link('re')}</w:p>"
    assert read(body, related_parts(hyperlink="https://example.org/a")) == "here (https://example.org/a)"


def test_links_that_are_fields_have_their_target_too() -> None:
    code = ' HYPERLINK "https://example.org/a" \\o "Tip" '
    assert read(f"<w:p>{field(code, 'here')}</w:p>") == "here (https://example.org/a)"
    simple = f'<w:fldSimple w:instr=" HYPERLINK https://example.org/b ">{run("there")}</w:fldSimple>'
    assert read(f"<w:p>{simple}</w:p>") == "there (https://example.org/b)"
    within = field(' HYPERLINK \\l "_Toc1" ', "Intro")
    assert read(f"<w:p>{within}</w:p>") == "Intro"
    assert read(f"<w:p>{field(' PAGE ', '7')}</w:p>") == "7"
    inner = field(" REF x ", "in")
    assert read(
        f"<w:p>{field(code, 'out').replace('out</w:t></w:r>', 'out </w:t></w:r>' + inner)}</w:p>"
    ).endswith("out in (https://example.org/a)")


def test_links_in_cells_and_notes_have_their_targets() -> None:
    body = f"<w:tbl><w:tr><w:tc><w:p>{link('here')}</w:p></w:tc></w:tr></w:tbl>"
    body += '<w:p><w:r><w:t>Text</w:t><w:footnoteReference w:id="3"/></w:r></w:p>'
    notes = f'<w:footnotes xmlns:w="{W}"><w:footnote w:id="3"><w:p>{link("note")}</w:p></w:footnote></w:footnotes>'
    parts = {
        "word/footnotes.xml": notes,
        "word/_rels/footnotes.xml.rels": related_parts(hyperlink="https://example.org/n"),
    }
    text = read(body, related_parts(hyperlink="https://example.org/a", footnotes="footnotes.xml"), **parts)
    assert text == "here (https://example.org/a)\n\nText\n\n[Footnote: note (https://example.org/n)]"


# --- graphics --------------------------------------------------------------------------------------------


def graphic(inner: str, properties: str = "") -> str:
    return (
        f'<w:p><w:r><w:drawing><wp:inline xmlns:wp="urn:wp">{properties}<a:graphic xmlns:a="{A}"><a:graphicData>'
        f"{inner}</a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>"
    )


def chart_of(inner: str) -> str:
    part = f'<c:chartSpace xmlns:c="{C}" xmlns:a="{A}">{inner}</c:chartSpace>'
    body = graphic(f'<c:chart xmlns:c="{C}" xmlns:r="{R}" r:id="r1"/>')
    return read(body, related_parts(chart="charts/c.xml"), **{"word/charts/c.xml": part})


def cached(name: str, *values: str, code: str = "") -> str:
    points = "".join(f'<c:pt idx="{place}"><c:v>{value}</c:v></c:pt>' for place, value in enumerate(values))
    cache = f"<c:numCache><c:formatCode>{code}</c:formatCode>{points}</c:numCache>"
    return f"<c:{name}><c:numRef>{cache}</c:numRef></c:{name}>"


def titled(text: str) -> str:
    return f"<c:title><c:tx><c:rich><a:p><a:r><a:t>{text}</a:t></a:r></a:p></c:rich></c:tx></c:title>"


def series(name: str, inner: str) -> str:
    cache = f"<c:strCache><c:pt idx='0'><c:v>{name}</c:v></c:pt></c:strCache>"
    return f"<c:ser><c:tx><c:strRef>{cache}</c:strRef></c:tx>{inner}</c:ser>"


def test_a_chart_is_its_titles_and_a_table_of_its_series() -> None:
    months = cached("cat", "May", "June")
    plot = series("Boats", months + cached("val", "12", "15")) + series(
        "Crew", months + cached("val", "40", "45.5")
    )
    axes = f"<c:catAx>{titled('Month')}</c:catAx><c:valAx>{titled('Number')}</c:valAx>"
    text = chart_of(
        f"<c:chart>{titled('Harbour')}<c:plotArea><c:barChart>{plot}</c:barChart>{axes}</c:plotArea></c:chart>"
    )
    assert text == "Harbour\nAxes: Month, Number\n| Boats | Crew\nMay | 12 | 40\nJune | 15 | 45.5"


def test_values_of_a_chart_are_written_as_their_format_shows_them() -> None:
    days = cached("cat", "45292", "45323", code="dd/mm/yyyy")
    text = chart_of(series("Share", days + cached("val", "0.125", "0.30000000000000004", code="0%")))
    assert text == "| Share\n2024-01-01 | 12.5%\n2024-02-01 | 30%"
    assert (
        chart_of(series("x", cached("xVal", "1") + cached("yVal", "0.30000000000000004"))) == "| x\n1 | 0.3"
    )


def test_categories_of_several_levels_are_named_from_the_outermost() -> None:
    point = '<c:pt idx="{}"><c:v>{}</c:v></c:pt>'
    inner = "".join(point.format(*pair) for pair in ((0, "Q1"), (1, "Q2"), (2, "Q1")))
    outer = "".join(point.format(*pair) for pair in ((0, "2024"), (2, "2025")))
    labels = f"<c:cat><c:multiLvlStrCache><c:lvl>{inner}</c:lvl><c:lvl>{outer}</c:lvl></c:multiLvlStrCache></c:cat>"
    assert chart_of(series("S", labels + cached("val", "1", "2", "3"))).split("\n")[1:] == [
        "2024 Q1 | 1",
        "2024 Q2 | 2",
        "2025 Q1 | 3",
    ]


def test_a_chart_of_the_newer_kind_is_read_too() -> None:
    data = (
        '<cx:chartData><cx:data id="0"><cx:strDim><cx:lvl><cx:pt idx="0">Rent</cx:pt></cx:lvl></cx:strDim>'
        '<cx:numDim><cx:lvl><cx:pt idx="0">900</cx:pt></cx:lvl></cx:numDim></cx:data></cx:chartData>'
    )
    drawn = (
        '<cx:series><cx:tx><cx:txData><cx:v>Cost</cx:v></cx:txData></cx:tx><cx:dataId val="0"/></cx:series>'
    )
    part = f'<cx:chartSpace xmlns:cx="{CX}">{data}<cx:chart>{drawn}</cx:chart></cx:chartSpace>'
    body = graphic(f'<cx:chart xmlns:cx="{CX}" xmlns:r="{R}" r:id="r1"/>')
    assert read(body, related_parts(chartEx="c.xml"), **{"word/c.xml": part}) == "| Cost\nRent | 900"


def test_a_chart_with_far_away_points_is_no_larger_than_they_are() -> None:
    far = "<c:val><c:numCache><c:pt idx='999999999'><c:v>7</c:v></c:pt></c:numCache></c:val>"
    assert chart_of(series("S", far)) == "| S\n7"
    many = "".join(
        series(f"s{n}", f"<c:val><c:pt idx='{n}'><c:v>{n}</c:v></c:pt></c:val>") for n in range(3_000)
    )
    assert len(chart_of(many)) < 1_000_000


def diagram(points: str, links: str = "") -> str:
    part = f'<dgm:dataModel xmlns:dgm="{DGM}" xmlns:a="{A}"><dgm:ptLst>{points}</dgm:ptLst>{links}</dgm:dataModel>'
    body = graphic(f'<dgm:relIds xmlns:dgm="{DGM}" xmlns:r="{R}" r:dm="r1"/>')
    return read(body, related_parts(diagramData="d.xml"), **{"word/d.xml": part})


def point(number: int, text: str, kind: str = "node") -> str:
    return f'<dgm:pt modelId="{number}" type="{kind}"><dgm:t><a:p><a:r><a:t>{text}</a:t></a:r></a:p></dgm:t></dgm:pt>'


def test_a_diagram_is_a_list_of_its_points_in_their_order() -> None:
    points = (
        point(9, "", "doc")
        + point(1, "Second")
        + point(2, "First")
        + point(3, "Below")
        + point(4, "no", "pres")
    )
    links = "".join(
        f'<dgm:cxn srcId="{source}" destId="{target}" srcOrd="{order}"/>'
        for source, target, order in ((9, 1, 1), (9, 2, 0), (2, 3, 0), (3, 9, 0))
    )
    assert diagram(points, f"<dgm:cxnLst>{links}</dgm:cxnLst>") == "- First\n  - Below\n- Second"
    assert diagram(point(1, "Alone") + point(2, "Beside")) == "- Alone\n- Beside"


def test_what_the_author_says_of_a_picture_is_kept() -> None:
    assert (
        read(graphic("", '<wp:docPr descr="A pump with two valves"/>')) == "[Picture: A pump with two valves]"
    )
    assert read(f"<w:p>{run('x')}</w:p>" + graphic("", '<wp:docPr descr="C:\\scan 01.PNG"/>')) == "x"


def test_a_chart_that_many_places_name_is_written_once() -> None:
    part = f'<c:chartSpace xmlns:c="{C}">{series("S", cached("val", "1"))}</c:chartSpace>'
    body = graphic(f'<c:chart xmlns:c="{C}" xmlns:r="{R}" r:id="r1"/>') * 3
    assert read(body, related_parts(chart="c.xml"), **{"word/c.xml": part}) == "| S\n1"
