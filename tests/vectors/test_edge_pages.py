"""The memory of a shard's files goes back to the system, and nothing of what they hold is lost."""

import asyncio
import sys
from hashlib import shake_256
from pathlib import Path

import pytest

from llmstack_api.vectors.edge import EdgeStore
from llmstack_api.vectors.edge_pages import forget_pages
from llmstack_api.vectors.edge_shard import FORGET_AFTER
from tests.vectors.points import DIMENSION, EVERYTHING, point, query

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="elsewhere the system is left to decide by itself"
)
NAME = "c"
SMALL = 512 * 1024


def text(number: int) -> str:
    """Return a text that does not become much smaller when it is stored."""
    return shake_256(str(number).encode()).hexdigest(1000)


def resident(folder: Path) -> int:
    """Return the bytes of files below a folder that are part of this process."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        head, _, rest = line.partition(":")
        if "-" in head and " " in head:
            inside = f" {folder}/" in line
        elif head == "Rss" and inside:
            total += 1024 * int(rest.split()[0])
    return total


async def test_what_was_written_is_part_of_the_process_until_it_is_flushed(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path)
    await store.ensure(NAME, dimension=DIMENSION)
    await store.upsert(NAME, [point(n, text=text(n)) for n in range(FORGET_AFTER)])
    assert resident(tmp_path) > SMALL
    await store.flush(NAME)
    assert resident(tmp_path) < SMALL
    assert await store.count(NAME, EVERYTHING) == FORGET_AFTER
    hits = await store.query(NAME, query(dense=[1.0, 0.0, 0.0, 0.0], limit=FORGET_AFTER))
    assert {hit.payload["text"] for hit in hits} == {text(n) for n in range(FORGET_AFTER)}
    await store.close()


async def test_what_opening_reads_is_given_back(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path)
    await store.ensure(NAME, dimension=DIMENSION)
    await store.upsert(NAME, [point(1)])
    await store.close()
    store = EdgeStore(tmp_path)
    assert await store.generation(NAME) is not None
    assert resident(tmp_path) < SMALL
    assert len(await store.query(NAME, query(terms=[1]))) == 1
    await store.close()


async def test_what_was_not_flushed_is_kept_as_well(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path)
    await store.ensure(NAME, dimension=DIMENSION)
    await store.upsert(NAME, [point(n) for n in range(10)])
    await asyncio.to_thread(forget_pages, tmp_path)  # the store's thread has nothing to do
    await store.upsert(NAME, [point(n) for n in range(10, 20)])
    assert await store.count(NAME, EVERYTHING) == 20
    await store.close()
    store = EdgeStore(tmp_path)
    assert await store.count(NAME, EVERYTHING) == 20
    await store.close()


def test_files_elsewhere_and_folders_that_are_not_there_are_left_alone(tmp_path: Path) -> None:
    before = resident(tmp_path.parent)
    forget_pages(tmp_path / "unknown")
    assert resident(tmp_path.parent) == before
