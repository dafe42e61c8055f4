"""Streams decoded after the round: their text, when it came, and whether they ended as they should."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from benchmarks.load import BrokenAnswerError, Exchange

Dialect = Literal["sse", "ndjson"]


@dataclass(frozen=True)
class Reading:
    """A decoded stream: when it was asked for, and (time, tokens) of each read that brought text."""

    sent: float
    arrivals: Sequence[tuple[float, int]]

    @property
    def gaps(self) -> list[float]:
        """Seconds between one read with text and the next."""
        return [later[0] - earlier[0] for earlier, later in itertools.pairwise(self.arrivals)]


def read_stream(exchange: Exchange, dialect: Dialect, *, token_size: int, expected: str) -> Reading:
    """Decode a streamed answer; raise `BrokenAnswerError` unless it is the expected text and ends properly.

    Tokens are counted by their size, so they have to be of one size; a token cut in two counts where it ends.
    """
    text = ""
    arrivals: list[tuple[float, int]] = []
    finished = False
    for moment, lines in _lines(exchange):
        before = len(text) // token_size
        for line in lines:
            if finished:
                raise BrokenAnswerError(f"something came after the end: {line[:300]!r}")
            piece, finished = _sse(line) if dialect == "sse" else _ndjson(line)
            text += piece
        if got := len(text) // token_size - before:
            arrivals.append((moment, got))
    if not finished:
        raise BrokenAnswerError(f"cut off after {len(text)} characters")
    if text != expected:
        raise BrokenAnswerError(f"{len(text)} characters that are not the expected {len(expected)}")
    return Reading(exchange.sent, arrivals)


def _lines(exchange: Exchange) -> Iterator[tuple[float, list[bytes]]]:
    """Yield the whole lines of each read; the pieces of one read have one time."""
    rest = b""
    for moment, pieces in itertools.groupby(exchange.pieces, key=lambda piece: piece[0]):
        *lines, rest = (rest + b"".join(data for _, data in pieces)).split(b"\n")
        yield moment, [line for line in lines if line.strip()]
    if rest.strip():
        raise BrokenAnswerError("the last line is not whole")


def _sse(line: bytes) -> tuple[str, bool]:
    data = line.removeprefix(b"data:").strip()
    if data == b"[DONE]":
        return "", True
    event = _loads(data)
    choices = event.get("choices")
    if choices is None:
        raise BrokenAnswerError(f"unexpected event: {line[:300]!r}")
    return (choices[0]["delta"].get("content") or "" if choices else ""), False


def _ndjson(line: bytes) -> tuple[str, bool]:
    event = _loads(line)
    if "errors" in event:
        raise BrokenAnswerError(f"the run failed: {event['errors']}")
    if "done" in event:
        if event["done"]["status"] != "succeeded":
            raise BrokenAnswerError(f"the run is {event['done']['status']}")
        return "", True
    return event.get("answer", ""), False


def _loads(data: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise BrokenAnswerError(f"not JSON: {data[:300]!r}") from None
    if not isinstance(value, dict):
        raise BrokenAnswerError(f"not a JSON object: {data[:300]!r}")
    return value  # pyright: ignore[reportUnknownVariableType] # JSON
