"""How fast texts become searchable and how fast they are found: `python -m benchmarks.retrieval`."""

import argparse
import asyncio
import random
import secrets
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import orjson
import uvloop

from benchmarks.load import Connection, connect, encode
from benchmarks.processes import Server, free_port
from benchmarks.targets import service

CLIENTS = 4
TEXTS = 2_000
WORDS = 120
SEARCHES = 200
LARGE = 100
"""Passages of one of the large entries that fill the index."""
GROUPS = 10
"""Values of the metadata that searches filter by."""
PATIENCE = 120.0
_WARM_UP = 20


@dataclass(frozen=True)
class Api:
    """The service under test."""

    server: Server
    token: str

    async def call(self, connection: Connection, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 # JSON
        """Make a call; return the JSON of its answer."""
        exchange = await connection.request(
            encode(method, path, body=body, token=self.token), patience=PATIENCE
        )
        return orjson.loads(exchange.body)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=__doc__)
    parser.add_argument(
        "--chunks",
        default="2000,10000,100000",
        help="sizes of the index at which searches are timed, from 2000 on (default: %(default)s)",
    )
    options = parser.parse_args()
    uvloop.run(_measure([int(size) for size in options.chunks.split(",")]))


async def _measure(sizes: Sequence[int]) -> None:
    words = Words()
    with tempfile.TemporaryDirectory(prefix="llmstack-benchmarks-") as name:
        token = secrets.token_urlsafe(32)
        async with service(free_port(), token=token, folder=Path(name)) as server:
            api = Api(server, token)
            connections = [await connect(server.port) for _ in range(CLIENTS)]
            await asyncio.sleep(1)
            print(f"idle memory, no datasource: {_megabytes(server)}")
            datasource = await _make(api, connections[0])
            await _ingest(api, connections, datasource, words)
            filled = TEXTS
            for size in sizes:
                await _fill(api, connections, datasource, words, passages=size - filled)
                filled = size
                await _search(api, connections[0], datasource, words, size)
            for connection in connections:
                connection.close()


async def _ingest(api: Api, connections: Sequence[Connection], datasource: str, words: "Words") -> None:
    path = f"/api/datasources/{datasource}/entries"
    texts = iter([words.text(WORDS) for _ in range(TEXTS)])
    began = perf_counter()
    cpu = api.server.cpu()

    async def post(connection: Connection) -> None:
        for text in texts:
            body = {"entry_data": {"content": text}, "entry_metadata": {"group": words.group()}}
            await api.call(connection, "POST", path, body)

    async with asyncio.TaskGroup() as group:
        for connection in connections:
            group.create_task(post(connection))
    accepted = perf_counter() - began
    await _settled(api, connections[0], path)
    ready = perf_counter() - began
    failed = await api.call(connections[0], "GET", f"{path}?status=FAILED&limit=1")
    used = api.server.cpu() - cpu
    print(
        f"{TEXTS} texts of {WORDS} words, {CLIENTS} clients: accepted {TEXTS / accepted:.0f}/s, "
        f"searchable {TEXTS / ready:.0f}/s, {1000 * used / TEXTS:.2f} ms CPU each, failed: {len(failed)}; "
        f"memory {_megabytes(api.server)}"
    )


async def _fill(
    api: Api, connections: Sequence[Connection], datasource: str, words: "Words", *, passages: int
) -> None:
    path = f"/api/datasources/{datasource}/entries"
    entries = iter(range(passages // LARGE))
    began = perf_counter()

    async def post(connection: Connection) -> None:
        for _ in entries:
            text = "\n\n".join(words.text(150) for _ in range(LARGE))
            body = {"entry_data": {"content": text}, "entry_metadata": {"group": words.group()}}
            await api.call(connection, "POST", path, body)

    async with asyncio.TaskGroup() as group:
        for connection in connections:
            group.create_task(post(connection))
    await _settled(api, connections[0], path)
    if passages:
        print(f"{passages} passages more in {perf_counter() - began:.1f} s")


async def _settled(api: Api, connection: Connection, path: str) -> None:
    while await api.call(connection, "GET", f"{path}?status=PROCESSING&limit=1"):  # noqa: ASYNC110 # of another process
        await asyncio.sleep(0.05)


async def _search(api: Api, connection: Connection, datasource: str, words: "Words", size: int) -> None:
    path = f"/api/datasources/{datasource}/search"
    print(f"search, {size} chunks (memory {_megabytes(api.server)}):")
    for label, more in _kinds(words):
        times: list[float] = []
        for number in range(_WARM_UP + SEARCHES):
            body = {"query": words.text(5), "limit": 10, **more}
            began = perf_counter()
            answer = await api.call(connection, "POST", path, body)
            if number >= _WARM_UP:
                times.append(1000 * (perf_counter() - began))
            if len(answer["results"]) != 10:
                raise SystemExit(f"a search found {len(answer['results'])} passages")
        print(f"  {label:24} p50 {median(times):6.2f} ms   p95 {quantiles(times, n=20)[-1]:6.2f} ms")


def _kinds(words: "Words") -> Iterator[tuple[str, dict[str, Any]]]:
    yield "hybrid", {}
    yield "hybrid, filtered", {"filters": {"type": "eq", "key": "group", "value": words.group()}}
    yield "semantic", {"mode": "semantic"}
    yield "keyword", {"mode": "keyword"}


async def _make(api: Api, connection: Connection) -> str:
    made = await api.call(connection, "POST", "/api/datasources", {"name": "benchmark", "type": "text"})
    return made["uuid"]


def _megabytes(server: Server) -> str:
    return f"{server.memory() / 1e6:.0f} MB"


class Words:
    """Made-up texts whose words are as frequent as words are."""

    def __init__(self) -> None:
        self._random = random.Random(1)  # noqa: S311 # the same texts each time
        letters = "bcdfghklmnprstvw"
        syllables = [consonant + vowel for consonant in letters for vowel in "aeiou"]
        self._words = [
            "".join(self._random.choices(syllables, k=self._random.randint(1, 4))) for _ in range(20_000)
        ]
        self._weights = [1 / rank for rank in range(1, len(self._words) + 1)]

    def text(self, count: int) -> str:
        """Make a text of so many words."""
        return " ".join(self._random.choices(self._words, self._weights, k=count)) + "."

    def group(self) -> str:
        """Choose a value of metadata."""
        return f"g{self._random.randrange(GROUPS)}"


if __name__ == "__main__":
    sys.exit(main())
