"""Inputs on their way from a request to a run: large files already read, texts of forms not yet."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self, cast

from llmstack_api.engine.files import (
    FileFacts,
    describe_data_uri,
    describe_file,
    is_data_uri,
    write_data_uri,
)
from llmstack_api.engine.ports import File, Json, JsonObject

LONG: Final = 1024
"""Characters from which on a data URI is read beforehand, and not kept in records."""


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file of an input: its data URI, and what was found when it was read."""

    text: str = field(repr=False)
    facts: FileFacts | None
    fault: str = ""
    """Why there are no facts."""
    is_part: bool = False
    """Whether it is a part of a form, and not a text that its sender wrote."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a data URI; one of 30 MB takes 0.1 s."""
        try:
            return cls(text, describe_data_uri(text))
        except ValueError as error:
            return cls(text, None, str(error))

    @classmethod
    def of(cls, file: File) -> Self:
        """Write the file of a form as a data URI."""
        return cls(write_data_uri(file), describe_file(file), is_part=True)


@dataclass(frozen=True, slots=True)
class FormText:
    """A text of a form, where everything is text; what it is depends on the field."""

    text: str
    value: Json = None
    """What it says as JSON, with its files read; None where it is none."""
    fault: str = ""
    """Why it may not be read as JSON."""


def read_files(value: Json) -> Json:
    """Return a value with its long data URIs read, at whatever depth.

    This takes time and belongs in a thread; what checks and records the value afterwards takes none.
    """
    if isinstance(value, str):
        return SentFile.read(value) if len(value) > LONG and is_data_uri(value) else value
    return replaced(value, read_files)


def plain(value: Json) -> Json:
    """Return a value as JSON: its files as data URIs."""
    return value.text if isinstance(value, SentFile) else replaced(value, plain)


def replaced(value: Json, replace: Callable[[Json], Json]) -> Json:
    """Return a copy of an array or object with its elements or members replaced; anything else as it is."""
    if isinstance(value, list):
        return [replace(element) for element in cast("list[Json]", value)]
    if isinstance(value, dict):
        return {key: replace(member) for key, member in cast("JsonObject", value).items()}
    return value
