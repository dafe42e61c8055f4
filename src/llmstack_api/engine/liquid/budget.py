"""What templates may spend: counted by what they do, not by a clock, so that the same ends the same."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, cast

import orjson

from llmstack_api.errors import TemplateError

WORK = 200_000_000
"""Nanoseconds that all templates of a run may take together, by the tariffs below."""
TEXT = 40 * 1024 * 1024
"""Bytes of memory that all templates of a run may fill with what they make and print."""

ELEMENT = 400
"""Tariff of looking at one element of an array or object."""
PRINTED = 800
"""Tariff of printing one."""
TURN = 5_000_000
"""Work after which rendering lets other tasks run."""
_HEADER = 72
"""Bytes that CPython keeps beside the characters of a text which is not ASCII."""
_SHORT = 100
"""Longest text whose characters are looked at one by one to see how wide they are."""
_CONSTANTS = {None: "", True: "true", False: "false"}
_kind_of: Callable[[Any], Any] = type
_SCALAR = 8
"""Characters that an element counts for beside its text."""


class Budget:
    """What is left to spend; one object may serve all templates of a run."""

    __slots__ = ("_limit", "_turn", "text", "work")

    def __init__(self, *, work: int = WORK, text: int = TEXT) -> None:
        self.work = work
        self.text = text
        self._limit = text
        self._turn = work - TURN

    def spend(self, work: int) -> None:
        """Pay for work.

        Raises:
            TemplateError: there is not that much left.
        """
        self.work -= work
        if self.work < 0:
            raise TemplateError("templates do more work in this run than they may: fewer or shorter loops")

    def afford(self, size: int) -> None:
        """Refuse a text, before it is made, that could not be paid for."""
        if size > self.text:
            raise TemplateError(f"templates make more than {self._limit / 2**20:g} MiB of text in this run")

    def make(self, size: int) -> None:
        """Pay for memory that is filled.

        Raises:
            TemplateError: there is not that much left.
        """
        self.afford(size)
        self.text -= size
        self.spend(size >> 1)

    def make_text(self, text: str) -> str:
        """Pay for a text that was made; return it."""
        self.make(size_of(text))
        return text

    def read(self, value: object) -> int:
        """Pay for looking at all of a value; return roughly how many characters it holds."""
        characters, elements = self._looked_at(value)
        return characters + _SCALAR * elements

    def _looked_at(self, value: object) -> tuple[int, int]:
        if isinstance(value, str):
            self.spend(len(value) >> 2)
            return len(value), 0
        characters = elements = 0
        pending: list[Any] = [value]
        while pending:
            item = pending.pop()
            kind = _kind_of(item)
            if kind is str:
                characters += len(item)
            elif kind is dict or kind is list or kind is tuple:
                elements += len(item)
                if elements * ELEMENT > self.work:
                    break
                pending.extend(item.values() if kind is dict else item)
            elif kind is range:
                elements += max(item.stop - item.start, 0)
        self.spend(elements * ELEMENT + characters)
        return characters, elements

    def text_of(self, value: object) -> str:
        """Pay for a value as text; return it as Liquid prints it."""
        if isinstance(value, str):
            self.spend(len(value) >> 2)
            return value
        characters, elements = self._looked_at(value)
        self.spend(elements * PRINTED + characters * 4)
        self.afford(3 * (characters + _SCALAR * elements))
        return self.make_text(to_text(value))

    async def rest(self) -> None:
        """Let other tasks run when it is their turn."""
        if self.work < self._turn:
            self._turn = self.work - TURN
            await asyncio.sleep(0)


def size_of(text: str) -> int:
    """Bytes that a text fills."""
    return len(text) if text.isascii() else text.__sizeof__()


def width_of(text: str) -> int:
    """Bytes that each character of a text fills."""
    if text.isascii():
        return 1
    if len(text) > _SHORT:
        return min((text.__sizeof__() - _HEADER) // len(text), 4)
    highest = max(text)
    return 1 if highest < "\u0100" else 2 if highest < "\U00010000" else 4


def to_text(value: object) -> str:
    """Return a value as Liquid prints it: nil as nothing, an array as its elements, an object as JSON."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool):
        return _CONSTANTS[value]
    if isinstance(value, list | tuple):
        return "".join(map(to_text, cast("Iterable[object]", value)))
    if isinstance(value, dict):
        return to_json(cast("dict[str, object]", value))
    if isinstance(value, range):
        return f"{value.start}..{value.stop - 1}"
    return str(value)


def to_json(value: object) -> str:
    """Return a value as JSON.

    Raises:
        TypeError: it is, or holds, something that is none of JSON's.
    """
    return orjson.dumps(value, default=_json_of).decode()


def _json_of(value: object) -> object:
    if isinstance(value, range):
        return list(value)
    raise TypeError(f"a {type(value).__name__} is no JSON value")
