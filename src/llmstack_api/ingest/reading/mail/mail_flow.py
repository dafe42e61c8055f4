"""Flowed text of e-mails (RFC 3676): lines that were broken for the way are joined again."""

from collections.abc import Iterator
from typing import Final

_SIGNATURE: Final = "-- "


def unflow(text: str, *, delete_space: bool) -> str:
    """Join the lines that end in a blank with the next; a paragraph becomes a line.

    Args:
        text: what was sent, its lines ending in line feeds.
        delete_space: whether that blank was added where the line was broken (`DelSp=yes`), as within a word.
    """
    return "\n".join(_paragraphs(text, delete_space=delete_space))


def _paragraphs(text: str, *, delete_space: bool) -> Iterator[str]:
    pieces: list[str] = []
    depth = 0
    for line in text.split("\n"):
        content = line.lstrip(">")
        quoted = len(line) - len(content)
        content = content.removeprefix(" ")
        fixed = content == _SIGNATURE
        if pieces and (quoted != depth or fixed):
            yield _quoted(pieces, depth)
            pieces = []
        depth = quoted
        flows = content.endswith(" ") and not fixed
        pieces.append(content[:-1] if flows and delete_space else content)
        if not flows:
            yield _quoted(pieces, depth)
            pieces = []
    if pieces:
        yield _quoted(pieces, depth)


def _quoted(pieces: list[str], depth: int) -> str:
    return ">" * depth + (" " if depth else "") + "".join(pieces)
