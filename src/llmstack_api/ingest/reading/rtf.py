"""RTF: text, headings, tables and notes, in whatever code pages it mixes."""

import re
from codecs import lookup
from dataclasses import dataclass, field, replace

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.draft import MAX_TEXT, Draft, clean, too_large
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.office.links import MAX_FIELDS, MAX_INSTRUCTION, field_target, with_target
from llmstack_api.ingest.reading.tables.document_table import write_table
from llmstack_api.ingest.reading.tables.grid import Line

_TOKEN = re.compile(
    r"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z'])|([{}])|([^\\{}\r\n]+)|[\r\n]+|\\",
    re.DOTALL,
)
_SKIPPED = {
    "colortbl", "pict", "object", "themedata", "colorschememapping", "datastore", "listtable", "listoverridetable",
    "rsidtbl", "generator", "xmlnstbl", "latentstyles", "fldinst", "nonshppict", "revtbl", "userprops", "filetbl",
    "operator", "author", "company", "creatim", "revtim", "printim", "buptim", "doccomm", "keywords", "subject",
    "category", "manager", "bkmkstart", "bkmkend", "private", "passwordhash", "xe", "tc", "hlinkbase", "sp", "template",
}  # fmt: skip
_SHOWN = {"shptxt", "footnote", "annotation"}
_NOTES = {"footnote": "Footnote", "annotation": "Comment"}
_ASIDE = {*_NOTES, "header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf"}
_SYMBOLS = {
    "tab": "\t", "line": "\n", "emdash": "—", "endash": "\u2013", "lquote": "\u2018",
    "rquote": "\u2019", "ldblquote": "“", "rdblquote": "”",
    "bullet": "•", "emspace": " ", "enspace": " ", "zwj": "\u200d", "zwnj": "\u200c",
}  # fmt: skip
_ESCAPED = {"\\": "\\", "{": "{", "}": "}", "~": "\u00a0", "_": "-"}
_CHARSETS = {
    0: "cp1252", 77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gbk", 136: "big5", 161: "cp1253",
    162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874",
    238: "cp1250", 255: "cp437", 254: "cp437",
}  # fmt: skip
_HEADING = re.compile(r"heading (\d)")
_MARK = re.compile(
    r"(?:[•◦▪\u2013·\u2022\uf0b7]|(\(?(?:\d{1,4}(?:\.\d{1,4}){0,8}|[a-z]{1,3}|[A-Z]{1,3}|[ivxlcdm]{1,9}|[IVXLCDM]{1,9})[.)]?))\t"
)
_MAX_DEPTH = 10_000
_BAR = "\x1f"
"""Between the cells of a row, as no text has it."""


@dataclass(slots=True)
class _Group:
    """What a brace opens and its closing restores."""

    destination: str = "text"
    """`text`, `mark` (of a list), `skip`, `unknown`, `fonts`, `styles`, `title` or `instruction` (of a field)."""
    codec: str = "cp1252"
    unicode_skip: int = 1
    hidden: bool = False
    aside: bool = False
    """Whether it began a note, a header or a footer."""
    field: bool = False
    """Whether it is a field."""


@dataclass(slots=True)
class _Text:
    """A flow of paragraphs: the body, a note, a header or a footer."""

    kind: str = ""
    pieces: list[str] = field(default_factory=list[str])
    row: list[str] = field(default_factory=list[str])
    blocks: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """(text, level of heading; 0 is a paragraph, -1 rows of a table)."""
    level: int = 0
    in_table: bool = False
    notes: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class _Field:
    flow: _Text
    start: int
    """Pieces of the flow before it."""
    instruction: str = ""


@dataclass(slots=True)
class _State:
    codec: str = "cp1252"
    fonts: dict[int, str] = field(default_factory=dict[int, str])
    font: int = 0
    levels: dict[int, int] = field(default_factory=dict[int, int])
    style: int = 0
    style_name: list[str] = field(default_factory=list[str])
    title: list[str] = field(default_factory=list[str])
    pending: bytearray = field(default_factory=bytearray)
    """Bytes whose characters are not known before the last of them."""
    skip: int = 0
    """Characters left that stand in for a Unicode one."""
    high: int = 0
    """First half of a surrogate pair that waits for the second."""
    size: int = 0
    groups: list[_Group] = field(default_factory=lambda: [_Group()])
    fields: list[_Field] = field(default_factory=list[_Field])
    """Those that have begun and not ended."""
    texts: list[_Text] = field(default_factory=lambda: [_Text()])
    furniture: list[str] = field(default_factory=list[str])


def read(file: File) -> Document:
    """Read the body; notes follow the paragraph that they belong to, headers and footers the body."""
    state = _State()
    _scan(state, file.source.data.decode("latin-1"))
    if len(state.groups) > 1:
        raise ExtractError("The file is damaged or incomplete.", code="corrupt")
    _end_paragraph(state)
    draft = Draft()
    for text, level in state.texts[0].blocks:
        mark = _MARK.match(text)
        if level > 0:
            draft.heading(text, level)
        elif level < 0:
            write_table(draft, [_line(row) for row in text.split("\n")])
        elif mark:
            draft.item(f"{mark.group(1) or '-'} {text[mark.end() :]}")
        else:
            draft.block(text)
    for text in dict.fromkeys(state.furniture):
        if any(character.isalpha() for character in text):
            draft.block(text)
    return draft.finish(file.kind.value, title="".join(state.title))


def _line(row: str) -> Line:
    return Line({column: cell for column, cell in enumerate(row.split(_BAR)) if cell})


def _scan(state: _State, data: str) -> None:
    position = data.find("{")
    while match := _TOKEN.match(data, position):
        position = match.end()
        word, number, code, symbol, brace, text = match.groups()
        if word == "bin":
            position += max(int(number or 0), 0)
        elif word:
            _word(state, word, int(number) if number else None)
        elif code:
            _byte(state, bytes.fromhex(code))
        elif symbol:
            _symbol(state, symbol)
        elif brace:
            _brace(state, opens=brace == "{")
        elif text:
            _plain(state, text)


def _brace(state: _State, *, opens: bool) -> None:
    _flush(state)
    if opens:
        if len(state.groups) > _MAX_DEPTH:
            raise ExtractError("The file is nested too deeply.", code="corrupt")
        state.groups.append(replace(state.groups[-1], aside=False, field=False))
    elif len(state.groups) > 1:
        ended = state.groups.pop()
        if ended.field:
            _end_field(state)
        if ended.aside:
            _end_aside(state)


def _end_field(state: _State) -> None:
    """Write the address that a field leads to after its text."""
    ended = state.fields.pop()
    if ended.flow is state.texts[-1] and len(state.fields) < MAX_FIELDS:
        target = field_target(ended.instruction)
        if target:
            ended.flow.pieces.append(with_target("".join(ended.flow.pieces[ended.start :]), target))


def _end_aside(state: _State) -> None:
    _end_paragraph(state)
    ended = state.texts.pop()
    text = "\n".join(block for block, _ in ended.blocks)
    if not text:
        return
    if ended.kind in _NOTES:
        state.texts[-1].notes.append(f"[{_NOTES[ended.kind]}: {text}]")
    else:
        state.furniture.append(text)


def _symbol(state: _State, symbol: str) -> None:
    if symbol == "*":
        state.groups[-1].destination = "unknown"
    elif symbol in _ESCAPED:
        _plain(state, _ESCAPED[symbol])
    elif symbol in "\r\n":
        _word(state, "par", None)


def _word(state: _State, word: str, number: int | None) -> None:  # noqa: C901, PLR0912 # one branch a word of the format
    group = state.groups[-1]
    if word == "u":
        _unicode(state, number or 0)
        return
    _flush(state)
    if word in _ASIDE and group.destination in ("text", "unknown"):
        group.destination, group.aside = "text", True
        state.texts.append(_Text(word))
    elif (word in _SHOWN and group.destination != "skip") or word == "shptxt":
        group.destination = "text"
    elif word == "field" and group.destination == "text" and not group.field:
        group.field = True
        state.fields.append(_Field(state.texts[-1], len(state.texts[-1].pieces)))
    elif word == "fldinst" and state.fields:
        group.destination = "instruction"
    elif group.destination == "unknown" or word in _SKIPPED:
        group.destination = "skip"
    elif word == "fonttbl":
        group.destination = "fonts"
    elif word == "stylesheet":
        group.destination = "styles"
    elif word == "title" and group.destination == "text":
        group.destination = "title"
    elif word == "uc":
        group.unicode_skip = max(number or 0, 0)
    elif word == "ansicpg":
        state.codec = group.codec = _codec(f"cp{number}")
    elif word == "f":
        state.font = number or 0
        if group.destination != "fonts":
            group.codec = state.fonts.get(state.font, state.codec)
    elif word == "fcharset" and group.destination == "fonts":
        state.fonts[state.font] = (
            _CHARSETS.get(number or 0, state.codec) if number not in (0, 1, 2, None) else state.codec
        )
    elif word == "s" and group.destination == "styles":
        state.style = number or 0
    elif word == "plain":
        group.hidden = False
        group.codec = state.codec
    elif word == "v":
        group.hidden = number != 0
    elif word in ("listtext", "pntext") and group.destination == "text":
        group.destination = "mark"
    elif word in _SYMBOLS:
        _append(state, _SYMBOLS[word])
    elif group.destination == "text":
        _layout(state, word, number)


def _layout(state: _State, word: str, number: int | None) -> None:
    flow = state.texts[-1]
    if word in ("par", "sect", "page"):
        if flow.in_table:
            flow.pieces.append(" ")
        else:
            _end_paragraph(state)
    elif word == "pard":
        flow.level, flow.in_table = 0, False
    elif word == "intbl":
        flow.in_table = True
    elif word == "cell":
        flow.row.append(" ".join(clean("".join(flow.pieces)).split()))
        flow.pieces.clear()
    elif word == "nestcell":
        flow.pieces.append(" ")
    elif word == "row":
        flow.pieces.clear()
        _end_row(flow)
    elif word == "s":
        flow.level = state.levels.get(number or 0, 0)
    elif word == "outlinelevel":
        flow.level = (number or 0) + 1 if (number or 0) < 9 else 0  # noqa: PLR2004 # 9 is body text


def _end_row(flow: _Text) -> None:
    line = _BAR.join(flow.row)
    flow.row.clear()
    if line.strip(_BAR):
        previous = flow.blocks[-1][0] if flow.blocks else ""
        if flow.blocks and flow.blocks[-1][1] == -1:
            flow.blocks[-1] = (f"{previous}\n{line}", -1)
        else:
            flow.blocks.append((line, -1))


def _end_paragraph(state: _State) -> None:
    _flush(state)
    flow = state.texts[-1]
    if flow.row:
        _end_row(flow)
    text = "".join(flow.pieces).strip()
    flow.pieces.clear()
    if text:
        flow.blocks.append((text, flow.level))
    flow.blocks.extend((note, 0) for note in flow.notes)
    flow.notes.clear()


def _byte(state: _State, data: bytes) -> None:
    if state.skip:
        state.skip -= 1
        return
    state.pending += data


def _unicode(state: _State, number: int) -> None:
    _flush(state)
    unit = number & 0xFFFF
    if 0xD800 <= unit < 0xDC00:  # noqa: PLR2004 # the first half of a pair
        state.high = unit
    elif 0xDC00 <= unit < 0xE000 and state.high:  # noqa: PLR2004 # the second half
        _append(state, chr(0x10000 + ((state.high - 0xD800) << 10) + (unit - 0xDC00)))
        state.high = 0
    else:
        _append(state, chr(unit))
    state.skip = state.groups[-1].unicode_skip


def _plain(state: _State, text: str) -> None:
    if state.skip:
        taken = min(state.skip, len(text))
        state.skip -= taken
        text = text[taken:]
    if not text:
        return
    if state.pending or not text.isascii():
        state.pending += text.encode("latin-1", "replace")
    else:
        _append(state, text)


def _flush(state: _State) -> None:
    state.skip = 0
    if state.pending:
        text = bytes(state.pending).decode(state.groups[-1].codec, "replace")
        state.pending.clear()
        _append(state, text)


def _append(state: _State, text: str) -> None:
    group = state.groups[-1]
    state.size += len(text)
    if state.size > MAX_TEXT:
        raise too_large()
    if group.destination in ("text", "mark") and not group.hidden:
        state.texts[-1].pieces.append(text)
    elif group.destination == "title":
        state.title.append(text)
    elif group.destination == "styles":
        _style(state, text)
    elif group.destination == "instruction" and state.fields:
        known = state.fields[-1].instruction
        if len(known) < MAX_INSTRUCTION:
            state.fields[-1].instruction = known + text[:MAX_INSTRUCTION]


def _style(state: _State, text: str) -> None:
    state.style_name.append(text)
    if ";" in text:
        name = "".join(state.style_name).strip(" ;").lower()
        state.style_name.clear()
        heading = _HEADING.match(name)
        if heading:
            state.levels[state.style] = int(heading.group(1))
        elif name == "title":
            state.levels[state.style] = 1


def _codec(name: str) -> str:
    try:
        return lookup(name).name
    except LookupError:
        return "cp1252"
