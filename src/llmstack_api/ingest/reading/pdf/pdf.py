"""PDF: the text of each page in reading order, what was filled in and noted on it, its headings marked."""

import re
from dataclasses import dataclass

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.draft import MAX_TEXT, Draft, too_large
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.pdf.pdf_annotations import AnnotationReader, read_form_data
from llmstack_api.ingest.reading.pdf.pdf_form import place_fields
from llmstack_api.ingest.reading.pdf.pdf_headings import Heading, Outline, find_headings, plain
from llmstack_api.ingest.reading.pdf.pdf_hyphens import Hyphens
from llmstack_api.ingest.reading.pdf.pdf_library import Pdf, open_pdf
from llmstack_api.ingest.reading.pdf.pdf_lines import Line, merged, read_lines
from llmstack_api.ingest.reading.pdf.pdf_paragraphs import write_page

MOST_PAGES = 50_000
_PLACEHOLDER = re.compile(
    r"untitled.*|unspecified|\(anonymous\)|none|null|title|document ?\d*|(?:slide|page|sheet) ?\d+|about:blank"
    r"|powerpoint presentation|presentation ?\d*|microsoft (?:word|powerpoint|excel|office \w+) - .*|https?://\S*"
    r"|\S*\.(?:docx?|dotx?|odt|rtf|txt|xlsx?|ods|pptx?|odp|indd|qxp|tex|dvi|ps|eps|pdf|html?|md|fm|pmd|cdr|ai)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Page:
    number: int | None
    """From 0; None is what stands on none."""
    lines: list[Line]
    extras: list[str]
    """What was typed over the page or noted on it, after its lines."""
    lost: bool = False
    """Whether it cannot be opened."""


def read(file: File) -> Document:
    """Read the text layer; a page without one (a scan) is left out, and one that is damaged is said to be.

    Raises:
        ExtractError: it is damaged, has a password, or has no text layer at all (`no-text`).
    """
    with open_pdf(file.source.data) as pdf:
        if pdf.pages > MOST_PAGES:
            raise ExtractError(f"The PDF has more than {MOST_PAGES:,} pages.", code="too-large")
        if not pdf.pages:
            raise ExtractError("The PDF has no pages.", code="no-text")
        annotations = AnnotationReader()
        pages = _read_pages(pdf, annotations)
        if not annotations.filled:
            pages.append(_Page(None, [], list(read_form_data(pdf))))
        outline = _outline(pdf)
        title = pdf.metadata("Title").strip()
    if not any(page.lines or page.extras for page in pages):
        if any(page.lost for page in pages):
            raise ExtractError(
                "Pages of the PDF are damaged or missing, and no other has text.", code="corrupt"
            )
        raise ExtractError(
            "There is no text in the PDF, only images; reading text off images (OCR) is not available.",
            code="no-text",
        )
    draft = _write(pages, outline)
    return draft.finish(file.kind.value, title=None if _PLACEHOLDER.fullmatch(title) else title)


def _read_pages(pdf: Pdf, annotations: AnnotationReader) -> list[_Page]:
    pages: list[_Page] = []
    length = 0
    for number in range(pdf.pages):
        with pdf.page(number) as page:
            if page is None:
                pages.append(_Page(number, [], [], lost=True))
                continue
            lines, units = read_lines(page)
            found = annotations.read(page)
            extras = place_fields(page, lines, units, found)
            text = plain(" ".join(line.text for line in lines)) if found.comments else ""
            extras += [
                comment
                for comment in found.comments
                if plain(comment.partition(": ")[2].rstrip("]")) not in text
            ]
        pages.append(_Page(number, merged(lines), extras))
        length += sum(len(line.text) for line in lines)
        if length > MAX_TEXT:
            raise too_large()
    return pages


def _outline(pdf: Pdf) -> Outline:
    outline: Outline = {}
    for title, depth, page in pdf.bookmarks():
        if name := plain(title):
            outline.setdefault(page, {}).setdefault(name, depth)
    return outline


def _write(pages: list[_Page], outline: Outline) -> Draft:
    headings: list[dict[int, Heading]] = [{} for _ in pages]
    for (page, line), heading in find_headings([page.lines for page in pages], outline).items():
        headings[page][line] = heading
    hyphens = Hyphens(page.lines for page in pages)
    draft = Draft()
    last_lost = _last_lost(pages)
    for page, its_headings in zip(pages, headings, strict=True):
        if page.number is not None:
            draft.begin_page(page.number + 1)
        else:
            draft.end_page()
        if page.number is not None and page.number in last_lost:
            draft.block(_lost(page.number + 1, last_lost[page.number] + 1))
        write_page(draft, page.lines, its_headings, hyphens)
        for extra in page.extras:
            draft.block(extra)
    return draft


def _last_lost(pages: list[_Page]) -> dict[int, int]:
    """Return the runs of pages that cannot be opened: the first and the last of each."""
    runs: dict[int, int] = {}
    first: int | None = None
    for page in pages:
        if page.lost and page.number is not None:
            first = page.number if first is None else first
            runs[first] = page.number
        else:
            first = None
    return runs


def _lost(first: int, last: int) -> str:
    if first == last:
        return f"[Page {first} cannot be read.]"
    return f"[Pages {first} to {last} cannot be read.]"
