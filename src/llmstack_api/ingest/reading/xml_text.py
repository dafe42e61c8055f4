"""XML of any kind: its text, a piece a line, taken as it comes, so that no tree of millions of elements is held."""

from xml.parsers.expat import ExpatError, ParserCreate

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.draft import Draft
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.xml_tree import damaged, without_declaration

MAX_DEPTH = 256
"""Elements within elements, as in trees."""

_SLICE = 1_048_576


def read(file: File) -> Document:
    """Read the text between the tags; of a file that has all in attributes, the file as it stands.

    Raises:
        ExtractError: it is not well-formed, or nested too deeply (`corrupt`), or has too much text (`too-large`).
    """
    text = without_declaration(file.text)
    draft = Draft()
    _parse(text, _Pieces(draft))
    if draft.is_empty:
        draft.block(text)
    return draft.finish(file.kind.value, encoding=file.encoding)


class _Pieces:
    """Writes the text between two tags to a draft."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._depth = 0
        self._pieces: list[str] = []

    def open(self, _name: str, _attributes: list[str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExtractError("The XML is nested too deeply.", code="corrupt")
        if self._pieces:
            self._write()

    def close(self, _name: str) -> None:
        self._depth -= 1
        if self._pieces:
            self._write()

    def characters(self, text: str) -> None:
        self._pieces.append(text)

    def other(self, markup: str) -> None:
        """Keep a reference to an entity as it stands: what it stands for may be a bomb, or in another file."""
        if self._depth and markup.startswith("&"):
            self._pieces.append(markup)

    def _write(self) -> None:
        text = " ".join("".join(self._pieces).split())
        self._pieces.clear()
        if text:
            self._draft.block(text, gap="\n")


def _parse(text: str, pieces: _Pieces) -> None:
    parser = ParserCreate("utf-8", intern=None)
    parser.buffer_text = True
    parser.ordered_attributes = True
    parser.StartElementHandler = pieces.open
    parser.EndElementHandler = pieces.close
    parser.CharacterDataHandler = pieces.characters
    parser.DefaultHandler = pieces.other  # with which entities in text are not resolved
    try:
        for start in range(0, len(text), _SLICE):
            parser.Parse(text[start : start + _SLICE].encode("utf-8", "replace"), False)  # noqa: FBT003 # it has no name
        parser.Parse(b"", True)  # noqa: FBT003 # it has no name
    except ExpatError as error:
        raise damaged(error.lineno) from None
