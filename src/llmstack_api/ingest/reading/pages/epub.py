"""E-books: the chapters in reading order."""

from posixpath import dirname, normpath
from urllib.parse import unquote

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.archive import Package, damaged
from llmstack_api.ingest.reading.charsets.decoding import decode
from llmstack_api.ingest.reading.draft import Draft
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.pages import html_page
from llmstack_api.ingest.reading.source import Source
from llmstack_api.ingest.reading.xml_tree import local, parse, parse_html

_CHAPTERS = {"application/xhtml+xml", "text/html", "application/x-dtbook+xml"}


def read(file: File) -> Document:
    """Read the chapters that the spine lists; the table of contents is left out where it is a chapter.

    Raises:
        ExtractError: the book is damaged, or its chapters are encrypted.
    """
    package = file.parts
    container = parse(package.read("META-INF/container.xml"))
    path = next((node.get("full-path") for node in container.iter() if local(node) == "rootfile"), None)
    if not path:
        raise damaged()
    book = parse(package.read(path))
    folder = dirname(path)
    title: str | None = None
    items: dict[str, str] = {}
    spine: list[str] = []
    for node in book.iter():
        name = local(node)
        if name == "title" and title is None:
            title = node.text
        elif (
            name == "item"
            and node.get("media-type") in _CHAPTERS
            and "nav" not in (node.get("properties") or "").split()
        ):
            items[node.get("id") or ""] = normpath(f"{folder}/{unquote(node.get('href') or '')}").lstrip("/")
        elif name == "itemref":
            spine.append(node.get("idref") or "")
    _refuse_encrypted(package, set(items.values()))
    draft = Draft()
    for item in spine:
        if item in items:
            text = decode(Source(package.read(items[item]), media_type="application/xhtml+xml")).text
            if text.strip():
                html_page.write(draft, parse_html(text))
    return draft.finish(file.kind.value, title=title)


def _refuse_encrypted(package: Package, chapters: set[str]) -> None:
    data = package.find("META-INF/encryption.xml")
    if data is None:
        return
    for node in parse(data).iter():
        if local(node) == "CipherReference" and unquote(node.get("URI") or "") in chapters:
            raise ExtractError("The book is protected against copying.", code="encrypted")
