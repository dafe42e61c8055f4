"""Files made for tests: ordinary ones in few lines, and hostile ones that are small and ask for much."""

import zlib
from collections.abc import Sequence
from io import BytesIO
from struct import pack
from zipfile import ZIP_DEFLATED, ZipFile

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
FONTS = b"<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
RELATIONSHIPS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"'
    ' Target="{target}"/></Relationships>'
)


def zipped(parts: dict[str, str | bytes]) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def docx(body: str, *, prologue: str = "", **parts: str | bytes) -> bytes:
    """A document with this body; `prologue` stands before its root element."""
    root = f'<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>'
    return zipped(
        {
            "[Content_Types].xml": f'<Types><Override PartName="/word/document.xml" ContentType="{DOCX}"/></Types>',
            "_rels/.rels": RELATIONSHIPS.format(target="word/document.xml"),
            "word/document.xml": f'<?xml version="1.0" encoding="UTF-8"?>{prologue}{root}',
            **parts,
        }
    )


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def numbered(*items: tuple[int, str], style: str = "", number: int = 1) -> str:
    """Paragraphs of a list: (level, text)."""
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    return "".join(
        f'<w:p><w:pPr>{named}<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr></w:pPr>'
        f"<w:r><w:t>{text}</w:t></w:r></w:p>"
        for level, text in items
    )


def level(depth: int, text: str, numerals: str = "decimal", start: int = 1, *, more: str = "") -> str:
    """A level of a list."""
    return (
        f'<w:lvl w:ilvl="{depth}"><w:start w:val="{start}"/><w:numFmt w:val="{numerals}"/>{more}'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
    )


def lists(*definitions: str, instances: str | None = None) -> str:
    """Numbering with these definitions and an instance of each, both counted from 1; or with other instances."""
    nodes = [
        f'<w:abstractNum w:abstractNumId="{number}"><w:multiLevelType w:val="multilevel"/>{levels}</w:abstractNum>'
        for number, levels in enumerate(definitions, 1)
    ]
    if instances is None:
        instances = "".join(instance(number, number) for number in range(1, len(definitions) + 1))
    return f'<w:numbering xmlns:w="{W}">{"".join(nodes)}{instances}</w:numbering>'


def instance(number: int, definition: int, overrides: str = "") -> str:
    """An instance of a list definition."""
    return f'<w:num w:numId="{number}"><w:abstractNumId w:val="{definition}"/>{overrides}</w:num>'


def related_parts(**targets: str) -> str:
    """Relationships of a part: kind -> target, numbered from r1; what begins with a scheme is outside."""
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    nodes = [
        f'<Relationship Id="r{number}" Type="{office}/{kind.rstrip("_")}" Target="{target}"'
        + (' TargetMode="External"/>' if ":" in target else "/>")
        for number, (kind, target) in enumerate(targets.items(), 1)
    ]
    return (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f"{''.join(nodes)}</Relationships>"
    )


def xlsx(
    rows: str,
    *,
    before: str = "",
    after: str = "",
    book: str = "",
    styles: str = "",
    strings: str = "",
    links: dict[str, str] | None = None,
    **parts: str,
) -> bytes:
    """A workbook of one sheet with these rows, and what stands before and after them; `parts` by kind."""
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    kinds = {"styles": styles, "sharedStrings": strings}
    named = {kind: part for kind, part in kinds.items() if part}
    package = "http://schemas.openxmlformats.org/package/2006/relationships"

    def related(targets: dict[str, str]) -> str:
        inner = "".join(
            f'<Relationship Id="{number}" Type="{office}/{kind}" Target="{target}"/>'
            for number, (kind, target) in enumerate(targets.items())
        ) + "".join(
            f'<Relationship Id="{name}" Type="{office}/hyperlink" Target="{target}" TargetMode="External"/>'
            for name, target in (links or {}).items()
        )
        return f'<Relationships xmlns="{package}">{inner}</Relationships>'

    return zipped(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": RELATIONSHIPS.format(target="xl/workbook.xml"),
            "xl/workbook.xml": f'<workbook xmlns="{S}" xmlns:r="{office}">{book}<sheets><sheet name="Data" sheetId="1"'
            ' r:id="0"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": related(
                {"worksheet": "worksheets/sheet1.xml"} | {kind: f"{kind}.xml" for kind in named}
            ),
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{S}">{before}<sheetData>{rows}</sheetData>{after}'
            "</worksheet>",
            "xl/worksheets/_rels/sheet1.xml.rels": related({kind: f"../{kind}1.xml" for kind in parts}),
            **{f"xl/{kind}.xml": part for kind, part in named.items()},
            **{f"xl/{kind}1.xml": part for kind, part in parts.items()},
        }
    )


def sheet_rows(*rows: Sequence[str | int | float | None], styles: dict[str, int] | None = None) -> str:
    """Rows of a sheet as XML; `styles` gives cells such as `B2` a style."""
    lines: list[str] = []
    for number, row in enumerate(rows, 1):
        cells: list[str] = []
        for column, value in enumerate(row):
            place = f"{chr(65 + column)}{number}"
            style = f' s="{styles[place]}"' if styles and place in styles else ""
            if isinstance(value, str):
                cells.append(f'<c r="{place}"{style} t="inlineStr"><is><t>{value}</t></is></c>')
            elif value is not None:
                cells.append(f'<c r="{place}"{style}><v>{value!r}</v></c>')
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    return "".join(lines)


def style_sheet(*formats: str, bold: bool = False) -> str:
    """Styles of a workbook: 0 is plain, then one for each format; the last is bold if asked for."""
    codes = "".join(f'<numFmt numFmtId="{170 + n}" formatCode="{code}"/>' for n, code in enumerate(formats))
    crossed = "".join(f'<xf numFmtId="{170 + n}" fontId="0"/>' for n in range(len(formats)))
    last = '<xf numFmtId="0" fontId="1"/>' if bold else ""
    return (
        f'<styleSheet xmlns="{S}"><numFmts>{codes}</numFmts><fonts><font/><font><b/></font></fonts>'
        f'<cellXfs><xf numFmtId="0" fontId="0"/>{crossed}{last}</cellXfs></styleSheet>'
    )


def ods(rows: str) -> bytes:
    """An OpenDocument spreadsheet of one sheet with these rows."""
    base = "urn:oasis:names:tc:opendocument:xmlns"
    names = " ".join(f'xmlns:{short}="{base}:{short}:1.0"' for short in ("office", "table", "text"))
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "content.xml": f"<office:document-content {names}><office:body><office:spreadsheet>"
            f'<table:table table:name="Data">{rows}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        }
    )


def xlsb(rows: list[list[str]]) -> bytes:
    """A binary workbook of one sheet with these cells of text."""

    def record(number: int, content: bytes = b"") -> bytes:
        kind = bytes([number]) if number < 128 else bytes([number & 127 | 128, number >> 7])
        length = bytes([len(content) & 127 | 128, len(content) >> 7])
        return kind + length + content

    def string(text: str) -> bytes:
        return pack("<I", len(text)) + text.encode("utf-16-le")

    sheet = pack("<II", 0, 1) + string("r1") + string("Data")
    book = record(131) + record(143) + record(156, sheet) + record(144) + record(132)
    size = pack("<IIII", 0, len(rows) - 1, 0, len(rows[0]) - 1)
    cells = b"".join(
        record(0, pack("<I", at) + bytes(13))
        + b"".join(record(6, pack("<II", column, 0) + string(text)) for column, text in enumerate(row))
        for at, row in enumerate(rows)
    )
    office = "application/vnd.ms-excel.sheet.binary.macroEnabled.main"
    return zipped(
        {
            "[Content_Types].xml": f'<Types><Override PartName="/xl/workbook.bin" ContentType="{office}"/></Types>',
            "_rels/.rels": RELATIONSHIPS.format(target="xl/workbook.bin"),
            "xl/workbook.bin": book,
            "xl/_rels/workbook.bin.rels": RELATIONSHIPS.format(target="worksheets/sheet1.bin").replace(
                '/officeDocument"', '/worksheet"'
            ),
            "xl/worksheets/sheet1.bin": record(129)
            + record(148, size)
            + record(145)
            + cells
            + record(146)
            + record(130),
        }
    )


def pdf(content: bytes, *, compressed: bool = False) -> bytes:
    """A PDF of one page that draws this content; `compressed` says that it is deflated already."""
    filters = b"/Filter /FlateDecode " if compressed else b""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources " + FONTS + b" >>",
        b"<< " + filters + b"/Length %d >>\nstream\n%b\nendstream" % (len(content), content),
    ]
    out = bytearray(b"%PDF-1.4\n")
    places: list[int] = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    for place in places:
        out += f"{place:010} 00000 n \n".encode()
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def deflated(piece: bytes, *, times: int) -> bytes:
    """Deflate a repeated piece without ever holding it whole."""
    packer = zlib.compressobj(9)
    block = piece * 1000
    return b"".join([*(packer.compress(block) for _ in range(times // 1000)), packer.flush()])


def pdf_bomb() -> bytes:
    """Under 2 MB that ask for a gigabyte of drawing."""
    line = b"BT /F1 12 Tf 72 720 Td (boom boom boom) Tj ET\n"
    return pdf(deflated(line, times=20_000_000), compressed=True)


def docx_bomb() -> bytes:
    """A document whose body inflates to 400 MB."""
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("word/document.xml", "w", force_zip64=True) as part:
            part.write(f'<w:document xmlns:w="{W}"><w:body>'.encode())
            block = paragraph("boom").encode() * 10_000
            for _ in range(1000):
                part.write(block)
            part.write(b"</w:body></w:document>")
    return buffer.getvalue()


def docx_that_lies() -> bytes:
    """A document that declares a body of ten bytes and has one of many."""
    data = bytearray(docx(paragraph("boom") * 200_000))
    with ZipFile(BytesIO(bytes(data))) as archive:
        size = archive.getinfo("word/document.xml").file_size.to_bytes(4, "little")
    place = 0
    while (place := data.find(size, place)) >= 0:
        data[place : place + 4] = (10).to_bytes(4, "little")
        place += 4
    return bytes(data)


ENTITY_BOMB = (
    '<!DOCTYPE x [<!ENTITY a0 "boom boom boom boom">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + "]>"
)


def odf(body: str, *, styles: str = "", common: str = "", kind: str = "text", **parts: str) -> bytes:
    """An OpenDocument file with this body, automatic styles, and common styles."""
    base = "urn:oasis:names:tc:opendocument:xmlns"
    shorts = ("office", "table", "text", "style", "drawing", "chart", "presentation")
    names = " ".join(
        f'xmlns:{"draw" if short == "drawing" else short}="{base}:{short}:1.0"' for short in shorts
    )
    names += f' xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:svg="{base}:svg-compatible:1.0"'
    names += ' xmlns:loext="urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0"'
    media = f"application/vnd.oasis.opendocument.{kind}"
    entry = '<manifest:file-entry manifest:full-path="{}" manifest:media-type="{}"/>'
    entries = entry.format("/", media) + entry.format("content.xml", "text/xml")
    entries += entry.format("styles.xml", "text/xml")
    return zipped(
        {
            "mimetype": media,
            "META-INF/manifest.xml": f'<manifest:manifest xmlns:manifest="{base}:manifest:1.0">{entries}'
            "</manifest:manifest>",
            "styles.xml": f'<office:document-styles {names} office:version="1.3"><office:styles>{common}'
            "</office:styles></office:document-styles>",
            "content.xml": f'<office:document-content {names} office:version="1.3"><office:automatic-styles>{styles}'
            f"</office:automatic-styles><office:body><office:{kind}>{body}</office:{kind}></office:body>"
            "</office:document-content>",
            **{
                name: f"<office:document-content {names}>{part}</office:document-content>"
                for name, part in parts.items()
            },
        }
    )
