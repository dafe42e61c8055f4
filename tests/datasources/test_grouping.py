"""Results with few hits of each entry, and with equal passages as one."""

from collections.abc import AsyncGenerator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from llmstack_api.datasources.grouping import DEEPEST, LOOKS, Grouping, Shown, collect, show
from llmstack_api.settings import Settings
from llmstack_api.vectors.store import Hit
from tests.datasources.calls import add_text, make_datasource, search
from tests.datasources.qdrants import picky_qdrant
from tests.datasources.watching import SMALL_CHUNKS
from tests.server import RunningServer, running_server

PLAIN, FOLDED = Grouping(), Grouping(fold_copies=True)
ONE, TWO = Grouping(per_entry=1), Grouping(per_entry=2)
FOLDED_ONE = Grouping(per_entry=1, fold_copies=True)
MODES = ["hybrid", "semantic", "keyword"]


def hits_of(passages: str) -> list[Hit]:
    """Make hits, best first, of words such as `a1x`: entry, number, passage."""
    return [
        Hit(
            id=UUID(int=rank),
            score=1 / (1 + rank),
            payload={"entry_id": word[0], "generation": f"{word[0]}:1", "text": word[2:], "name": word},
        )
        for rank, word in enumerate(passages.split())
    ]


def names(shown: Sequence[Shown]) -> list[str]:
    return ["+".join(hit.payload["name"] for hit in (each.hit, *each.copies)) for each in shown]


@pytest.mark.parametrize(
    ("passages", "grouping", "limit", "expected"),
    [
        ("a1x a2y b1z", PLAIN, 2, ["a1x", "a2y"]),
        ("a1x a2y b1z a3u b2v", ONE, 9, ["a1x", "b1z"]),
        ("a1x a2y b1z a3u b2v", TWO, 9, ["a1x", "a2y", "b1z", "b2v"]),
        ("a1x b1x a2y c1x a3x", FOLDED, 9, ["a1x+b1x+c1x+a3x", "a2y"]),
        # a copy takes no room of its entry
        ("a1x b1x b2y a2z", FOLDED_ONE, 9, ["a1x+b1x", "b2y"]),
        # the best copy whose entry has room stands for a passage
        ("a1x a2y b1y c1y", FOLDED_ONE, 9, ["a1x", "b1y+a2y+c1y"]),
        # copies are told of although no more results are wanted
        ("a1x b1y c1x c2y", FOLDED, 1, ["a1x+c1x"]),
    ],
)
def test_hits_are_chosen_by_their_entries_and_passages(
    passages: str, grouping: Grouping, limit: int, expected: list[str]
) -> None:
    assert names(show(hits_of(passages), grouping, limit=limit)) == expected


def test_passages_are_equal_but_for_white_space_and_not_but_for_case() -> None:
    hits = [
        Hit(UUID(int=number), 1.0, {"entry_id": "a", "generation": "a:1", "text": text, "name": str(number)})
        for number, text in enumerate(["The tide.", " The\n\ttide.\u00a0", "the tide.", "The tide"])
    ]
    assert names(show(hits, Grouping(fold_copies=True), limit=9)) == ["0+1", "2", "3"]


class Store:
    """An index that holds these hits, best first, and counts how often it is asked."""

    def __init__(self, passages: str) -> None:
        self.hits = hits_of(passages)
        self.gone: set[str] = set()
        self.limits: list[int] = []

    async def look(self, limit: int, *, without: AbstractSet[str]) -> list[Hit]:
        self.limits.append(limit)
        left_out = without | self.gone
        return [hit for hit in self.hits if hit.payload["generation"] not in left_out][:limit]

    async def still_seen(self, generations: set[str]) -> set[str]:
        return generations - self.gone

    async def collect(self, grouping: Grouping, limit: int = 3) -> list[str]:
        return names(await collect(self.look, grouping, limit=limit, still_seen=self.still_seen))


async def test_a_plain_search_looks_once_and_no_deeper_than_it_wants() -> None:
    store = Store("a1x a2y a3z a4u")
    assert await store.collect(Grouping()) == ["a1x", "a2y", "a3z"]
    assert store.limits == [3]


async def test_an_entry_with_more_passages_than_one_look_sees_hides_no_other() -> None:
    store = Store(" ".join(["a1x"] * 5000 + ["b1y", "c1z"]))
    assert await store.collect(Grouping(per_entry=2)) == ["a1x", "a1x", "b1y"]
    assert len(store.limits) == 2


async def test_scores_fall_from_look_to_look() -> None:
    store = Store(" ".join(["a1x"] * 2000 + ["b1y"] * 2000 + ["c1z"]))
    store.hits[-1] = Hit(store.hits[-1].id, 9.0, store.hits[-1].payload)
    shown = await collect(store.look, Grouping(per_entry=1), limit=3, still_seen=store.still_seen)
    scores = [each.hit.score for each in shown]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)


async def test_what_is_deleted_between_two_looks_is_not_shown() -> None:
    store = Store(" ".join(["a1x"] * 5000 + ["b1y", "c1z", "d1u"]))

    async def look(limit: int, *, without: AbstractSet[str]) -> list[Hit]:
        found = await store.look(limit, without=without)
        store.gone.add("a:1")
        return found

    shown = await collect(look, Grouping(per_entry=1), limit=3, still_seen=store.still_seen)
    assert names(shown) == ["b1y", "c1z", "d1u"]


async def test_the_work_of_a_search_is_bounded() -> None:
    store = Store(" ".join(f"{chr(97 + n)}1x" for n in range(20) for _ in range(DEEPEST + 1)))
    assert len(await store.collect(Grouping(per_entry=1), limit=20)) == LOOKS
    assert len(store.limits) == LOOKS
    copies = Store(" ".join(["a1x"] * 5000 + ["b1y"]))
    assert len(await copies.collect(Grouping(fold_copies=True))) == 1
    assert max(copies.limits) == DEEPEST
    assert len(copies.limits) <= 3


# --- over HTTP, with each vector store -------------------------------------------------------------------


@pytest.fixture(params=["edge", "qdrant"])
async def server(
    request: pytest.FixtureRequest, sqlite_settings: Settings, tmp_path: Path
) -> AsyncGenerator[RunningServer]:
    """The application, once over each vector store."""
    if request.param == "edge":
        async with running_server(sqlite_settings) as running:
            yield running
        return
    async with picky_qdrant(tmp_path / "qdrant") as qdrant:
        update = {"qdrant_url": qdrant.url}
        async with running_server(sqlite_settings.model_copy(update=update)) as running:
            yield running


@pytest.fixture
async def client(server: RunningServer) -> AsyncGenerator[httpx.AsyncClient]:
    async with server.client() as opened:
        yield opened


def paragraphs(*texts: str) -> str:
    """Make a text of which each paragraph is a chunk of `SMALL_CHUNKS`."""
    return "\n\n".join(text.ljust(120, ".") for text in texts)


@pytest.fixture
async def datasource(client: httpx.AsyncClient) -> str:
    """A datasource in which one entry has many passages, and several entries have one that is the same."""
    made = await make_datasource(client, "text", config=SMALL_CHUNKS)
    many = paragraphs(*(f"The ferry leaves at {hour} o'clock from the island." for hour in range(1, 13)))
    await add_text(client, made, many, name="timetable", lang="en")
    for number in range(4):
        own = paragraphs("The ferry takes bicycles.", f"The harbour of village {number} has a pump.")
        await add_text(client, made, own, name=f"village{number}", lang="en" if number % 2 else "de")
    return made


@pytest.mark.parametrize("mode", MODES)
async def test_each_entry_has_no_more_results_than_asked_for(
    client: httpx.AsyncClient, datasource: str, mode: str
) -> None:
    query = "when does the ferry leave the island"
    plain = await search(client, datasource, query, mode=mode, limit=3)
    assert {hit["entry_name"] for hit in plain} == {"timetable"}
    assert all("copies" not in hit for hit in plain)
    one = await search(client, datasource, query, mode=mode, limit=3, group_by="entry")
    assert len({hit["entry_name"] for hit in one}) == 3
    assert (one[0]["entry_name"], one[0]["content"]) == ("timetable", plain[0]["content"])
    scores = [hit["score"] for hit in one]
    assert scores == sorted(scores, reverse=True)
    two = await search(client, datasource, query, mode=mode, limit=100, group_by="entry", group_size=2)
    assert sorted(hit["entry_name"] for hit in two)[:2] == ["timetable", "timetable"]
    assert len(two) == (10 if mode != "keyword" else len(two))
    assert "metadata" in two[0]


@pytest.mark.parametrize("mode", MODES)
async def test_a_hit_has_the_same_score_however_results_are_chosen(
    client: httpx.AsyncClient, datasource: str, mode: str
) -> None:
    def scores(hits: list[dict[str, Any]]) -> dict[tuple[str, int], Any]:
        return {
            (hit["entry_uuid"], hit["chunk"]["number"]): pytest.approx(hit["score"], abs=1e-4) for hit in hits
        }

    query = "when does the ferry leave the island"
    plain = scores(await search(client, datasource, query, mode=mode, limit=100))
    for limit in (1, 2, 3):
        first = await search(client, datasource, query, mode=mode, limit=limit)
        assert list(scores(first)) == list(plain)[:limit]
        for chosen in ({}, {"group_by": "entry"}, {"group_by": "entry", "fold_copies": True}):
            hits = await search(client, datasource, query, mode=mode, limit=limit, **chosen)
            for hit in hits:
                place = (hit["entry_uuid"], hit["chunk"]["number"])
                assert hit["score"] == plain[place], (chosen, limit)


@pytest.mark.parametrize("mode", MODES)
async def test_equal_passages_are_one_result_that_names_the_others(
    client: httpx.AsyncClient, datasource: str, mode: str
) -> None:
    query = "which ferry takes bicycles"
    folded = await search(client, datasource, query, mode=mode, limit=5, fold_copies=True)
    assert len({hit["content"] for hit in folded}) == len(folded) == 5
    first = folded[0]
    assert "bicycles" in first["content"]
    assert first["copies_count"] == len(first["copies"]) == 3
    assert {first["entry_name"], *(copy["entry_name"] for copy in first["copies"])} == {
        f"village{number}" for number in range(4)
    }
    assert first["copies"][0].keys() == {"entry_uuid", "entry_name", "source", "score", "chunk"}
    assert first["copies"][0]["chunk"] == {"number": 0, "start": 0, "end": 120}
    assert [(hit["copies"], hit["copies_count"]) for hit in folded[1:]] == [([], 0)] * 4
    german = {"type": "eq", "key": "md_lang", "value": "de"}
    (only, *_) = await search(client, datasource, query, mode=mode, fold_copies=True, filters=german)
    assert only["copies_count"] == 1


async def test_both_together_leave_each_entry_the_room_that_a_copy_would_take(
    client: httpx.AsyncClient, datasource: str
) -> None:
    both: dict[str, Any] = {"group_by": "entry", "fold_copies": True, "limit": 10}
    hits = await search(client, datasource, "which ferry takes bicycles", **both)
    assert len(hits) == len({hit["entry_name"] for hit in hits}) == 5
    assert hits[0]["copies_count"] == 3
    least = await search(client, datasource, "ferry bicycles", mode="semantic", min_score=0.6, **both)
    assert all(hit["score"] >= 0.6 for hit in least)


async def test_what_was_deleted_or_replaced_is_neither_a_result_nor_a_copy(
    client: httpx.AsyncClient, datasource: str
) -> None:
    rows = (await client.get(f"/api/datasources/{datasource}/entries")).json()
    gone, *_ = [row["uuid"] for row in rows if row["name"] == "village3"]
    assert (await client.delete(f"/api/datasources/{datasource}/entries/{gone}")).status_code == 204
    (hit, *_) = await search(client, datasource, "ferry takes bicycles", fold_copies=True)
    assert hit["copies_count"] == 2
    assert gone not in {hit["entry_uuid"], *(copy["entry_uuid"] for copy in hit["copies"])}


@pytest.mark.parametrize(
    ("body", "loc", "said"),
    [
        ({"group_size": 3}, "group_size", "group_by"),
        ({"group_by": "page"}, "group_by", "entry"),
        ({"group_by": "entry", "group_size": 0}, "group_size", "1"),
        ({"group_by": "entry", "group_size": 11}, "group_size", "10"),
        ({"group_by": "entry", "group_size": "2"}, "group_size", "integer"),
        ({"fold_copies": "yes"}, "fold_copies", "boolean"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(
    client: httpx.AsyncClient, datasource: str, body: dict[str, Any], loc: str, said: str
) -> None:
    answer = await client.post(f"/api/datasources/{datasource}/search", json={"query": "ferry"} | body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["loc"] == loc
    assert said in error["msg"]


async def test_null_and_the_empty_text_mean_that_nothing_is_grouped(
    client: httpx.AsyncClient, datasource: str
) -> None:
    plain = await search(client, datasource, "ferry")
    off = {"group_by": "", "group_size": None, "fold_copies": None}
    assert await search(client, datasource, "ferry", **off) == plain
