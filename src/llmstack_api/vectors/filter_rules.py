"""What a filter may hold, however it is written: its keys, its values, its size."""

import json
import math
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, cast

from llmstack_api.vectors.filters import ORDERS, Operator

MAX_DEPTH: Final = 16
"""Deepest nesting of groups and comparisons."""

MAX_NODES: Final = 256
"""Most comparisons and groups of one filter."""

MAX_VALUES: Final = 1024
"""Most values in the lists of one filter."""

MAX_TEXT: Final = 4096
"""Longest text that is compared with, in characters; metadata holds no longer one."""

MAX_OWN_KEY: Final = 64
"""Longest key of metadata as its owner wrote it, in characters."""

PREFIX: Final = "md_"
"""What a key of metadata is stored with."""

MAX_KEY: Final = MAX_OWN_KEY + len(PREFIX)
"""Longest stored key, in characters."""

GENERATED_KEYS: Final = frozenset({"source", "name", "mime_type", "page", "heading", "sheet", "table"})
"""Stored keys that the server fills in; all others are keys of metadata."""

LISTS: Final = frozenset({Operator.IN, Operator.NIN})
"""The operators that take a list."""

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_SHOWN = 40
_UNORDERED = "compares numbers only; store a date as a number, such as 20240131 or a Unix time"


def is_key(key: str) -> bool:
    """Tell whether a key of metadata, as its owner wrote it, is one: letters of any script, digits, `_` and `-`."""
    return 0 < len(key) <= MAX_OWN_KEY and all(
        letter in "_-" or unicodedata.category(letter)[0] in "LM" or letter.isdecimal() for letter in key
    )


def stored_key(key: str) -> str:
    """Return the stored key that is meant: a bare key that the server does not fill in is one of metadata."""
    if key in GENERATED_KEYS or (key.startswith(PREFIX) and key != PREFIX):
        return key
    return PREFIX + key


def key_fault(key: object) -> str | None:
    """Say what is wrong with a key, if anything."""
    if not isinstance(key, str):
        return f"must be a text, not {_kind(key)}"
    if is_key(key.removeprefix(PREFIX)) or key == PREFIX:
        return None
    return f"{shown(key)} is no key: 1 to 64 letters, digits, _ and -, after an optional {PREFIX}"


def value_faults(operator: Operator, value: object) -> Iterator[tuple[str, str]]:
    """Say what is wrong with the value of a comparison: each place inside the value, and the message."""
    if operator in LISTS:
        yield from _list_faults(operator, value)
    elif fault := _value_fault(operator, value):
        yield "", fault


def _list_faults(operator: Operator, value: object) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list):
        single = Operator.EQ if operator is Operator.IN else Operator.NE
        yield "", f"{operator} takes a list, not {_kind(value)}; {single} takes one value"
        return
    values = cast("Sequence[object]", value)
    if not values:
        yield "", f"{operator} needs at least one value"
    for index, each in enumerate(values):
        if fault := _scalar_fault(each):
            yield f"[{index}]", fault


def _value_fault(operator: Operator, value: object) -> str | None:
    if operator in ORDERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{operator} {_UNORDERED}; this is {_kind(value)}"
    elif operator is Operator.LIKE:
        if not isinstance(value, str):
            return f"like takes a text, not {_kind(value)}"
        if not value:
            return "like needs a text to look for; this one is empty"
    elif isinstance(value, list):
        several = Operator.IN if operator is Operator.EQ else Operator.NIN
        return f"{operator} takes one value, not a list; {several} takes a list"
    return _scalar_fault(value)


def _scalar_fault(value: object) -> str | None:
    match value:
        case bool():
            return None
        case str():
            return _text_fault(value)
        case int():
            return None if _SMALLEST <= value <= _LARGEST else "is an integer beyond 64 bits"
        case float():
            return None if math.isfinite(value) else "is no finite number"
        case _:
            return f"must be a text, a number or a boolean, not {_kind(value)}"


def _text_fault(text: str) -> str | None:
    if len(text) > MAX_TEXT:
        return f"has {len(text):,} characters; {MAX_TEXT:,} is the most"
    if "\0" in text:
        return "holds a NUL character"
    return None if _is_unicode(text) else "holds a lone surrogate"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: object) -> str:
    """Name the kind of a JSON value."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"


def shown(text: str) -> str:
    """Return a text as a message shows it: in quotes, escaped where need be, cut off where it is long."""
    start = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return json.dumps(start, ensure_ascii=not start.isprintable())
