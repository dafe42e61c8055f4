"""Plain text and Markdown: bytes become characters."""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE, lookup

from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.draft import Draft, tidy
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.kind import FileKind, unsupported
from llmstack_api.ingest.reading.pipe_table import pipe_tables
from llmstack_api.ingest.reading.source import Source

_BOMS = (
    (BOM_UTF8, "utf-8"),
    (BOM_UTF32_LE, "utf-32-le"),
    (BOM_UTF32_BE, "utf-32-be"),
    (BOM_UTF16_LE, "utf-16-le"),
    (BOM_UTF16_BE, "utf-16-be"),
)
_META_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{2,40})""", re.IGNORECASE)
_XML_CHARSET = re.compile(rb"""^\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w.:-]{2,40})""")
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r\x0c\x1b") + b"\x7f"
_HIGH = bytes(range(128, 256))
_SAMPLE = 262_144
_GUESS_FROM = 65_536
_ALLOWED_CONTROLS = 0.01
_ALLOWED_FAULTS = 0.002
_MOST_NULS = 0.8
_VALID_TO_FAULTY = 8
_WESTERN = (
    "iso8859_1",
    "latin_1",
    "cp1252",
    "iso8859_15",
    "cp1250",
    "iso8859_2",
    "cp850",
    "cp437",
    "mac_roman",
    "hp_roman8",
)


def read(file: File) -> Document:
    """Read plain text or Markdown as it stands."""
    draft = Draft()
    text = tidy(file.text).lstrip("\n")
    if text.strip():
        draft.append(text)
        for start, end, header in pipe_tables(text):
            draft.mark_table(start, end=end, header=header)
    title = None
    if file.kind is FileKind.MARKDOWN:
        heading = next((line for line in file.text.splitlines() if line.startswith("# ")), "")
        title = heading.strip("# \t")
    return draft.finish(file.kind.value, title=title)


def decode(source: Source) -> str:
    """Decode text of any encoding: by its mark, as UTF-8, by what it declares, by what it looks like.

    Raises:
        ExtractError: the bytes are no text (`unsupported-type`).
    """
    quick = decode_plainly(source.data)
    if quick is not None:
        return quick
    data = source.data
    wide = _wide_encoding(data[:_SAMPLE])
    if wide:
        return data.decode(wide, "replace")
    sample = data[:_SAMPLE]
    if len(sample) - len(sample.translate(None, _CONTROLS)) > len(sample) * _ALLOWED_CONTROLS:
        raise unsupported("not text, nor of a kind that is known")
    text = _nearly_utf8(data)
    if text is not None:
        return text
    for name in (source.charset, *_declared(data[:4096])):
        text = _decode_as(data, name)
        if text is not None:
            return text
    return data.decode(_guess(data), "replace")


def decode_plainly(data: bytes) -> str | None:
    """Decode text that has a byte order mark or is UTF-8 without controls; None needs a closer look."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    if len(data[:_SAMPLE].translate(None, _CONTROLS)) < len(data[:_SAMPLE]):
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _wide_encoding(sample: bytes) -> str | None:
    """UTF-16 without a mark: nearly every other byte of Western text is NUL."""
    even, odd = sample[::2], sample[1::2]
    if not odd:
        return None
    if odd.count(0) > len(odd) * _MOST_NULS > 0 and even.count(0) < len(even) * _ALLOWED_CONTROLS:
        return "utf-16-le"
    if even.count(0) > len(even) * _MOST_NULS > 0 and odd.count(0) < len(odd) * _ALLOWED_CONTROLS:
        return "utf-16-be"
    return None


def _nearly_utf8(data: bytes) -> str | None:
    """UTF-8 with few faults (cut off in a character, pasted bytes) is UTF-8 still."""
    high = len(data) - len(data.translate(None, _HIGH))
    text = data.decode("utf-8", "replace")
    faults = text.count("\ufffd")
    return text if faults == 0 or faults * _VALID_TO_FAULTY < high else None


def _declared(head: bytes) -> list[str]:
    found = (_XML_CHARSET.search(head), _META_CHARSET.search(head))
    return [match.group(1).decode("ascii", "replace") for match in found if match]


def _decode_as(data: bytes, name: str | None) -> str | None:
    if not name:
        return None
    try:
        codec = lookup(name).name
        codec = "cp1252" if codec in ("iso8859-1", "ascii") else codec
        text = data.decode(codec, "strict" if codec == "utf-8" else "replace")
    except (LookupError, UnicodeError, ValueError):
        return None
    return text if text.count("\ufffd") <= len(text) * _ALLOWED_FAULTS else None


def _guess(data: bytes) -> str:
    """Guess a legacy encoding from the parts that tell: lines with bytes over 127."""
    from charset_normalizer import from_bytes  # noqa: PLC0415 # slow to import, not always needed

    telling: list[bytes] = []
    size = 0
    for line in data[: 16 * _SAMPLE].splitlines():
        if not line.isascii():
            telling.append(line[:_GUESS_FROM])
            size += len(line)
            if size > _GUESS_FROM:
                break
    best = from_bytes(b"\n".join(telling)[:_GUESS_FROM]).best()
    encoding = best.encoding if best else "cp1252"
    return "cp1252" if encoding in _WESTERN and not _is_central_european(telling, encoding) else encoding


def _is_central_european(lines: list[bytes], encoding: str) -> bool:
    """Whether letters that only Central European encodings have are plausible here."""
    if encoding not in ("cp1250", "iso8859_2"):
        return False
    text = b"".join(lines).decode(encoding, "replace")
    special = sum(text.count(letter) for letter in "ąćęłńśźżčďěňřšťůžőűĄĆĘŁŃŚŹŻČĎĚŇŘŠŤŮŽŐŰ")
    return special * 2 > sum(not character.isascii() for character in text)
