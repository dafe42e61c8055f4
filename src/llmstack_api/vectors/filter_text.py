r"""Reads a filter from a line of text: `lang == "en" || lang == "de" && year >= 2020`.

`||` binds tighter than `&&`: the line above means (en or de) and from 2020 on. Without parentheses there are no
other nestings; the JSON tree has them.

- Operators: `==`, `!=`, `>`, `>=`, `<`, `<=`, and `LIKE` (contains; its value has no wildcards).
- Values: texts in double or single quotes, integers, decimals, `true` and `false`. A backslash escapes as in JSON
  (`\"`, `\\`, `\n`, `\u00e9`), and `\'` too; inside quotes nothing else has a meaning.
- `LIKE`, `true` and `false` may be written in any case.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NoReturn

from llmstack_api.errors import Fault, InvalidFilterError
from llmstack_api.vectors.filter_rules import key_fault, shown, stored_key, value_faults
from llmstack_api.vectors.filters import Compare, Filter, Group, Junction, Operator, Scalar

MAX_LENGTH: Final = 4096
"""Longest line, in characters."""

MAX_COMPARISONS: Final = 256
"""Most comparisons of one line."""

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    | (?P<text>"(?:[^"\\]|\\.)*+" | '(?:[^'\\]|\\.)*+')
    | (?P<symbol>&&|\|\||[=!<>]=|[<>])
    | (?P<word>[^\s"'&|=!<>()]+)
    | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<fraction>(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", **{char: char for char in "\"'\\/"}}

_OPERATORS = {
    "==": Operator.EQ,
    "!=": Operator.NE,
    ">": Operator.GT,
    ">=": Operator.GTE,
    "<": Operator.LT,
    "<=": Operator.LTE,
    "LIKE": Operator.LIKE,
}
_BOOLEANS = {"true": True, "false": False}
_HINTS = {
    "=": "write == for equal",
    "&": "write && for and",
    "|": "write || for or",
    "!": "write != for not equal",
    "(": "there are no parentheses: || binds tighter than &&, and the JSON tree has every other nesting",
    ")": "there are no parentheses: || binds tighter than &&, and the JSON tree has every other nesting",
    '"': "this quote is not closed",
    "'": "this quote is not closed",
    "AND": "write && for and",
    "OR": "write || for or",
    "NOT": "there is no negation but !=; the JSON tree has ne and nin",
    "IN": "there are no lists: join == by ||, or use the JSON tree's in",
}


def parse_filter_text(text: str, *, loc: str = "search_filters") -> Filter:
    """Read a filter; `loc` is its place in the request.

    Raises:
        InvalidFilterError: it is malformed; the message says at which character, counted from 1.
    """
    if len(text) > MAX_LENGTH:
        _refuse(loc, f"has {len(text):,} characters; {MAX_LENGTH:,} is the most")
    if not text or text.isspace():
        _refuse(loc, 'is empty; a comparison such as lang == "en" is expected')
    line = _Line(loc, _tokens(text))
    parts = [_read_choice(line)]
    while line.take_if("&&"):
        parts.append(_read_choice(line))
    if line.next.kind != "end":
        line.refuse(line.next, "&&, || or the end is expected")
    return parts[0] if len(parts) == 1 else Group(Junction.AND, tuple(parts))


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    """Name of a group of `_TOKEN`, or `end`."""
    text: str
    start: int


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "space":
            yield _Token(match.lastgroup or "", match[0], match.start())
    yield _Token("end", "", len(text))


class _Line:
    """What is left to read."""

    def __init__(self, loc: str, tokens: Iterator[_Token]) -> None:
        self._loc = loc
        self._tokens = tokens
        self.next = next(tokens)
        self.comparisons = 0

    def take(self) -> _Token:
        """Return the next token and go on; the end stays."""
        token = self.next
        self.next = next(self._tokens, token)
        return token

    def take_if(self, symbol: str) -> bool:
        """Go on if the next token is a symbol."""
        if self.next.kind != "symbol" or self.next.text != symbol:
            return False
        self.take()
        return True

    def refuse(self, token: _Token, expected: str) -> NoReturn:
        """Refuse a token where something else is expected."""
        found = "the end" if token.kind == "end" else shown(token.text)
        hint = _HINTS.get(token.text.upper())
        self.fail(token, f"{expected}, found {found}{f' ({hint})' if hint else ''}")

    def fail(self, token: _Token, msg: str) -> NoReturn:
        """Refuse what is wrong with a token."""
        _refuse(self._loc, f"at character {token.start + 1}: {msg}")


def _read_choice(line: _Line) -> Filter:
    choices: list[Filter] = [_read_comparison(line)]
    while line.take_if("||"):
        choices.append(_read_comparison(line))
    return choices[0] if len(choices) == 1 else Group(Junction.OR, tuple(choices))


def _read_comparison(line: _Line) -> Compare:
    line.comparisons += 1
    if line.comparisons > MAX_COMPARISONS:
        line.fail(line.next, f"a filter has at most {MAX_COMPARISONS} comparisons")
    key = line.take()
    if key.kind != "word":
        line.refuse(key, "a key is expected")
    if fault := key_fault(key.text):
        line.fail(key, fault)
    sign = line.take()
    operator = _OPERATORS.get(sign.text.upper())
    if operator is None:
        line.refuse(sign, f"after the key, one of {' '.join(_OPERATORS)} is expected")
    token = line.take()
    if token.kind not in {"text", "word"}:
        line.refuse(token, f"a value is expected after {sign.text}")
    value = _text(token, line) if token.kind == "text" else _word(token, line)
    for _, fault in value_faults(operator, value):
        line.fail(token, fault)
    return Compare(operator, stored_key(key.text), value)


def _word(token: _Token, line: _Line) -> Scalar:
    """Return the value that stands without quotes."""
    if number := _NUMBER.fullmatch(token.text):
        return float(token.text) if number["fraction"] else int(token.text)
    if token.text.lower() not in _BOOLEANS:
        line.fail(
            token, f"{shown(token.text)} is neither a number nor true or false; a text stands in quotes"
        )
    return _BOOLEANS[token.text.lower()]


def _text(token: _Token, line: _Line) -> str:
    """Return the value that stands in quotes."""
    inner = token.text[1:-1]
    if "\\" not in inner:
        return inner

    def unescape(match: re.Match[str]) -> str:
        if code := match[1]:
            return chr(int(code, 16))
        if match[2] not in _ESCAPED:
            place = _Token("text", "", token.start + 1 + match.start())
            line.fail(place, f"{shown(match[0])} is no escape; a backslash itself is written twice")
        return _ESCAPED[match[2]]

    text = _ESCAPE.sub(unescape, inner)
    # beyond the first 65,536 characters JSON escapes write two halves
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _refuse(loc: str, msg: str) -> NoReturn:
    raise InvalidFilterError(f"{loc}: {msg}", faults=(Fault(loc, msg),))
