"""YAML as a text form of JSON: nothing comes in that JSON could not hold, what goes out can be reviewed."""

import json
import math
import re
from collections.abc import Iterator
from typing import Protocol, cast

import yaml
from yaml.cyaml import CLoader

from llmstack_api.engine.ports import Json
from llmstack_api.errors import BodyTooLargeError, MalformedRequestError

MAX_BYTES = 1024 * 1024
"""Largest document read; the worst one of this size takes a quarter of a second."""
MAX_DEPTH = 50
MAX_NODES = 50_000

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_DIRECTIVE = re.compile("(?:^|[\n\r\x85\u2028\u2029])%")
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NOTHING = object()


class _Mark(Protocol):
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


def load_yaml(data: bytes) -> Json:
    """Return the JSON value that a YAML document stands for.

    Plain scalars are read as JSON would be: `null`, `true`, `false` and decimal numbers; all else is text,
    `yes` and `2024-01-01` too. A mapping's keys are text as written.

    Raises:
        BodyTooLargeError: it has more than `MAX_BYTES`.
        MalformedRequestError: it is no YAML, or uses more of YAML than that; the message says where.
    """
    if len(data) > MAX_BYTES:
        raise BodyTooLargeError(f"a YAML document has at most {MAX_BYTES:,} bytes, not {len(data):,}")
    document = _Document()
    try:
        # the events of libyaml, which come one by one; its loader recurses and dies of deep nesting
        for event in yaml.parse(_checked_text(data), Loader=CLoader):
            document.take(event)
    except yaml.MarkedYAMLError as error:
        raise _refusal(error.problem_mark, error.problem or "this is no YAML") from None
    return document.value()


def _checked_text(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedRequestError(f"byte {error.start + 1} is no UTF-8") from None
    strange = _UNPRINTABLE.search(text)
    if strange:
        place = _place_of(text, strange.start())
        raise MalformedRequestError(f"{place}: the character U+{ord(strange.group()):04X} is not accepted")
    # libyaml takes quadratic time for directives
    directive = _DIRECTIVE.search(text)
    if directive:
        place = _place_of(text, directive.end() - 1)
        raise MalformedRequestError(f"{place}: directives are not accepted; no line may start with '%'")
    return text


def _place_of(text: str, index: int) -> str:
    start = text.rfind("\n", 0, index) + 1
    return f"line {text.count(chr(10), 0, index) + 1}, column {index - start + 1}"


def _refusal(mark: _Mark | None, problem: str) -> MalformedRequestError:
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return MalformedRequestError(place + problem)


class _Document:
    """The value that events build up."""

    def __init__(self) -> None:
        self._documents = 0
        self._nodes = 0
        self._root: Json = _NOTHING
        self._open: list[tuple[list[Json] | dict[str, Json], Json]] = []
        """The arrays and objects around, each with the key that waits for its value in the latter."""

    def value(self) -> Json:
        if self._root is _NOTHING:
            raise MalformedRequestError("the document is empty")
        return self._root

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._check(event)
            self._scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._check(event)
            self._begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
        elif isinstance(event, yaml.AliasEvent):
            raise _refusal(event.start_mark, f"the alias '*{event.anchor}' is not accepted")
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _refusal(event.start_mark, "a second document begins; one is accepted")

    def _check(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _refusal(event.start_mark, f"the document has more than {MAX_NODES:,} values")
        if event.anchor is not None:
            raise _refusal(event.start_mark, f"the anchor '&{event.anchor}' is not accepted")
        if event.tag is not None:
            raise _refusal(event.start_mark, f"the tag '{event.tag}' is not accepted")

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise _refusal(event.start_mark, f"the document is nested deeper than {MAX_DEPTH} levels")
        if self._open and self._awaits_key():
            raise _refusal(event.start_mark, "a key has to be text")
        opened: list[Json] | dict[str, Json] = [] if isinstance(event, yaml.SequenceStartEvent) else {}
        self._place(opened)
        self._open.append((opened, _NOTHING))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        plain = event.implicit[0]
        text: str = event.value
        if "\0" in text:
            raise _refusal(event.start_mark, "the character U+0000 is not accepted")
        if not self._open or not self._awaits_key():
            self._place(_resolved(text, event.start_mark) if plain else text)
            return
        container = cast("dict[str, Json]", self._open[-1][0])
        if plain and text == "<<":
            raise _refusal(event.start_mark, "merge keys ('<<') are not accepted")
        if text in container:
            raise _refusal(event.start_mark, f"the key {text!r} stands here for the second time")
        self._open[-1] = container, text

    def _awaits_key(self) -> bool:
        container, key = self._open[-1]
        return isinstance(container, dict) and key is _NOTHING

    def _place(self, value: Json) -> None:
        if not self._open:
            self._root = value
            return
        container, key = self._open[-1]
        if isinstance(container, list):
            container.append(value)
        else:
            container[key] = value
            self._open[-1] = container, _NOTHING


def _resolved(text: str, mark: _Mark | None) -> Json:
    """Return what a plain scalar means."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _WHOLE.fullmatch(text):
        if len(text) > len(str(_SMALLEST)) or not _SMALLEST <= int(text) <= _LARGEST:
            raise _refusal(mark, "the number does not fit in 64 bits; put quotes around it to make it text")
        return int(text)
    if _NOT_FINITE.fullmatch(text) or (_DECIMAL.fullmatch(text) and math.isinf(float(text))):
        raise _refusal(mark, "the number is not finite; put quotes around it to make it text")
    return float(text) if _DECIMAL.fullmatch(text) else text


# --- writing ---------------------------------------------------------------------------------------------

_OTHERWISE = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
"""Words that some readers of YAML take for something else than text."""
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_BREAKS = re.compile("[\r\x85\u2028\u2029]")
"""What YAML may take for the end of a line, other than the usual."""
_MAX_KEY = 128
"""Longest key that is written before its colon; YAML would allow 1,024 characters."""


def dump_yaml(value: Json) -> str:
    """Return a JSON value as YAML that `load_yaml` reads back exactly: keys in order, lines kept as lines."""
    if isinstance(value, dict | list) and value:
        return "".join(f"{line}\n" for line in _entries(cast("dict[str, Json] | list[Json]", value), 0))
    return "".join(f"{line}\n" for line in _under("", value, 0)).removeprefix(" ")


def _entries(value: dict[str, Json] | list[Json], indent: int) -> Iterator[str]:
    """Yield the lines of what is in an object or array."""
    pad = " " * indent
    if isinstance(value, list):
        for item in value:
            yield from _under(f"{pad}-", item, indent)
        return
    for key, item in value.items():
        name = _text(key)
        if len(name) > _MAX_KEY:
            yield f"{pad}? {name}"
            name = ""
        yield from _under(f"{pad}{name}:", item, indent)


def _under(head: str, item: Json, indent: int) -> Iterator[str]:
    """Yield the lines of a value that follows a dash or a key."""
    if isinstance(item, dict | list) and item:
        lines = _entries(cast("dict[str, Json] | list[Json]", item), indent + 2)
        yield f"{head} {next(lines).lstrip(' ')}" if head.endswith("-") else head
        yield from lines
    elif isinstance(item, str) and _keeps_lines(item):
        body = item.split("\n")
        ending = "|-" if body[-1] else "|+" if not body[-2] else "|"
        yield f"{head} {ending}"
        yield from (
            f"{' ' * (indent + 2)}{line}" if line else "" for line in (body if body[-1] else body[:-1])
        )
    else:
        yield f"{head} {_text(item) if isinstance(item, str) else json.dumps(item, allow_nan=False)}"


def _keeps_lines(text: str) -> bool:
    """Tell whether a text can stand as a block of lines without any doubt about its blanks."""
    if "\n" not in text or text[0] in " \t\n" or _UNPRINTABLE.search(text) or _BREAKS.search(text):
        return False
    return not any(line.isspace() for line in text.split("\n"))


def _text(text: str) -> str:
    """Return a text as a scalar of one line: without quotes where no reader could mistake it."""
    if text.isprintable():
        if (
            (text[:1].isalpha() or text[:1] == "_")
            and not text.endswith((":", " "))
            and ": " not in text
            and " #" not in text
            and text.lower() not in _OTHERWISE
        ):
            return text
        if "\\" in text or '"' in text:
            doubled = text.replace("'", "''")
            return f"'{doubled}'"
    quoted = json.dumps(text, ensure_ascii=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", quoted)
