"""Splits Liquid source into python-liquid's tokens, in linear time; its own lexer can take quadratic."""

import re
from collections.abc import Iterator

from liquid import Token
from liquid.exceptions import LiquidSyntaxError
from liquid.token import TOKEN_CONTENT, TOKEN_EXPRESSION, TOKEN_OUTPUT, TOKEN_TAG

MAX_TAGS = 5_000
"""Most tags and outputs in one template; what follows the lexer costs some 20 us for each."""
MAX_BRACKETS = 100
"""Most `(`, and most `[`, in one expression; python-liquid looks ahead to its end from each."""

MAX_SEPARATORS = 10_000
"""Most of `,.:|[(` in all expressions of a template; what follows each costs some 10 us to parse."""

_OPEN = re.compile(r"\{[{%]-?")
_NAME = re.compile(r"#|\w+")
_END_RAW = re.compile(r"\{%-?\s*endraw\s*-?%\}")
_COMMENT = re.compile(r"\{%-?\s*(endcomment|comment)\b")
_END_DOC = re.compile(r"\{%-?\s*enddoc\s*-?%\}")


def tokenize(source: str) -> Iterator[Token]:
    """Yield the tokens of a template; comments are left out.

    Raises:
        LiquidSyntaxError: something is not closed, has no name, or there is too much of it.
    """
    return _Lexer(source).tokens()


class _Lexer:
    __slots__ = ("position", "separators", "source", "tags", "trim")

    def __init__(self, source: str) -> None:
        self.source = source
        self.position = 0
        self.tags = 0
        self.separators = 0
        self.trim = False
        """Whether the last tag ended in `-`, so that the text after it loses its leading blanks."""

    def tokens(self) -> Iterator[Token]:
        source = self.source
        while self.position < len(source):
            opened = _OPEN.search(source, self.position)
            yield from self._text(opened)
            if opened is None:
                return
            self._count(opened.start())
            if source[opened.start() + 1] == "{":
                yield Token(TOKEN_OUTPUT, opened.group(), opened.start(), source)
                start, inner = self._inside(opened, "}}")
                if not inner:
                    raise self._error("nothing stands between '{{' and '}}'", opened.start())
                yield self._expression(inner, start)
            else:
                yield from self._tag(opened)

    def _text(self, until: re.Match[str] | None) -> Iterator[Token]:
        start = self.position
        text = self.source[start : until.start()] if until else self.source[start:]
        if self.trim:
            text = text.lstrip()
        if until and until.group().endswith("-"):
            text = text.rstrip()
        if text:
            yield Token(TOKEN_CONTENT, text, start, self.source)

    def _inside(self, opened: re.Match[str], closing: str) -> tuple[int, str]:
        """Move behind the closing brackets; return what stands between, and where."""
        start = opened.end()
        end = self.source.find(closing, start)
        if end < 0:
            raise self._error(f"'{opened.group()}' is never closed by '{closing}'", opened.start())
        self.position = end + len(closing)
        self.trim = end > start and self.source[end - 1] == "-"
        inner = self.source[start : end - self.trim]
        stripped = inner.lstrip()
        return start + len(inner) - len(stripped), stripped.rstrip()

    def _tag(self, opened: re.Match[str]) -> Iterator[Token]:
        start, inner = self._inside(opened, "%}")
        name = _NAME.match(inner)
        if name is None:
            raise self._error("a tag needs a name", opened.start())
        match name.group():
            case "#":
                return
            case "raw":
                body = self.position
                end = self._skip(_END_RAW, "raw", opened.start())
                if end > body:
                    yield Token(TOKEN_CONTENT, self.source[body:end], body, self.source)
            case "doc":
                self._skip(_END_DOC, "doc", opened.start())
            case "comment":
                self._skip_comment(opened.start())
            case "liquid":
                yield from self._lines(inner, start, name.end())
            case _:
                yield from self._named(inner, start, name)

    def _named(self, inner: str, start: int, name: re.Match[str]) -> Iterator[Token]:
        yield Token(TOKEN_TAG, name.group(), start, self.source)
        expression = inner[name.end() :].lstrip()
        if expression:
            yield self._expression(expression, start + len(inner) - len(expression))

    def _lines(self, inner: str, start: int, offset: int) -> Iterator[Token]:
        """Yield the lines of a `liquid` tag, each a tag of its own."""
        comments = 0
        for line in inner[offset:].split("\n"):
            tag = line.strip()
            place = start + offset + len(line) - len(line.lstrip())
            offset += len(line) + 1
            name = _NAME.match(tag)
            if name is None:
                if tag and not comments:
                    raise self._error("a line of a 'liquid' tag needs a name", place)
                continue
            self._count(place)
            if name.group() == "comment":
                comments += 1
            elif comments:
                comments -= name.group() == "endcomment"
            elif name.group() != "#":
                yield from self._named(tag, place, name)
        if comments:
            raise self._error("'comment' is never closed", start)

    def _skip(self, end: re.Pattern[str], name: str, start: int) -> int:
        """Move behind an end tag; return where it starts."""
        match = end.search(self.source, self.position)
        if match is None:
            raise self._error(f"'{name}' is never closed", start)
        self.position = match.end()
        self.trim = match.group().endswith("-%}")
        return match.start()

    def _skip_comment(self, start: int) -> None:
        depth = 1
        while depth:
            match = _COMMENT.search(self.source, self.position)
            end = self.source.find("%}", match.end()) if match else -1
            if match is None or end < 0:
                raise self._error("'comment' is never closed", start)
            depth += 1 if match.group(1) == "comment" else -1
            self.position = end + 2
            self.trim = self.source[end - 1] == "-"

    def _expression(self, text: str, start: int) -> Token:
        if text.count("(") > MAX_BRACKETS or text.count("[") > MAX_BRACKETS:
            raise self._error(f"more than {MAX_BRACKETS} brackets in one expression", start)
        self.separators += sum(map(text.count, ",.:|[("))
        if self.separators > MAX_SEPARATORS:
            raise self._error("too many terms in one template", start)
        return Token(TOKEN_EXPRESSION, text, start, self.source)

    def _count(self, start: int) -> None:
        self.tags += 1
        if self.tags > MAX_TAGS:
            raise self._error(f"more than {MAX_TAGS:,} tags in one template", start)

    def _error(self, message: str, start: int) -> LiquidSyntaxError:
        return LiquidSyntaxError(message, token=Token(TOKEN_TAG, "", start, self.source))
