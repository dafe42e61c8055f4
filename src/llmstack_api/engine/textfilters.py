"""Liquid filters that work on a text while it comes; stitched, the result is what the whole text would give."""

import html
from typing import Protocol

from llmstack_api.engine.liquid import to_text
from llmstack_api.errors import TemplateError

_SIGMA = "\N{GREEK CAPITAL LETTER SIGMA}"
"""The one letter whose lower case depends on what follows."""


_CONTEXT = 32
_LONGEST_WORD = 256
"""Characters after which an unbroken text is given all the same."""


class TextFilter(Protocol):
    """Takes a text in chunks, gives a text in chunks."""

    is_default: bool

    def feed(self, chunk: str) -> str:
        """Take a chunk and return what can be said already."""
        ...

    def end(self) -> str:
        """Return what is left."""
        ...


def text_filter(name: str, *arguments: object) -> TextFilter:
    """Make a filter by its Liquid name.

    Raises:
        TemplateError: it is none that works on a stream.
    """
    match name, arguments:
        case "upcase", ():
            return _Upper()
        case "downcase", ():
            return _Lower()
        case "escape", ():
            return _Escaped()
        case "append", (suffix,):
            return _Appended(to_text(suffix))
        case "prepend", (prefix,):
            return _Prepended(to_text(prefix))
        case "default", ():
            return _Defaulted("")
        case "default", (fallback,):
            return _Defaulted(to_text(fallback))
        case _:
            raise TemplateError(f"the filter {name} does not take {len(arguments)} arguments")


class _Stateless:
    is_default = False

    def end(self) -> str:
        return ""


class _Upper(_Stateless):
    def feed(self, chunk: str) -> str:
        return chunk.upper()


class _Escaped(_Stateless):
    def feed(self, chunk: str) -> str:
        return html.escape(chunk)


class _Lower:
    """Lower case. From a sigma on, text is held until white space tells whether the word ends there."""

    is_default = False

    def __init__(self) -> None:
        self._before = ""
        """The end of what has been given, as it came: the context of a sigma."""
        self._held = ""

    def feed(self, chunk: str) -> str:
        if not self._held and _SIGMA not in chunk:
            self._before = (self._before + chunk)[-_CONTEXT:]
            return chunk.lower()
        self._held += chunk
        cut = _last_word(self._held)
        if not cut and len(self._held) > _LONGEST_WORD:
            cut = len(self._held)
        return self._give(cut)

    def end(self) -> str:
        return self._give(len(self._held))

    def _give(self, cut: int) -> str:
        text, self._held = self._held[:cut], self._held[cut:]
        context, self._before = self._before, (self._before + text)[-_CONTEXT:]
        return (context + text).lower()[len(context.lower()) :]


def _last_word(text: str) -> int:
    """Return where the last run of characters without white space begins."""
    return max(text.rfind(space) for space in (" ", "\n", "\t", "\r")) + 1


class _Appended:
    is_default = False

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix

    def feed(self, chunk: str) -> str:
        return chunk

    def end(self) -> str:
        return self._suffix


class _Prepended:
    is_default = False

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def feed(self, chunk: str) -> str:
        if not chunk:
            return ""
        prefix, self._prefix = self._prefix, ""
        return prefix + chunk

    def end(self) -> str:
        return self._prefix


class _Defaulted:
    is_default = True

    def __init__(self, fallback: str) -> None:
        self._fallback = fallback

    def feed(self, chunk: str) -> str:
        if chunk:
            self._fallback = ""
        return chunk

    def end(self) -> str:
        return self._fallback
