"""The demo's datasource: real files are uploaded, read, and searched."""

import time
from pathlib import Path
from typing import Any, Final

from llmstack_api.cli.demo_client import Client, DemoFailedError, dump, say

WAIT: Final = 30
"""Seconds that a file may take until it can be searched."""

CONFIG: Final = {"chunk_size": 400, "chunk_overlap": 50}
METADATA: Final = {
    "lending.md": {"topic": "lending", "year": 2024},
    "catalogue.csv": {"topic": "tools", "year": 2025},
    "visiting.html": {"topic": "visiting", "year": 2025},
    "safety.pdf": {"topic": "safety", "year": 2023},
}
SINCE_2025: Final = {"type": "gte", "key": "md_year", "value": 2025}
SEARCHES: Final = (
    ("Where is the first-aid box?", None, "safety.pdf"),
    ("How long are tools lent that are marked red?", None, "lending.md"),
    ("How long are tools lent that are marked red?", SINCE_2025, "catalogue.csv"),
)
"""Each with the file that its best passage has to come from."""

LIMIT: Final = 2
_SHOWN: Final = 100


def show_datasource(client: Client, folder: Path) -> str:
    """Make a datasource of the files in a folder, search it, and return its id.

    Raises:
        DemoFailedError: a file was not read, or a search did not find what it should.
    """
    made = client.post("/api/datasources", {"name": "Handbook", "type": "file", "config": CONFIG}, status=201)
    path = f"/api/datasources/{made['uuid']}"
    say(f"A datasource of files\n  POST /api/datasources  ->  201, uuid {made['uuid']}\n")
    say(f"  POST .../entries?wait={WAIT}, each file as a form, with its metadata")
    for name, metadata in METADATA.items():
        _upload(client, path, folder / name, metadata)
    say("")
    for query, filters, expected in SEARCHES:
        _search(client, path, query, filters=filters, expected=expected)
    return made["uuid"]


def _upload(client: Client, path: str, file: Path, metadata: dict[str, Any]) -> None:
    began = time.perf_counter()
    entry = client.upload(f"{path}/entries?wait={WAIT}", file, metadata)
    took = 1000 * (time.perf_counter() - began)
    if entry["status"] != "READY":
        reason = entry["error"]["message"] if entry["error"] else f"it is {entry['status']}"
        raise DemoFailedError(f"{file.name} was not made searchable: {reason}")
    chunks = entry["chunks_count"]
    say(f"    {took:6.1f} ms  {file.name:14} {entry['status']}, {chunks} chunks  {dump(metadata)}")


def _search(client: Client, path: str, query: str, *, filters: dict[str, Any] | None, expected: str) -> None:
    body: dict[str, Any] = {"query": query, "limit": LIMIT} | ({"filters": filters} if filters else {})
    say(f"  POST .../search {dump(body)}")
    began = time.perf_counter()
    hits = client.post(f"{path}/search", body)["results"]
    took = 1000 * (time.perf_counter() - began)
    say(f"    {took:6.1f} ms")
    for hit in hits:
        say(f"    {hit['score']:.3f}  {_place(hit['metadata'])}\n           {_shortened(hit['content'])}")
    say("")
    if not hits or hits[0]["metadata"]["source"] != expected:
        raise DemoFailedError(f"the best passage for {query!r} is not of {expected}")
    if filters and any(hit["metadata"]["md_year"] < filters["value"] for hit in hits):
        raise DemoFailedError("a passage was found that the filter leaves out")


def _place(metadata: dict[str, Any]) -> str:
    page = f", page {metadata['page']}" if "page" in metadata else ""
    heading = f", {metadata['heading']}" if "heading" in metadata else ""
    return f"{metadata['source']}{page}{heading}"


def _shortened(text: str) -> str:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    line = " ".join(" ".join(lines).split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3].rstrip()}..."
