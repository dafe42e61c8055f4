"""What a check of the doctor says, and how it writes what it found."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

TIMEOUT: Final = 10.0
"""Seconds that one check may take."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    kind: Literal["ok", "note", "problem"]
    subject: str
    text: str


def without_password(text: str) -> str:
    """Leave out what an address may hold before its `@`."""
    before, mark, after = text.partition("://")
    return before + mark + after.rpartition("@")[2] if mark else text


def folder_finding(subject: str, folder: Path, *, least: int) -> Finding:
    """Tell whether a folder can be written, or made, and has at least so many bytes of room."""
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            free = shutil.disk_usage(place).free
    except OSError as error:
        return Finding("problem", subject, f"{place}: {error.strerror}; set LLMSTACK_DATA_DIR")
    room = f"{free / 1e9:.1f} GB free"
    if free < least:
        return Finding("problem", subject, f"{folder}: only {room}; make room")
    if place == folder:
        return Finding("ok", subject, f"{folder} can be written, {room}")
    return Finding("ok", subject, f"{folder} is not there yet; 'serve' makes it, {room}")
