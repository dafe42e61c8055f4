"""One collection of the embedded vector store: a Qdrant Edge shard in a folder of its own.

Everything here blocks and holds the interpreter's lock; it runs in the store's thread. There is no write-ahead
log: what was not flushed may be lost by a kill, what was flushed is not, and the database can fill it again.
"""

import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import qdrant_edge as qe
import structlog

from llmstack_api.errors import LLMStackError, StorageFullError, VectorStoreAwayError
from llmstack_api.footprint import give_back
from llmstack_api.vectors.edge_pages import forget_pages
from llmstack_api.vectors.edge_query import (
    to_best,
    to_cosines,
    to_filter,
    to_halves,
    to_payloads,
    to_points,
    to_request,
    to_scores,
)
from llmstack_api.vectors.fusion import best_of, fuse
from llmstack_api.vectors.store import DENSE, KEYWORD_FIELDS, SPARSE, Fusion, Hit, JsonObject, Point, Query

MARGIN: Final = 16 * 1024 * 1024
"""Bytes left on the disk below which nothing at all is written: a page that finds no room kills the process."""

COMPACT_DEAD: Final = 1000
"""Deleted points from which on compacting is considered."""

COMPACT_LIVE: Final = 5000
"""Points over which a shard is compacted only when it is opened: each costs some 70 us of standstill."""

FORGET_AFTER: Final = 1000
"""Points after whose flush the memory of the shard's pages is given back: some 4 MB; it takes 1 ms."""

GENERATION: Final = "generation"
"""File of a collection's folder: the UUID it was given when it was made, and the vectors' dimension."""

DATA: Final = "shard"
"""Folder of a collection's folder: what Edge keeps."""

_NEVER: Final = 1_000_000_000
_OUR_FAULT: Final = ("Vector dimension error", "Not existing vector", "Wrong usage", "Validation failed")
_NO_SPACE: Final = ("No space left on device", "Disk quota exceeded")
_SURROUNDINGS: Final = (
    *_NO_SPACE,
    "Too many open files",
    "Cannot allocate memory",
    "Permission denied",
    "Read-only file system",
)
_log: Any = structlog.get_logger(__name__)


class Shard:
    """An open shard; made by `create_shard` or `load_shard`."""

    def __init__(self, edge: qe.EdgeShard, folder: Path, *, generation: UUID) -> None:
        self.generation = generation
        self._edge = edge
        self._folder = folder
        self._dirty = False
        self._dead = 0
        self._live = 0
        self._failed = False
        self._written = 0
        """Points stored since the pages were forgotten."""
        forget_pages(folder)

    def upsert(self, points: Sequence[Point], *, reserve: int) -> None:
        """Store points unless that leaves less than `reserve` bytes on the disk."""
        require_space(self._folder, reserve)
        operation = qe.UpdateOperation.upsert_points(to_points(points))
        with self._guarded():
            self._dirty = True
            self._edge.update(operation)
        self._written += len(points)

    def delete(self, condition: JsonObject) -> None:
        """Delete the points that fulfil a condition."""
        operation = qe.UpdateOperation.delete_points_by_filter(to_filter(condition))
        require_space(self._folder, MARGIN)
        with self._guarded():
            before = self._edge.info().points_count
            self._dirty = True
            self._edge.update(operation)
            self._live = self._edge.info().points_count
            self._dead += before - self._live

    def query(self, query: Query) -> list[Hit]:
        """Return the best hits, best first."""
        with self._guarded():
            if query.fusion is Fusion.SCORES:
                best = dict(self._fused(query))
            else:
                best = dict(best_of(to_scores(self._edge.query(to_request(query))), query.limit))
            records = self._edge.retrieve(list(best), with_payload=True, with_vector=False)
        payloads = to_payloads(records)
        return [Hit(id_, score, payloads[id_]) for id_, score in best.items()]

    def _fused(self, query: Query) -> list[tuple[UUID, float]]:
        """Sum the scores of both halves; what meaning alone brought counts no BM25, which would be a search more."""
        found = list(map(to_scores, self._edge.query_batch(to_halves(query))))
        words = found.pop() if query.sparse is not None else {}
        cosines = found.pop() if found else dict.fromkeys(words, 0.0)
        if query.dense is not None and (others := words.keys() - cosines.keys()):
            cosines |= to_scores(self._edge.query(to_cosines(query.dense, others)))
        best = None
        if query.sparse is not None and query.scale is not None:
            measured = to_scores(self._edge.query(to_best(query, query.scale)))
            best = max(measured.values(), default=None)
        return fuse(cosines, words, weights=query.weights, limit=query.limit, best=best)

    def count(self, condition: JsonObject) -> int:
        """Count the points that fulfil a condition."""
        request = qe.CountRequest(exact=True, filter=to_filter(condition))
        with self._guarded():
            return self._edge.count(request)

    def flush(self) -> None:
        """Bring everything to the disk."""
        with self._guarded():
            if self._dirty:
                require_space(self._folder, MARGIN)
                self._edge.flush()
                self._dirty = False
        if self._written >= FORGET_AFTER:
            self._written = 0
            forget_pages(self._folder)
            give_back()

    @property
    def wants_compacting(self) -> bool:
        """More than half is deleted, and taking that out would be short enough to be done now."""
        return self._dead >= COMPACT_DEAD and self._dead > self._live and self._live <= COMPACT_LIVE

    def compact(self, *, reserve: int) -> None:
        """Give back the space of deleted points where they are more than half; all stands still meanwhile."""
        require_space(self._folder, reserve)
        with self._guarded():
            self._dead = 0
            if self._edge.optimize():
                self._edge.flush()
                self._dirty = False

    def close(self) -> None:
        """Flush and close."""
        try:
            self.flush()
        finally:
            if not self._failed:
                self._edge.close()

    @contextmanager
    def _guarded(self) -> Generator[None]:
        if self._failed:
            raise VectorStoreAwayError(
                "The embedded vector store failed; it is filled again by the next start."
            )
        try:
            with translated_failures():
                yield
        except Exception:
            raise
        except BaseException as panic:  # noqa: BLE001 # what Rust's panics are
            self._fail(panic)
            raise VectorStoreAwayError("The embedded vector store failed.") from None

    def _fail(self, panic: BaseException) -> None:
        # What was not flushed may be lost, and nobody could tell: the folder becomes one to be filled again.
        self._failed = True
        _log.critical("vector_shard_failed", collection=self._folder.name, error=str(panic))
        (self._folder / GENERATION).unlink(missing_ok=True)


# --- making and opening ----------------------------------------------------------------------------------


def create_shard(folder: Path, *, dimension: int, reserve: int) -> Shard:
    """Make a collection's folder, whole or not at all, and open it."""
    draft = folder.with_name(f"{folder.name}.new")
    with translated_failures():
        require_space(folder.parent, reserve)
        shutil.rmtree(draft, ignore_errors=True)
        (draft / DATA).mkdir(parents=True)
        edge = qe.EdgeShard.create(str(draft / DATA), _config(dimension))
        for name in KEYWORD_FIELDS:
            index = qe.KeywordIndexParams(is_tenant=name == KEYWORD_FIELDS[0], memory=qe.Memory.Cold)
            edge.update(qe.UpdateOperation.create_field_index(name, index))
        edge.flush()
        edge.close()
        (draft / GENERATION).write_text(f"{uuid4()} {dimension}\n", encoding="ascii")
        _sync(draft / GENERATION)
        draft.rename(folder)
        _sync(folder.parent)
        return _load(folder)


def load_shard(folder: Path, *, reserve: int) -> Shard | None:
    """Open a collection's folder; what does not open is moved aside, and made again where its dimension is known."""
    dimension: int | None = None
    try:
        with translated_failures():
            _, dimension = _read(folder)
            shard = _load(folder)
    except _BrokenError as error:
        _set_aside(folder, reason=str(error))
        return None if dimension is None else create_shard(folder, dimension=dimension, reserve=reserve)
    if free_space(folder) >= reserve:
        try:
            shard.compact(reserve=reserve)
        except (StorageFullError, VectorStoreAwayError) as error:  # it can be used all the same
            _log.warning("vector_shard_not_compacted", collection=folder.name, error=str(error))
    return shard


class _BrokenError(Exception):
    """A folder that does not open, for no reason outside of it."""


def _config(dimension: int) -> qe.EdgeConfig:
    cold, half = qe.Memory.Cold, qe.VectorStorageDatatype.Float16
    return qe.EdgeConfig(
        vectors={
            DENSE: qe.EdgeVectorParams(
                size=dimension,
                distance=qe.Distance.Cosine,
                datatype=half,
                memory=cold,
            )
        },
        sparse_vectors={SPARSE: qe.EdgeSparseVectorParams(modifier=qe.Modifier.Idf, memory=cold)},
        optimizers=qe.EdgeOptimizersConfig(
            deleted_threshold=0.5,
            vacuum_min_vector_number=COMPACT_DEAD,
            default_segment_number=1,
            indexing_threshold=_NEVER,  # building a graph would hold the interpreter's lock for minutes
        ),
        payload_memory=cold,
        id_tracker_memory=cold,
        max_search_threads=1,
        # A log would double what is written and kept in memory, for what the database can fill in anyway.
        wal_enabled=False,
    )


def _read(folder: Path) -> tuple[UUID, int]:
    try:
        generation, dimension = (folder / GENERATION).read_text(encoding="ascii").split()
        return UUID(generation), int(dimension)
    except (FileNotFoundError, ValueError) as error:
        raise _BrokenError(f"{GENERATION}: {error}") from error


def _load(folder: Path) -> Shard:
    generation, _ = _read(folder)
    try:
        edge = qe.EdgeShard.load(str(folder / DATA))
    except BaseException as error:
        if any(text in str(error) for text in _SURROUNDINGS):
            raise
        raise _BrokenError(str(error)) from error
    if not edge.info().payload_schema.keys() >= set(KEYWORD_FIELDS):
        edge.close()
        raise _BrokenError("Its data are gone.")  # Edge opens a folder without segments as an empty shard
    return Shard(edge, folder, generation=generation)


def _set_aside(folder: Path, *, reason: str) -> None:
    with translated_failures():
        for older in folder.parent.glob(f"{folder.name}.broken-*"):
            shutil.rmtree(older, ignore_errors=True)
        aside = folder.with_name(f"{folder.name}.broken-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")
        folder.rename(aside)
        _log.error("vector_shard_broken", collection=folder.name, moved_to=aside.name, error=reason)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- failures --------------------------------------------------------------------------------------------


def free_space(folder: Path) -> int:
    """Return the bytes that the folder's disk has left for us."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def require_space(folder: Path, reserve: int) -> None:
    """Raise StorageFullError where the disk has less than `reserve` bytes left.

    Edge writes through memory maps: on a full disk it does not fail, the process is killed.
    """
    if free_space(folder) < reserve:
        raise StorageFullError("The disk of the embedded vector store is full.")


@contextmanager
def translated_failures() -> Generator[None]:
    """Tell Edge's failures, and the file system's, as ours; what we asked wrongly stays a bug."""
    try:
        yield
    except (LLMStackError, _BrokenError, ValueError, TypeError):
        raise
    except Exception as error:
        text = str(error)
        if text.startswith(_OUR_FAULT):
            raise
        if any(reason in text for reason in _NO_SPACE):
            raise StorageFullError("The disk of the embedded vector store is full.") from error
        _log.exception("vector_store_failed")
        raise VectorStoreAwayError("The embedded vector store failed.") from error
