"""PDF written by hand for tests: pages, fonts, fields and notes, in few lines."""

from collections.abc import Iterable, Sequence

PLAIN, BOLD = b"F1", b"F2"
_FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /%b %b>>"


def document(objects: Sequence[bytes], *, trailer: bytes = b"") -> bytes:
    """A file of these objects, numbered from 1; the first is the catalogue."""
    out = bytearray(b"%PDF-1.7\n")
    places: list[int] = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R %b>>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        trailer,
        start,
    )
    return bytes(out)


def stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %b>>\nstream\n%b\nendstream" % (len(content), entries, content)


def pages(
    *contents: bytes,
    box: bytes = b"[0 0 612 792]",
    page: bytes = b"",
    catalog: bytes = b"",
    fonts: tuple[bytes, bytes] = (b"", b""),
    annotations: Iterable[bytes] = (),
    more: Sequence[bytes] = (),
    trailer: bytes = b"",
) -> bytes:
    """A file of pages with these contents; annotations lie on the first, and `more` objects begin at number 5.

    `fonts` are further entries of the plain and of the bold font.
    """
    notes = list(annotations)
    first_note = 5 + len(more)
    first_page = first_note + len(notes)
    numbers = [first_page + 2 * number for number in range(len(contents))]
    references = b" ".join(b"%d 0 R" % (first_note + number) for number in range(len(notes)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R %b >>" % catalog.replace(b"NOTES", references),
        b"<< /Type /Pages /Kids [%b] /Count %d >>"
        % (b" ".join(b"%d 0 R" % n for n in numbers), len(contents)),
        _FONT % (b"Helvetica", fonts[0]),
        _FONT % (b"Helvetica-Bold", fonts[1]),
        *more,
        *notes,
    ]
    for number, content in zip(numbers, contents, strict=True):
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox %b /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> %b /Annots [%b] >>"
            % (box, number + 1, page, references if number == first_page else b""),
            stream(content),
        ]
    return document(objects, trailer=trailer)


def text(
    x: float, y: float, words: str, *, size: float = 11, font: bytes = PLAIN, matrix: str = "1 0 0 1"
) -> bytes:
    """Draw some words."""
    shown = words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)").encode("cp1252")
    return b"BT /%b %g Tf %b %g %g Tm (%b) Tj ET\n" % (font, size, matrix.encode(), x, y, shown)


def lines(*words: str, x: float = 72, y: float = 720, size: float = 11, font: bytes = PLAIN) -> bytes:
    """Draw lines one below the other."""
    return b"".join(
        text(x, y - number * size * 1.2, line, size=size, font=font) for number, line in enumerate(words)
    )


def unicode_map(characters: dict[str, str]) -> bytes:
    """A stream that says what the letters of a font stand for; the values are in hexadecimal."""
    pairs = "\n".join(f"<{ord(letter):02X}> <{code}>" for letter, code in characters.items())
    return stream(
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        b"1 begincodespacerange <00> <FF> endcodespacerange\n"
        b"%d beginbfchar\n%b\nendbfchar\nendcmap end end" % (len(characters), pairs.encode())
    )


def spelled(*shown: str) -> bytes:
    """A page of lines in letters that no font here has, drawn from left to right as they look."""
    letters = sorted({letter for line in shown for letter in line if letter != " "})
    codes = {letter: chr(0x21 + number) for number, letter in enumerate(letters)} | {" ": " "}
    names = {codes[letter]: letter.encode("utf-16-be").hex() for letter in letters}
    drawn = [
        text(72, 700 - 30 * number, "".join(codes[letter] for letter in line))
        for number, line in enumerate(shown)
    ]
    return pages(b"".join(drawn), fonts=(b"/ToUnicode 5 0 R ", b""), more=[unicode_map(names)])


def widget(kind: str, area: tuple[int, int, int, int], entries: str) -> bytes:
    """A field of a form."""
    return "<< /Type /Annot /Subtype /Widget /FT /{} /Rect [{} {} {} {}] {} >>".format(
        kind, *area, entries
    ).encode()


def note(
    subtype: str, contents: str, area: tuple[int, int, int, int] = (72, 100, 272, 120), entries: str = ""
) -> bytes:
    """A note on a page."""
    return "<< /Type /Annot /Subtype /{} /Rect [{} {} {} {}] /Contents ({}) {} >>".format(
        subtype, *area, contents, entries
    ).encode()


def form(content: bytes, *fields: bytes) -> bytes:
    """A page with a form of these fields."""
    return pages(content, catalog=b"/AcroForm << /Fields [NOTES] >>", annotations=fields)


def tree(count: int, kids: bytes) -> bytes:
    """Pages by a tree of one level; `kids` may name page 3 as often as it likes."""
    return document(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, count),
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources <<%b>> >>"
            % b"/Font << /F1 5 0 R >>",
            stream(text(72, 700, "One of many pages.")),
            _FONT % (b"Helvetica", b""),
        ]
    )
