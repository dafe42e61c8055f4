"""What lies on a PDF's page: fields that were filled in, text typed over it, comments."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.reading.draft import clean
from llmstack_api.ingest.reading.pdf.pdf_library import Annotation, Pdf, PdfPage
from llmstack_api.ingest.reading.xml_tree import Node, local, parse

MOST_ANNOTATIONS = 10_000
"""Fields and comments of a document; PDFium takes a time that grows with their square. Links are not counted."""
YES = "yes"
"""What a ticked box says that stands for nothing else."""
_MOST_OPTIONS = 1_000
_MOST_DEPTH = 50
_HIDDEN = 2 | 32
_LINK, _FREE_TEXT, _STAMP, _POPUP, _WIDGET = 2, 3, 13, 16, 20
_COMMENTS = {1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 17}
"""Note, line, shapes, highlight, underline, strike-out, caret, ink, attached file."""
_CHECKBOX, _RADIO, _COMBO, _LIST, _TEXT = 2, 3, 4, 5, 6
_OWN_KINDS = {"Tx": _TEXT}
_PASSWORD = 1 << 13
_NO_NAME = re.compile(
    r"(?:text|txt|field|feld|champ|combo|list|drop ?down|check|box|cb|radio|button|group|opt(?:ion)?|undefined"
    r"|untitled|page|subform|fill|formular|form|[fctr]|[\W\d_])*",
    re.IGNORECASE,
)
_INDEX = re.compile(r"\[\d+\]")
_SEAM = re.compile(r"(?<=[a-zäöüß\d])(?=[A-ZÄÖÜ])|[_\s]+")
_NO_MEANING = re.compile(r"(?:on|off|yes|no|true|false|\d+)?", re.IGNORECASE)
_LINE_END = re.compile(r"</p>|<br ?/?>")
_TAG = re.compile(r"<[^>]*>")

Area = tuple[float, float, float, float]
"""Left, bottom, right, top."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field that was filled in, or text typed over the page."""

    text: str
    area: Area
    label: str = ""
    """What to call it if the page does not say."""
    checked: bool | None = None
    """Whether it is ticked, for a box or a button."""


@dataclass(slots=True)
class Annotations:
    """What lies on a page."""

    fields: list[Field] = field(default_factory=list[Field])
    typed: list[Field] = field(default_factory=list[Field])
    comments: list[str] = field(default_factory=list[str])


class AnnotationReader:
    """Reads the annotations of a document's pages, and counts them."""

    def __init__(self) -> None:
        self._count = 0
        self.filled = False
        """Whether some field has a value."""

    def read(self, page: PdfPage) -> Annotations:
        """Read what is visible; what is hidden, and passwords, are left out.

        Raises:
            ExtractError: there are too many (`too-large`).
        """
        found = Annotations()
        for number in range(page.annotations()):
            with page.annotation(number) as annotation:
                if annotation is None or annotation.kind in (_LINK, _POPUP):
                    continue
                self._count += 1
                if self._count > MOST_ANNOTATIONS:
                    raise ExtractError(
                        f"The PDF has more than {MOST_ANNOTATIONS:,} fields and comments.", code="too-large"
                    )
                if not annotation.flags & _HIDDEN:
                    self._add(found, annotation)
        return found

    def _add(self, found: Annotations, annotation: Annotation) -> None:
        kind = annotation.kind
        if kind == _WIDGET:
            filled = _field(annotation)
            if filled is not None:
                found.fields.append(filled)
                self.filled = True
        elif kind == _FREE_TEXT:
            if text := _contents(annotation):
                found.typed.append(Field(text, annotation.area))
        elif kind == _STAMP:
            if text := _contents(annotation):
                found.comments.append(f"[Stamp: {text}]")
        elif kind in _COMMENTS and not annotation.has("StateModel") and (text := _contents(annotation)):
            found.comments.append(f"[Comment: {text}]")


def _contents(annotation: Annotation) -> str:
    text = annotation.entry("Contents")
    if not text:
        text = unescape(_TAG.sub("", _LINE_END.sub("\n", annotation.entry("RC"))))
    return "\n".join(line for line in (" ".join(line.split()) for line in clean(text).split("\n")) if line)


def _field(annotation: Annotation) -> Field | None:
    """Read a field that is filled in, or a box whether it is or not.

    What stands in the annotation itself is taken from it: to ask the form takes as long as it has fields.
    """
    own = not annotation.has("Parent")
    kind = _OWN_KINDS.get(annotation.entry("FT"), 0) if own else 0
    kind = kind or annotation.field_kind
    if kind in (_CHECKBOX, _RADIO):
        state = annotation.entry("AS") or ("Off" if kind == _RADIO else annotation.field_value)
        text = YES if _NO_MEANING.fullmatch(state) else clean(state)
        return Field(text, annotation.area, _label(annotation), checked=state not in ("", "Off"))
    if kind == _TEXT and own:
        value = "" if annotation.number("Ff") & _PASSWORD else annotation.entry("V")
    elif kind == _TEXT:
        value = "" if annotation.field_flags & _PASSWORD else annotation.field_value
    elif kind in (_COMBO, _LIST):
        value = ", ".join(annotation.chosen(_MOST_OPTIONS)) or annotation.field_value
    else:
        value = ""
    text = " ".join(clean(value).split())
    return Field(text, annotation.area, _label(annotation)) if text else None


def _label(annotation: Annotation) -> str:
    """Return what a field is called for people, or its name if that reads like one."""
    further = annotation.has("Parent")
    label = annotation.entry("TU") or (annotation.field_label if further else "")
    if label.strip():
        return " ".join(clean(label).split())
    name = _INDEX.sub("", annotation.field_name if further else annotation.entry("T")).rpartition(".")[2]
    return "" if _NO_NAME.fullmatch(name) else " ".join(_SEAM.sub(" ", clean(name)).split())


def read_form_data(pdf: Pdf) -> Iterator[str]:
    """Return the lines of a form of XFA, whose pages only say that the reader is too old.

    Raises:
        ExtractError: its XML is damaged (`corrupt`).
    """
    data = pdf.form_data()
    if data is not None:
        yield from _values(parse(data.strip(b"\0")), 0)


def _values(node: Node, depth: int) -> Iterator[str]:
    children = [inner for inner in node if local(inner)]
    if not children:
        text = " ".join((node.text or "").split())
        name = " ".join(_SEAM.sub(" ", local(node)).split())
        if text:
            yield f"{name}: {text}"
    elif depth < _MOST_DEPTH:
        for inner in children:
            if local(inner) != "dataDescription":
                yield from _values(inner, depth + 1)
