"""What a chunk is found by besides its own text: the names and headings that it stands under."""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

from llmstack_api.ingest.document import Chunk

SHOWN_NAME: Final = 80
"""Characters of the name that an entry gets from its text."""

MAX_LINE: Final = 300
"""Characters of a name or title that count."""

_SUFFIX: Final = re.compile(
    r"\.(?:txt|md|markdown|rst|html?|xhtml|xml|pdf|docx?|odt|rtf|pptx?|odp|xlsx?|xlsm|ods|csv|tsv|jsonl?|ndjson|epub|eml"
    r"|php|aspx?|jsp)$",
    re.IGNORECASE,
)
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]{1,20}://", re.IGNORECASE)
_RANDOM: Final = re.compile(
    r"(?<![^\W_])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,})(?![^\W_])", re.IGNORECASE
)
"""UUIDs and hashes, which say nothing about what they name."""


def contexts(text: str, chunks: Sequence[Chunk], *, name: str, title: str | None) -> list[str]:
    """Return the context of each chunk of an entry: lines, none of which says what another one says.

    They are the headings over the chunk, its sheet and table, the entry's name and the title of its document.
    """
    outer = [line for line in (_plain_name(name, text), _one_line(title or "")) if line]
    return [
        _joined([chunk.heading or "", chunk.sheet or "", _one_line(chunk.table or ""), *outer])
        for chunk in chunks
    ]


def beginning(text: str) -> str:
    """Return the first words of a text, without what no name should hold."""
    start = " ".join(text[: 4 * SHOWN_NAME].split())
    if not start.isprintable():
        start = " ".join("".join(letter if letter.isprintable() else " " for letter in start).split())
    return start[:SHOWN_NAME].strip()


def _joined(lines: Sequence[str]) -> str:
    kept: list[str] = []
    for line in lines:
        folded = line.casefold()
        if line and not any(folded in other.casefold() for other in kept):
            kept.append(line)
    return "\n".join(kept)


def _plain_name(name: str, text: str) -> str:
    """Return the words of a name; none if it is only the beginning of the text, as the server names texts."""
    if text.lstrip().startswith(name[:1]) and name == beginning(text):
        return ""
    if _URL.match(name):
        name = unquote(urlsplit(name).path).strip("/")
    return _one_line(_RANDOM.sub(" ", _SUFFIX.sub("", name).replace("_", " ").replace("/", " ")))


def _one_line(text: str) -> str:
    return " ".join(text[:MAX_LINE].split())
