"""Reads request bodies as JSON and refuses, at the edge, what some store behind it could not hold."""

import json
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple, cast

import orjson

from llmstack_api.engine.ports import Json
from llmstack_api.errors import Fault, InvalidInputError, MalformedRequestError

MAX_DEPTH = 64
"""Deepest nesting of arrays and objects."""
MAX_KEYS = 10_000
"""Most keys of one object."""
MAX_VALUES = 250_000
"""Most values of one body; 32 MB of `[],` would fill 700 MB, and parsing holds everybody up."""
MAX_FAULTS = 20
"""Most faults that one answer names."""

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_ROUNDED = 2.0**63
"""From here on a float may be an integer that orjson could not hold."""
_STRING = re.compile(rb'"[^"]*"')
_SHOWN_KEY = re.compile(r"[\w-]{1,64}")


class _TooLarge:
    """Stands for an integer beyond 64 bits."""


def parse_json(body: bytes) -> Json:
    """Return the value of a JSON body; of a key that an object has twice, the last value.

    Raises:
        MalformedRequestError: it is no JSON (NaN and what is infinite are none); the message says where.
        InvalidInputError: a text holds NUL or a lone surrogate, an integer is beyond 64 bits, or there is too
            much of something; `faults` names the places.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    if not body or body.isspace():
        raise MalformedRequestError("the body is empty; a JSON value is expected")
    if _has_too_many_values(body):
        fault = Fault("body", f"has more than {MAX_VALUES:,} values")
        raise InvalidInputError(f"{fault.loc}: {fault.msg}", faults=(fault,))
    try:
        value: Json = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if "surrogate" in error.msg:
            _refuse_surrogates(body)
        place = f"line {error.lineno}, column {error.colno}"
        raise MalformedRequestError(f"the body is no JSON: {error.msg} ({place})") from None
    look = _look(value, has_nul=b"\\u0000" in body)
    if not look.is_harmless:
        _refuse(value)
    if look.has_large_float:
        _refuse_large_integers(body)
    return value


def _has_too_many_values(body: bytes) -> bool:
    if len(body) <= MAX_VALUES or _marks(body) <= MAX_VALUES:
        return False
    # marks inside strings do not count, but to take the strings out costs time
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    if unescaped.count(b'"') > 4 * MAX_VALUES:
        return True
    return _marks(_STRING.sub(b"", unescaped)) > MAX_VALUES


def _marks(body: bytes) -> int:
    """Return the number of marks of which every value but one has its own."""
    return len(body) - len(body.translate(None, b",[{"))


class _Look(NamedTuple):
    """What a quick look at a value found."""

    is_harmless: bool
    has_large_float: bool


def _look(value: Json, *, has_nul: bool) -> _Look:
    has_large_float = False
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH):
        kinds = set(map(type, level))
        if has_nul and str in kinds and any("\0" in item for item in level if type(item) is str):
            return _Look(is_harmless=False, has_large_float=has_large_float)
        if float in kinds and any(abs(item) >= _ROUNDED for item in level if type(item) is float):
            has_large_float = True
        below: list[Json] = []
        if dict in kinds:
            for members in cast("list[dict[str, Json]]", [item for item in level if type(item) is dict]):
                if len(members) > MAX_KEYS or (has_nul and "\0" in "".join(members)):
                    return _Look(is_harmless=False, has_large_float=has_large_float)
                below.extend(members.values())
        if list in kinds:
            arrays = cast("list[list[Json]]", [item for item in level if type(item) is list])
            below.extend(chain.from_iterable(arrays))
        if not below:
            return _Look(is_harmless=True, has_large_float=has_large_float)
        level = below
    return _Look(is_harmless=False, has_large_float=has_large_float)


class _Integers:
    """Reads the integers of a body; those beyond 64 bits become marks that can be told from floats."""

    def __init__(self) -> None:
        self.has_too_large = False

    def read(self, digits: str) -> int | _TooLarge:
        if len(digits) <= len(str(_SMALLEST)) and _SMALLEST <= int(digits) <= _LARGEST:
            return int(digits)
        self.has_too_large = True
        return _TooLarge()


def _refuse_surrogates(body: bytes) -> None:
    try:
        value: Json = json.loads(body)
    except (ValueError, RecursionError):
        return
    _refuse(value)


def _refuse_large_integers(body: bytes) -> None:
    integers = _Integers()
    value: Json = json.loads(body, parse_int=integers.read)
    if integers.has_too_large:
        _refuse(value)


def _refuse(value: Json) -> None:
    """Raise an error that names what is to be refused; return if there is nothing."""
    faults = tuple(islice(_faults(value), MAX_FAULTS))
    if faults:
        raise InvalidInputError(f"{faults[0].loc}: {faults[0].msg}", faults=faults)


def _faults(value: Json) -> Iterator[Fault]:
    pending: list[tuple[str, int, Json]] = [("", 0, value)]
    while pending:
        loc, depth, item = pending.pop()
        if isinstance(item, str):
            yield from _text_faults(loc, item)
        elif isinstance(item, _TooLarge):
            yield Fault(loc or "body", "is an integer beyond 64 bits")
        elif isinstance(item, list | dict) and depth == MAX_DEPTH:
            yield Fault(loc, f"is nested deeper than {MAX_DEPTH} levels")
        elif isinstance(item, list):
            elements = cast("list[Json]", item)
            children = [(f"{loc}[{index}]", depth + 1, element) for index, element in enumerate(elements)]
            pending.extend(reversed(children))
        elif isinstance(item, dict):
            members = cast("dict[str, Json]", item)
            if len(members) > MAX_KEYS:
                yield Fault(loc or "body", f"has more than {MAX_KEYS:,} keys")
            for key in members:
                yield from _text_faults(loc, key, what="has a key that ")
            children = [(_inside(loc, key), depth + 1, member) for key, member in members.items()]
            pending.extend(reversed(children))


def _text_faults(loc: str, text: str, what: str = "") -> Iterator[Fault]:
    if "\0" in text:
        yield Fault(loc or "body", f"{what}holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        yield Fault(loc or "body", f"{what}holds a lone surrogate")


def _inside(loc: str, key: str) -> str:
    """Return the place of a member; a key that is no plain name is shown escaped and cut off."""
    if not _SHOWN_KEY.fullmatch(key):
        return f"{loc}[{json.dumps(key[:64])}]"
    return f"{loc}.{key}" if loc else key
