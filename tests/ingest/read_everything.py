"""Read a file of every kind in the process that reads files, and look at that process. As a program it prints that."""

import asyncio
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.reading.child import Child
from llmstack_api.ingest.reading.frames import Limits
from llmstack_api.ingest.reading.source import Source
from tests.ingest import making

CHECKOUT = Path(__file__).parents[2]
FOLDERS = (CHECKOUT / "tests" / "ingest" / "files", CHECKOUT / "examples" / "handbook")
LIMITS = Limits(memory=1 << 30, seconds=20)
WRITTEN = {
    "a.txt": "Le café est fermé.".encode("cp1252"),
    "a.xml": b"<?xml version='1.0'?><a><b>one</b><b>two</b></a>",
    "a.tsv": b"name\tnumber\nbolt\t1\nnut\t2\n",
    "a.json": b'{"name": "bolt", "number": 1}',
    "a.jsonl": b'{"name": "bolt"}\n{"name": "nut"}\n',
    "a.eml": b"From: a@example.org\nSubject: Bolts\nDate: Mon, 3 Mar 2025 10:00:00 +0100\n\nSend two.\n",
    "a.xlsb": making.xlsb([["name", "size"], ["bolt", "small"], ["nut", "large"]]),
}
"""Kinds of which there are no files by other programs."""


@dataclass
class Seen:
    """What came of it."""

    documents: dict[str, tuple[str, str | None, str]] = field(default_factory=dict)
    """By the name of the file: type, title and text."""
    failures: dict[str, str] = field(default_factory=dict)
    mapped: set[str] = field(default_factory=set)
    """Files that are mapped into the process."""
    open: set[str] = field(default_factory=set)
    """What it has open to be written."""


def files() -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for folder in FOLDERS for path in sorted(folder.iterdir())}
    return found | WRITTEN


async def read_everything() -> Seen:
    """Read all in one process, as long as it can be used."""
    seen = Seen()
    child = await Child.start()
    try:
        for name, data in files().items():
            if not child.usable:
                child.kill()
                child = await Child.start()
            try:
                document = await child.read(Source(data, name), LIMITS)
            except ExtractError as error:
                seen.failures[name] = str(error.code)
            else:
                seen.documents[name] = (document.mime_type, document.title, document.text)
            if child.usable:
                look_at(child.pid, seen)
    finally:
        child.kill()
        await child.gone()
    return seen


def look_at(pid: int, seen: Seen) -> None:
    process = Path("/proc", str(pid))
    lines = (process / "maps").read_text().splitlines()
    seen.mapped |= {line[line.index("/") :] for line in lines if "/" in line}
    for descriptor in (process / "fd").iterdir():
        info = (process / "fdinfo" / descriptor.name).read_text()
        [flags] = [line.split()[1] for line in info.splitlines() if line.startswith("flags:")]
        if int(flags, 8) & os.O_ACCMODE != os.O_RDONLY:
            seen.open.add(str(descriptor.readlink()))


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(asdict(asyncio.run(read_everything())), default=sorted))
