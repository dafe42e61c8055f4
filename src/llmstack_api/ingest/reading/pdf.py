"""PDF: the text of each page in reading order, its lines joined to paragraphs, its headings marked."""

import re
from collections import Counter

from kreuzberg import ExtractionResult

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.draft import Draft
from llmstack_api.ingest.reading.engine import extract
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.kind import FileKind

MOST_PAGES_WITH_HEADINGS = 200
_HYPHEN = re.compile("[\x02\xad\ufffe](?:\r?\n)?")
_LONE_RETURN = re.compile(r" ?\r(?!\n) ?")
_BETWEEN_IDEOGRAPHS = re.compile("(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])")
_LEADERS = re.compile(r"(?:\. ?){4,}")
_MARK = re.compile(r"(?:[-\u2013•◦·▪*●■]|\(?\d{1,3}[.)]|\d{1,2}(?:\.\d{1,2}){1,3}\.?|[a-z][.)])\s")
_DIGITS = re.compile(r"\d+|\b[ivxlc]+\b")
_SENTENCE_END = (".", "!", ":", "。", "\uff01", "…", ".”", '."')
_MAX_HEADING = 120
_MIN_FULL = 40
_FULL = 0.75
_WHOLE = 0.92
_BARE = 12
_REPEATED = 2
_PLACEHOLDERS = {"untitled", "unspecified", "(anonymous)", "none", "title"}


def read(file: File) -> Document:
    """Read the text layer; a page without one (a scan) is left out.

    Raises:
        ExtractError: it is damaged, has a password, or has no text layer at all (`no-text`).
    """
    result = extract(file.source.data, file.kind.value)
    pages = [(page["page_number"], _repaired(page["content"])) for page in result.pages or []]
    if not any(text.strip() for _, text in pages):
        raise ExtractError(
            "There is no text in the PDF, only images; reading text off images (OCR) is not available.",
            code="no-text",
        )
    headings = _headings(file.source.data, pages) if len(pages) <= MOST_PAGES_WITH_HEADINGS else {}
    draft = Draft()
    for number, text in pages:
        draft.begin_page(number)
        _write_page(draft, text, headings.get(number, {}))
    return draft.finish(file.kind.value, title=_title(result))


def _title(result: ExtractionResult) -> str | None:
    title = str(result.metadata.get("title") or "").strip()
    return None if title.lower() in _PLACEHOLDERS else title


def _repaired(text: str) -> str:
    """Join words that were hyphenated at the end of a line."""
    return _LONE_RETURN.sub(" ", _HYPHEN.sub("", text)).replace("\r\n", "\n")


def _headings(data: bytes, pages: list[tuple[int, str]]) -> dict[int, dict[str, int]]:
    """Find the lines that are set like headings: page -> line -> level. What repeats on pages is no heading."""
    result = extract(data, FileKind.PDF.value, structure=True)
    found: list[tuple[int, str, int]] = []
    for node in result.document["nodes"] if result.document else []:
        content, page = node.get("content", {}), node.get("page")
        text = " ".join((content.get("text") or "").split())
        if content.get("node_type") == "heading" and page and _can_be_heading(text):
            found.append((page, text, content.get("level") or 1))
    lines = Counter(_shape(line) for _, text in pages for line in dict.fromkeys(text.split("\n")))
    kept: dict[int, dict[str, int]] = {}
    for page, text, level in found:
        if lines[_shape(text)] <= _REPEATED or len(pages) <= _REPEATED:
            kept.setdefault(page, {})[text] = level
    return kept


def _shape(line: str) -> str:
    return _DIGITS.sub("#", " ".join(line.split()))


def _can_be_heading(text: str) -> bool:
    return (
        0 < len(text) <= _MAX_HEADING
        and any(character.isalpha() for character in text)
        and not text.endswith(_SENTENCE_END)
        and not _LEADERS.search(text)
    )


def _join(lines: list[str]) -> str:
    """Join lines by a blank, but for scripts that write none."""
    return _BETWEEN_IDEOGRAPHS.sub("", " ".join(lines)) if len(lines) > 1 else "".join(lines)


def _write_page(draft: Draft, text: str, headings: dict[str, int]) -> None:
    """Write the lines of a page; a full line goes on in the next one."""
    lines = [" ".join(line.split()) for line in text.split("\n")]
    lines = [line for line in lines if line]
    width = sorted(len(line) for line in lines)[int(len(lines) * 0.9)] if lines else 0
    full = max(width * _FULL, _MIN_FULL)
    paragraph: list[str] = []
    gap = "\n\n"
    for line in lines:
        level = headings.get(line)
        if level or (_MARK.match(line) and paragraph):
            draft.block(_join(paragraph), gap=gap)
            paragraph, gap = [], "\n"
        if level:
            draft.heading(line, level)
            gap = "\n\n"
            continue
        if not any(character.isalpha() for character in line) and len(line) < _BARE:
            draft.block(_join(paragraph), gap=gap)
            paragraph, gap = [], "\n"
        paragraph.append(line)
        if (
            len(line) < full
            or _LEADERS.search(line)
            or (line.endswith(_SENTENCE_END) and len(line) < width * _WHOLE)
        ):
            draft.block(_join(paragraph), gap=gap)
            paragraph, gap = [], "\n"
    draft.block(_join(paragraph), gap=gap)
