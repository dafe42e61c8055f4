"""What the embedded store does besides: folders, processes, kills, full disks, space given back."""

import asyncio
import os
import shutil
import signal
import sys
import threading
from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import UUID

import pytest

from llmstack_api.errors import StorageFullError, VectorStoreAwayError
from llmstack_api.vectors import edge
from llmstack_api.vectors.edge import EdgeStore
from llmstack_api.vectors.edge_thread import EdgeThread
from tests.vectors.edge_writer import COLLECTION as KILLED
from tests.vectors.edge_writer import POINTS
from tests.vectors.points import DIMENSION, EVERYTHING, match, point, query

WITHIN = 30.0
NAME = "c"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "vectors"


@pytest.fixture
async def edge_store(folder: Path) -> AsyncGenerator[EdgeStore]:
    store = EdgeStore(folder)
    yield store
    await store.close()


async def fill(folder: Path, points: int = 3) -> UUID:
    """Make a collection of so many points, closed again."""
    store = EdgeStore(folder)
    await store.ensure(NAME, dimension=DIMENSION)
    await store.upsert(NAME, [point(n) for n in range(points)])
    generation = await store.generation(NAME)
    await store.close()
    assert generation is not None
    return generation


async def test_what_was_stored_is_there_again_with_the_same_generation(
    folder: Path, edge_store: EdgeStore
) -> None:
    generation = await fill(folder)

    assert len(await edge_store.query(NAME, query(terms=[1]))) == 3
    assert await edge_store.generation(NAME) == generation
    assert await edge_store.generation("unknown") is None


async def test_nothing_is_made_before_there_is_a_collection(folder: Path, edge_store: EdgeStore) -> None:
    assert await edge_store.query(NAME, query(terms=[1])) == []
    assert names_in(folder.parent) == []


async def test_a_folder_half_made_is_made_again(folder: Path, edge_store: EdgeStore) -> None:
    (folder / f"{NAME}.new" / "shard").mkdir(parents=True)
    (folder / f"{NAME}.new" / "shard" / "edge_config.json").write_text("{")

    await edge_store.ensure(NAME, dimension=DIMENSION)

    assert names_in(folder) == [".lock", NAME]


@pytest.mark.parametrize("victim", ["shard/segments/*/segment.json", "shard/edge_config.json"])
async def test_a_shard_that_does_not_open_is_moved_aside_and_made_anew(
    folder: Path, edge_store: EdgeStore, victim: str
) -> None:
    generation = await fill(folder)
    [file] = (folder / NAME).glob(victim)
    file.write_bytes(b"\x00\xffgarbage")

    assert await edge_store.query(NAME, query(terms=[1])) == []
    assert await edge_store.generation(NAME) not in {None, generation}
    [aside] = broken_in(folder)
    assert (aside / "generation").read_text(encoding="ascii").startswith(str(generation))
    await edge_store.upsert(NAME, [point(1)])
    assert await edge_store.count(NAME, EVERYTHING) == 1


async def test_a_shard_whose_data_are_gone_does_not_pass_for_an_empty_one(
    folder: Path, edge_store: EdgeStore
) -> None:
    generation = await fill(folder)
    shutil.rmtree(folder / NAME / "shard" / "segments")

    assert await edge_store.generation(NAME) not in {None, generation}
    assert len(broken_in(folder)) == 1


async def test_a_folder_without_a_generation_is_no_collection_until_it_is_made_anew(
    folder: Path, edge_store: EdgeStore
) -> None:
    generation = await fill(folder)
    (folder / NAME / "generation").unlink()

    assert await edge_store.generation(NAME) is None
    with pytest.raises(VectorStoreAwayError):
        await edge_store.upsert(NAME, [point(1)])
    await edge_store.ensure(NAME, dimension=DIMENSION)
    assert await edge_store.generation(NAME) not in {None, generation}


async def test_one_broken_shard_is_kept(folder: Path) -> None:
    for _ in range(3):
        await fill(folder)
        (folder / NAME / "shard" / "edge_config.json").write_text("{")
    await fill(folder)

    assert len(broken_in(folder)) == 1


async def test_a_second_store_at_the_folder_is_told_of_qdrant_until_the_first_is_closed(folder: Path) -> None:
    first, second = EdgeStore(folder), EdgeStore(folder)
    await first.ensure(NAME, dimension=DIMENSION)

    with pytest.raises(VectorStoreAwayError, match="LLMSTACK_QDRANT_URL"):
        await second.ensure(NAME, dimension=DIMENSION)
    with pytest.raises(VectorStoreAwayError, match="LLMSTACK_QDRANT_URL"):
        await second.query(NAME, query(terms=[1]))

    await first.close()
    await second.ensure(NAME, dimension=DIMENSION)
    await second.close()


async def test_what_was_flushed_survives_kills_in_the_middle_of_writing(folder: Path) -> None:
    safe: set[int] = set()
    for round_ in range(4):
        first = round_ * 1000 + 1
        safe |= await killed_after(folder, first, entries=3 + round_)
        store = EdgeStore(folder)
        for number in safe:
            assert await store.count(KILLED, {"must": [match("entry_id", str(number))]}) == POINTS
            hits = await store.query(KILLED, query(terms=[number], limit=100))
            assert {hit.payload["entry_id"] for hit in hits} == {str(number)}
            assert len(hits) == POINTS
        await store.close()
    assert not broken_in(folder)


async def test_a_folder_that_another_process_has_is_refused_until_that_is_gone(folder: Path) -> None:
    process = await writer(folder, 1)
    store = EdgeStore(folder)
    with pytest.raises(VectorStoreAwayError, match="another process"):
        await store.count(KILLED, EVERYTHING)

    process.kill()
    await process.wait()
    await store.count(KILLED, EVERYTHING)
    await store.close()


async def test_a_disk_taken_for_full_stores_nothing_and_still_answers(folder: Path) -> None:
    await fill(folder)
    full = EdgeStore(folder, reserve=2**62)

    with pytest.raises(StorageFullError):
        await full.upsert(NAME, [point(9)])
    with pytest.raises(StorageFullError):
        await full.ensure("other", dimension=DIMENSION)
    assert len(await full.query(NAME, query(terms=[1]))) == 3
    await full.delete(NAME, {"must": [{"has_id": [str(UUID(int=1))]}]})
    assert await full.count(NAME, EVERYTHING) == 2
    await full.close()


async def test_a_folder_that_cannot_be_written_is_told_as_away(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = EdgeStore(tmp_path / "file" / "vectors")

    with pytest.raises(VectorStoreAwayError):
        await store.ensure(NAME, dimension=DIMENSION)
    await store.close()


async def test_a_vector_of_another_dimension_is_a_bug_that_shows(edge_store: EdgeStore) -> None:
    await edge_store.ensure(NAME, dimension=DIMENSION)

    with pytest.raises(Exception, match="Vector dimension error"):
        await edge_store.upsert(NAME, [point(1, dense=[1.0, 2.0])])
    await edge_store.upsert(NAME, [point(1)])


async def test_a_boolean_is_refused_because_edge_would_miss_it(edge_store: EdgeStore) -> None:
    await edge_store.ensure(NAME, dimension=DIMENSION)
    for condition in ({"match": {"value": True}}, {"match": {"any": [True]}}, {"range": {"gte": True}}):
        with pytest.raises(ValueError, match=r"match|range"):
            await edge_store.count(NAME, {"must": [{"key": "md_v"} | condition]})


async def test_the_space_of_deleted_points_is_given_back_while_running(
    folder: Path, edge_store: EdgeStore
) -> None:
    await edge_store.ensure(NAME, dimension=DIMENSION)
    await edge_store.upsert(NAME, [point(n, entry_id="ab"[n >= 100], text="x" * 4000) for n in range(2000)])
    await edge_store.flush(NAME)
    before = size_of(folder)

    await edge_store.delete(NAME, {"must": [match("entry_id", "b")]})
    await edge_store.flush(NAME)  # comes after the compacting

    assert size_of(folder) < before / 2
    assert await edge_store.count(NAME, EVERYTHING) == 100
    assert len(await edge_store.query(NAME, query(terms=[1], limit=200))) == 100


async def test_a_closed_store_says_that_it_is_away(edge_store: EdgeStore) -> None:
    await edge_store.ensure(NAME, dimension=DIMENSION)
    await edge_store.close()

    with pytest.raises(VectorStoreAwayError):
        await edge_store.query(NAME, query(terms=[1]))


async def test_closing_flushes(folder: Path, edge_store: EdgeStore) -> None:
    assert edge.CLOSE_WITHIN < WITHIN
    await fill(folder, points=500)

    assert await edge_store.count(NAME, EVERYTHING) == 500


async def test_callers_that_flush_at_once_share_one(edge_store: EdgeStore) -> None:
    await edge_store.ensure(NAME, dimension=DIMENSION)
    await edge_store.upsert(NAME, [point(1)])
    asked: list[asyncio.Future[None]] = [asyncio.ensure_future(edge_store.flush(NAME)) for _ in range(10)]
    await asyncio.sleep(0)
    waiting = edge_store._flushes[NAME]  # pyright: ignore[reportPrivateUsage] # how many there are

    asked[0].cancel()
    await asyncio.gather(*asked[1:])

    assert waiting.done.done()
    assert edge_store._flushes[NAME] is waiting  # pyright: ignore[reportPrivateUsage] # likewise


# --- who may -----------------------------------------------------------------------------------------------


class Admission:
    """Who decides whether a store may use its folder."""

    granted = True

    async def __call__(self) -> None:
        if not self.granted:
            raise VectorStoreAwayError("not now")


async def test_every_call_is_asked_for_admission(folder: Path) -> None:
    admission = Admission()
    store = EdgeStore(folder, admit=admission)
    await store.ensure(NAME, dimension=DIMENSION)
    await store.upsert(NAME, [point(1)])

    admission.granted = False
    for call in (
        store.upsert(NAME, [point(2)]),
        store.flush(NAME),
        store.delete(NAME, EVERYTHING),
        store.query(NAME, query(terms=[1])),
        store.count(NAME, EVERYTHING),
        store.generation(NAME),
        store.ensure("other", dimension=DIMENSION),
    ):
        with pytest.raises(VectorStoreAwayError, match="not now"):
            await call

    admission.granted = True
    assert await store.count(NAME, EVERYTHING) == 1
    await store.close()


async def test_a_flush_that_ends_without_admission_does_not_count(folder: Path) -> None:
    admission = Admission()
    store = EdgeStore(folder, admit=admission)
    await store.ensure(NAME, dimension=DIMENSION)
    flushing = asyncio.create_task(store.flush(NAME))
    await asyncio.sleep(0)  # until it is in the thread
    admission.granted = False

    with pytest.raises(VectorStoreAwayError, match="not now"):
        await flushing
    await store.close()


async def test_a_folder_given_up_is_another_stores_at_once_and_what_waits_is_refused(folder: Path) -> None:
    first, second = EdgeStore(folder), EdgeStore(folder)
    await first.ensure(NAME, dimension=DIMENSION)
    await first.upsert(NAME, [point(1)])
    giving_up = asyncio.create_task(first.give_up())
    waiting = asyncio.create_task(first.count(NAME, EVERYTHING))
    async with asyncio.timeout(WITHIN):
        await giving_up
        with pytest.raises(VectorStoreAwayError, match="Another process"):
            await waiting

    assert await second.count(NAME, EVERYTHING) == 1
    await second.close()
    await first.close()
    await first.give_up()


async def test_a_folder_given_up_is_opened_again_where_that_is_admitted(folder: Path) -> None:
    store = EdgeStore(folder, admit=Admission())
    await store.ensure(NAME, dimension=DIMENSION)
    await store.upsert(NAME, [point(1)])

    await store.give_up()
    assert await store.count(NAME, EVERYTHING) == 1
    await store.ensure(NAME, dimension=DIMENSION)
    await store.upsert(NAME, [point(2)])
    assert await store.count(NAME, EVERYTHING) == 2
    await store.close()


# --- the thread --------------------------------------------------------------------------------------------


async def test_a_search_passes_writes_that_wait() -> None:
    thread, order, begin = EdgeThread(), list[str](), threading.Event()
    blocked = thread.submit(lambda: begin.wait(WITHIN))
    write = thread.submit(lambda: order.append("write"))
    search = thread.submit(lambda: order.append("search"), urgent=True)
    begin.set()

    async with asyncio.timeout(WITHIN):
        for future in (blocked, write, search):
            await asyncio.wrap_future(future)  # pyright: ignore[reportArgumentType, reportUnknownVariableType] # of several types
    await thread.close(lambda: order.append("last"), within=WITHIN)

    assert order == ["search", "write", "last"]


async def test_a_call_that_takes_too_long_is_left_and_one_not_begun_never_begins() -> None:
    thread, begin, begun = EdgeThread(), threading.Event(), list[str]()
    blocked = thread.submit(lambda: begin.wait(WITHIN))

    with pytest.raises(VectorStoreAwayError, match="within"):
        await thread.run(lambda: begun.append("late"), within=0.01)
    begin.set()
    await thread.close(lambda: None, within=WITHIN)

    assert blocked.done()
    assert begun == []


# --- folders -----------------------------------------------------------------------------------------------


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def broken_in(folder: Path) -> list[Path]:
    return list(folder.glob("*.broken-*"))


# --- processes ---------------------------------------------------------------------------------------------


async def writer(folder: Path, first: int) -> asyncio.subprocess.Process:
    """Start a process that stores entries, and wait until it has the folder."""
    root = Path(__file__).parents[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.vectors.edge_writer",
        str(folder),
        str(first),
        stdout=asyncio.subprocess.PIPE,
        cwd=root,
        env=os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'src'}"},
    )
    assert process.stdout is not None
    async with asyncio.timeout(WITHIN):
        assert await process.stdout.readline() == b"open\n"
    return process


async def killed_after(folder: Path, first: int, *, entries: int) -> set[int]:
    """Let a process store entries and kill it; return those that it was told are safe."""
    process = await writer(folder, first)
    assert process.stdout is not None
    async with asyncio.timeout(WITHIN):
        for _ in range(entries):
            await process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        rest = await process.stdout.read()
        await process.wait()
    last = first + entries + len(rest.split()) - 1
    return set(range(first, last + 1))


def size_of(folder: Path) -> int:
    """The bytes that a folder takes on the disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
