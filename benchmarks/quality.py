"""Measure how well searches find, on collections with judged questions: `python -m benchmarks.quality FOLDER...`.

A FOLDER holds `corpus.jsonl.gz` (id, title, text), `queries.jsonl.gz` (id, text) and `qrels.jsonl.gz` (query_id,
doc_id, rel). Documents are chunked, embedded, stored and searched by the code of the service, with the bundled
model and the in-process index, each as an entry that is named by its title; a document ranks where its best chunk
does.
"""

import argparse
import asyncio
import gzip
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from time import perf_counter, process_time
from typing import Any, Final
from uuid import UUID

import orjson
import uvloop

from llmstack_api.datasources.points import Passage, embed, passages
from llmstack_api.ingest.chunk import DEFAULT_OVERLAP, DEFAULT_SIZE, chunk
from llmstack_api.ingest.document import Document
from llmstack_api.vectors.bundled import BundledEmbedder
from llmstack_api.vectors.edge import EdgeStore
from llmstack_api.vectors.index import BUNDLED_WEIGHTS, Index, Mode, Space, Wanted
from llmstack_api.vectors.sparse import encode_passage
from llmstack_api.vectors.store import Fusion, Point

DEPTH: Final = 10
"""Documents of an answer that are judged."""

LIMIT: Final = 50
"""Chunks that are searched for, so that ten documents are among them."""

TIME_LIMIT: Final = 900.0
"""Seconds after which the measurement is given up."""

_SLICE: Final = 128
_DATASOURCE: Final = UUID(int=0)
_COLLECTION: Final = "quality"


@dataclass(frozen=True, slots=True)
class Collection:
    """A judged collection."""

    documents: dict[str, tuple[str, str]]
    """Title and text, by id; the title stands for a text that is empty."""
    queries: dict[str, str]
    judged: dict[str, dict[str, int]]
    """Gain of each relevant document, by query."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Means over the questions."""

    ndcg: float
    recall: float
    milliseconds: float
    """Of one search, its question's vectors included."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """How much was stored, and what it took."""

    chunks: int
    cpu_seconds: float
    wall_seconds: float


def main() -> int:
    """Measure the collection that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="folder of the three files")
    parser.add_argument("--size", type=int, default=DEFAULT_SIZE, help="characters of a chunk (%(default)s)")
    parser.add_argument(
        "--overlap", type=int, default=DEFAULT_OVERLAP, help="characters shared by chunks (%(default)s)"
    )
    parser.add_argument(
        "--weights",
        type=float,
        nargs=2,
        default=BUNDLED_WEIGHTS,
        metavar=("DENSE", "SPARSE"),
        help="weights of the two halves in the sum of scores (%(default)s)",
    )
    options = parser.parse_args()
    weights = (options.weights[0], options.weights[1])
    failed = 0
    for folder in options.folders:
        try:
            collection = load(folder)
            print(f"{folder.name}: ", end="", flush=True)
            uvloop.run(_report(collection, size=options.size, overlap=options.overlap, weights=weights))
        except TimeoutError:
            print(f"quality: given up after {TIME_LIMIT:.0f} s", file=sys.stderr)
            failed = 1
        except (OSError, KeyError, orjson.JSONDecodeError) as error:
            print(f"quality: {folder} is not such a collection: {error!r}", file=sys.stderr)
            failed = 1
    return failed


def load(folder: Path) -> Collection:
    """Read a collection; questions without a relevant document are left out."""
    judged: dict[str, dict[str, int]] = {}
    for row in _rows(folder / "qrels.jsonl.gz"):
        if row["rel"] > 0:
            judged.setdefault(row["query_id"], {})[row["doc_id"]] = row["rel"]
    return Collection(
        documents={
            row["id"]: (row["title"], row["text"] or row["title"])
            for row in _rows(folder / "corpus.jsonl.gz")
        },
        queries={row["id"]: row["text"] for row in _rows(folder / "queries.jsonl.gz") if row["id"] in judged},
        judged=judged,
    )


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path) as file:
        for line in file:
            yield orjson.loads(line)


async def _report(collection: Collection, *, size: int, overlap: int, weights: tuple[float, float]) -> None:
    async with asyncio.timeout(TIME_LIMIT):
        with tempfile.TemporaryDirectory(prefix="llmstack-quality-") as name:
            store = EdgeStore(Path(name))
            try:
                index, embedder = Index(store), BundledEmbedder()
                space = Space(
                    collection=_COLLECTION,
                    dimension=await embedder.dimension(),
                    embedder=embedder,
                    fusion=Fusion.SCORES,
                    weights=weights,
                )
                indexed = await _fill(index, space, collection, size=size, overlap=overlap)
                found = {mode: await _measure(index, space, collection, mode=mode) for mode in Mode}
            finally:
                await store.close()
    print(table(collection, indexed, found))


async def _fill(index: Index, space: Space, collection: Collection, *, size: int, overlap: int) -> Indexed:
    cpu, wall = process_time(), perf_counter()
    found: list[tuple[str, Passage]] = []
    for document_id, (title, text) in collection.documents.items():
        pieces = chunk(Document(text=text), size=size, overlap=overlap)
        found += [(document_id, passage) for passage in passages(text, pieces, name=title, title=None)]
    for start in range(0, len(found), _SLICE):
        part = found[start : start + _SLICE]
        vectors = await embed(space.embedder, [passage for _, passage in part])
        points = [
            Point(
                UUID(int=start + number),
                dense,
                encode_passage(passage.text, passage.context),
                {"datasource_id": str(_DATASOURCE), "entry_id": document_id},
            )
            for number, ((document_id, passage), dense) in enumerate(zip(part, vectors, strict=True))
        ]
        await index.add(space.collection, points, dimension=space.dimension)
    await index.flush(space.collection)
    return Indexed(len(found), process_time() - cpu, perf_counter() - wall)


async def _measure(index: Index, space: Space, collection: Collection, *, mode: Mode) -> Measured:
    ndcgs: list[float] = []
    recalls: list[float] = []
    began = perf_counter()
    for query_id, text in collection.queries.items():
        dense = None if mode == Mode.KEYWORD else await space.embedder.embed_query(text)
        wanted = Wanted(query=text, datasources=[_DATASOURCE], limit=LIMIT, mode=mode)
        hits = await index.search(
            space.collection, wanted, dense=dense, fusion=space.fusion, weights=space.weights
        )
        ranked = list(dict.fromkeys(str(hit.payload["entry_id"]) for hit in hits))[:DEPTH]
        gains = collection.judged[query_id]
        ndcgs.append(ndcg(ranked, gains))
        recalls.append(sum(document_id in gains for document_id in ranked) / len(gains))
    milliseconds = (perf_counter() - began) * 1000 / len(collection.queries)
    return Measured(fmean(ndcgs), fmean(recalls), milliseconds)


def ndcg(ranked: Sequence[str], gains: Mapping[str, int]) -> float:
    """Give the discounted gain of a ranking as a part of the best that ten documents can have."""
    best = _discounted(sorted(gains.values(), reverse=True)[:DEPTH])
    return _discounted([gains.get(document_id, 0) for document_id in ranked[:DEPTH]]) / best


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))


def table(collection: Collection, indexed: Indexed, found: Mapping[Mode, Measured]) -> str:
    """Write the figures as a table of Markdown."""
    counts = (
        f"{len(collection.documents)} documents, {indexed.chunks} chunks, {len(collection.queries)} questions"
    )
    lines = [
        f"{counts}; indexed in {indexed.wall_seconds:.1f} s ({indexed.cpu_seconds:.1f} s CPU).",
        "",
        f"| mode | nDCG@{DEPTH} | recall@{DEPTH} | ms a search |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {mode} | {measured.ndcg:.3f} | {measured.recall:.3f} | {measured.milliseconds:.1f} |"
        for mode, measured in found.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
