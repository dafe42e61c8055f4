"""What a Qdrant server can do to us: faults, refusals, being down, others at work."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from time import monotonic

import pytest
from pydantic import ValidationError
from qdrant_client.http.exceptions import UnexpectedResponse

from llmstack_api.errors import StorageFullError, VectorStoreAwayError
from llmstack_api.vectors import qdrant_calls
from llmstack_api.vectors.qdrant import QdrantStore
from llmstack_api.vectors.qdrant_server import BATCH, IN_FLIGHT
from llmstack_api.vectors.store import KEYWORD_FIELDS
from tests.fake_qdrant import FakeQdrant, Fault, fake_qdrant_server
from tests.vectors.points import DIMENSION, EVERYTHING, match, of, point, query

NAME = "c"
KEY = "the-operators-qdrant-key"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant_calls, "BACKOFF", 0.01)


@pytest.fixture
async def remote(fake_qdrant: FakeQdrant) -> AsyncGenerator[QdrantStore]:
    """A store over the fake server, with one collection of one point, and what it asked so far forgotten."""
    store = QdrantStore(fake_qdrant.url)
    await store.ensure(NAME, dimension=DIMENSION)
    await store.upsert(NAME, [point(1)])
    fake_qdrant.requests.clear()
    yield store
    await store.close()


@pytest.fixture
async def hasty(fake_qdrant: FakeQdrant, remote: QdrantStore) -> AsyncGenerator[QdrantStore]:
    """A store at the same server that waits for answers for a short while only."""
    del remote  # made the collection
    store = QdrantStore(fake_qdrant.url, read_within=0.2, write_within=0.2)
    yield store
    await store.close()


PASSING = {
    "busy": Fault(status=429),
    "busy for no time": Fault(status=429, headers={"retry-after": "0"}),
    "busy until a date": Fault(status=429, headers={"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}),
    "failed": Fault(status=500),
    "bad gateway": Fault(status=502),
    "unavailable": Fault(status=503),
    "gateway timed out": Fault(status=504),
    "truncated": Fault("truncate"),
    "no JSON": Fault("garbage"),
    "no result": Fault("empty"),
    "reset": Fault("reset"),
    "reset after it was done": Fault("reset-after"),
}


@pytest.mark.parametrize("name", PASSING)
async def test_a_fault_that_passes_is_passed_over(
    remote: QdrantStore, fake_qdrant: FakeQdrant, name: str
) -> None:
    fake_qdrant.fail_next(PASSING[name])
    await remote.upsert(NAME, [point(2)])
    fake_qdrant.fail_next(PASSING[name])
    await remote.delete(NAME, {"must": [{"has_id": ["00000000-0000-0000-0000-000000000001"]}]})
    fake_qdrant.fail_next(PASSING[name], PASSING[name])

    assert [hit.id.int for hit in await remote.query(NAME, query(terms=[1]))] == [2]
    assert len(fake_qdrant.requests) == 8  # a search asks for ids first, then for payloads


@pytest.mark.parametrize("name", PASSING)
async def test_a_fault_that_stays_is_told_after_two_repeats(
    remote: QdrantStore, fake_qdrant: FakeQdrant, name: str
) -> None:
    fake_qdrant.fail_next(*[PASSING[name]] * 3)

    with pytest.raises(VectorStoreAwayError) as raised:
        await remote.query(NAME, query(terms=[1]))

    assert raised.value.retry_after
    assert len(fake_qdrant.requests) == 3
    assert len(await remote.query(NAME, query(terms=[1]))) == 1


async def test_a_wait_that_the_server_asks_for_is_kept(remote: QdrantStore, fake_qdrant: FakeQdrant) -> None:
    fake_qdrant.fail_next(Fault(status=429, headers={"retry-after": "1"}))
    began = monotonic()

    assert await remote.count(NAME, EVERYTHING) == 1
    assert monotonic() - began >= 1.0


async def test_a_long_wait_is_left_to_the_caller(remote: QdrantStore, fake_qdrant: FakeQdrant) -> None:
    fake_qdrant.fail_next(Fault(status=429, headers={"retry-after": "30"}))

    with pytest.raises(VectorStoreAwayError) as raised:
        await remote.count(NAME, EVERYTHING)

    assert raised.value.retry_after == 30
    assert len(fake_qdrant.requests) == 1


async def test_silence_is_bounded_and_not_tried_again(hasty: QdrantStore, fake_qdrant: FakeQdrant) -> None:
    for attempt in (
        lambda: hasty.query(NAME, query(terms=[1])),
        lambda: hasty.count(NAME, EVERYTHING),
        lambda: hasty.upsert(NAME, [point(3)]),
        lambda: hasty.delete(NAME, of("b")),
        lambda: hasty.ensure("other", dimension=DIMENSION),
    ):
        fake_qdrant.requests.clear()
        fake_qdrant.fail_next(Fault("hang"))
        with pytest.raises(VectorStoreAwayError, match="did not answer"):
            await attempt()
        assert len(fake_qdrant.requests) == 1
    assert await hasty.count(NAME, EVERYTHING) == 1


async def test_a_server_that_is_down_is_away_until_it_is_back(
    remote: QdrantStore, fake_qdrant: FakeQdrant
) -> None:
    await fake_qdrant.stop()
    with pytest.raises(VectorStoreAwayError, match="cannot be reached"):
        await remote.query(NAME, query(terms=[1]))
    with pytest.raises(VectorStoreAwayError):
        await remote.upsert(NAME, [point(2)])

    await fake_qdrant.start()
    await remote.upsert(NAME, [point(2)])
    assert await remote.count(NAME, EVERYTHING) == 2


async def test_a_server_that_restarts_meanwhile_is_not_noticed(
    remote: QdrantStore, fake_qdrant: FakeQdrant
) -> None:
    await fake_qdrant.stop()
    await fake_qdrant.start()

    assert len(await remote.query(NAME, query(terms=[1]))) == 1


@pytest.mark.parametrize("given", ["another-key", None])
async def test_a_key_that_is_refused_names_its_setting_and_nothing_more(
    tmp_path: Path, given: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    async with fake_qdrant_server(tmp_path / "fake", api_key=KEY) as server:
        store = QdrantStore(server.url, given)
        with pytest.raises(VectorStoreAwayError, match="LLMSTACK_QDRANT_API_KEY") as raised:
            await store.query(NAME, query(terms=[1]))
        await store.close()
        assert len(server.requests) == 1

    assert "another-key" not in str(raised.value) + "".join(capfd.readouterr())


async def test_the_key_is_sent(tmp_path: Path) -> None:
    async with fake_qdrant_server(tmp_path / "fake", api_key=KEY) as server:
        store = QdrantStore(server.url, KEY)
        await store.ensure(NAME, dimension=DIMENSION)
        assert await store.count(NAME, EVERYTHING) == 0
        await store.close()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=507),
        Fault(status=500, message="Service internal error: No space left on device: WAL buffer"),
    ],
)
async def test_a_full_disk_of_the_server_is_told_as_such(
    remote: QdrantStore, fake_qdrant: FakeQdrant, fault: Fault
) -> None:
    fake_qdrant.fail_next(fault)

    with pytest.raises(StorageFullError):
        await remote.upsert(NAME, [point(2)])
    assert len(fake_qdrant.requests) == 1


async def test_a_change_that_is_not_finished_is_not_taken_for_one(
    remote: QdrantStore, fake_qdrant: FakeQdrant
) -> None:
    fake_qdrant.fail_next(Fault("unfinished"))

    with pytest.raises(VectorStoreAwayError, match="wait_timeout"):
        await remote.upsert(NAME, [point(2)])


async def test_what_we_ask_wrongly_is_a_bug_that_shows(remote: QdrantStore, fake_qdrant: FakeQdrant) -> None:
    with pytest.raises(UnexpectedResponse, match="400"):
        await remote.upsert(NAME, [point(1, dense=[1.0, 2.0])])
    with pytest.raises(ValidationError):
        await remote.count(NAME, {"must": [{"key": "md_v", "match": {"like": "x"}}]})
    assert len(fake_qdrant.requests) == 1


async def test_an_address_without_qdrant_is_not_taken_for_an_empty_store(fake_qdrant: FakeQdrant) -> None:
    store = QdrantStore(f"{fake_qdrant.url}/elsewhere")

    with pytest.raises(UnexpectedResponse, match="404"):
        await store.query(NAME, query(terms=[1]))
    await store.close()


async def test_a_collection_that_somebody_dropped_is_away_and_made_again(
    remote: QdrantStore, fake_qdrant: FakeQdrant
) -> None:
    fake_qdrant.fail_next(Fault(status=404, message=f"Not found: Collection `{NAME}` doesn't exist!"))
    with pytest.raises(VectorStoreAwayError, match="made again"):
        await remote.upsert(NAME, [point(2)])
    fake_qdrant.requests.clear()

    await remote.ensure(NAME, dimension=DIMENSION)
    await remote.ensure(NAME, dimension=DIMENSION)

    assert [received.method for received in fake_qdrant.requests] == [
        "GET",
        *["PUT" for _ in KEYWORD_FIELDS],
    ]


async def test_processes_may_make_the_same_collection_at_once(fake_qdrant: FakeQdrant) -> None:
    stores = [QdrantStore(fake_qdrant.url) for _ in range(4)]

    async with asyncio.TaskGroup() as group:
        for store in stores:
            group.create_task(store.ensure(NAME, dimension=DIMENSION))

    for number, store in enumerate(stores):
        await store.upsert(NAME, [point(number)])
    assert await stores[0].count(NAME, EVERYTHING) == len(stores)
    for store in stores:
        await store.close()


async def test_connections_are_kept_and_few(remote: QdrantStore, fake_qdrant: FakeQdrant) -> None:
    async with asyncio.TaskGroup() as group:
        for entry in range(6):
            points = [point(entry * 1000 + n, entry_id=str(entry)) for n in range(BATCH * 3)]
            group.create_task(remote.upsert(NAME, points))

    assert len({received.connection for received in fake_qdrant.requests}) <= IN_FLIGHT
    assert await remote.count(NAME, {"must": [match("entry_id", "5")]}) == BATCH * 3


async def test_a_caller_that_leaves_frees_its_turn(hasty: QdrantStore, fake_qdrant: FakeQdrant) -> None:
    fake_qdrant.fail_next(*[Fault("hang")] * IN_FLIGHT)
    leaving = [asyncio.create_task(hasty.upsert(NAME, [point(n)])) for n in range(IN_FLIGHT)]
    async with asyncio.timeout(5):
        while len(fake_qdrant.requests) < IN_FLIGHT:
            await asyncio.sleep(0.005)
    for task in leaving:
        task.cancel()
    await asyncio.wait(leaving)

    await hasty.upsert(NAME, [point(9)])


async def test_a_closed_store_says_that_it_is_away(remote: QdrantStore) -> None:
    await remote.close()

    with pytest.raises(VectorStoreAwayError):
        await remote.count(NAME, EVERYTHING)


def test_the_slow_clients_are_not_imported_before_they_are_needed() -> None:
    code = (
        "import sys\n"
        "from llmstack_api.vectors.edge import EdgeStore\n"
        "from llmstack_api.vectors.qdrant import QdrantStore\n"
        "print([name for name in ('qdrant_client', 'qdrant_edge', 'numpy') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603 # our own code

    assert done.stdout.strip() == "[]"
