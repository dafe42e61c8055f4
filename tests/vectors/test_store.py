"""What both engines do alike."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from llmstack_api.vectors.store import Fusion, Hit, JsonObject, Point, VectorStore
from tests.vectors.points import DIMENSION, EVERYTHING, match, of, point, query

METADATA: dict[int, Any] = {
    1: "hello",
    2: 5,
    3: 5.5,
    4: ["a", "b"],
    5: [1, 2],
    6: [],
    7: "Größe hélas",
    8: 2**63 - 1,
    9: "5",
    10: -3,
    11: 5.0,
    12: "",
    13: ["x", 7, 0.5],
    14: "HELLO",
}
MISSING = 15

CONDITIONS: dict[str, tuple[JsonObject, set[int]]] = {
    "a string": ({"match": {"value": "hello"}}, {1}),
    "an empty string": ({"match": {"value": ""}}, {12}),
    "a string of digits": ({"match": {"value": "5"}}, {9}),
    "an integer, not the equal float": ({"match": {"value": 5}}, {2}),
    "the largest integer": ({"match": {"value": 2**63 - 1}}, {8}),
    "an element": ({"match": {"value": "b"}}, {4}),
    "an element of a mixed list": ({"match": {"value": 7}}, {13}),
    "any string": ({"match": {"any": ["hello", "a"]}}, {1, 4}),
    "any integer": ({"match": {"any": [1, 5]}}, {2, 5}),
    "any of nothing": ({"match": {"any": []}}, set()),
    "a substring": ({"match": {"substring": "ell"}}, {1}),
    "a substring beyond ASCII": ({"match": {"substring": "öße h"}}, {7}),
    "a substring of an element": ({"match": {"substring": "b"}}, {4}),
    "a range of integers and floats": ({"range": {"gte": 5, "lt": 6}}, {2, 3, 11}),
    "a range of one number, whatever its type": ({"range": {"gte": 5, "lte": 5}}, {2, 11}),
    "a range below zero": ({"range": {"lt": 0}}, {10}),
    "a range with an element in it": ({"range": {"gt": 1, "lt": 3}}, {5}),
    "a range with a fraction in it": ({"range": {"gte": 0.25, "lte": 0.75}}, {13}),
}


@pytest.fixture
async def filled(store: VectorStore, collection: str) -> VectorStore:
    await store.ensure(collection, dimension=DIMENSION)
    with_value = [point(number, md_v=value) for number, value in METADATA.items()]
    await store.upsert(collection, [*with_value, point(MISSING)])
    return store


async def found(store: VectorStore, collection: str, condition: JsonObject) -> set[int]:
    """The points of a condition, on which searches and counts have to agree."""
    hits = await store.query(collection, query(dense=[1, 0, 0, 0], condition=condition, limit=100))
    assert await store.count(collection, condition) == len(hits)
    return {hit.id.int for hit in hits}


async def test_a_condition_on_a_value_finds_exactly_these(filled: VectorStore, collection: str) -> None:
    expected = {name: numbers for name, (_, numbers) in CONDITIONS.items()}
    everything = {*METADATA, MISSING}
    are: dict[str, set[int]] = {}
    are_not: dict[str, set[int]] = {}
    for name, (condition, _) in CONDITIONS.items():
        whole = {"key": "md_v"} | condition
        are[name] = await found(filled, collection, {"must": [whole]})
        are_not[name] = await found(filled, collection, {"must_not": [whole]})

    assert are == expected
    assert are_not == {name: everything - numbers for name, numbers in expected.items()}


async def test_values_other_than_some_are_found_where_there_is_such_a_value(
    filled: VectorStore, collection: str
) -> None:
    valued = {*METADATA} - {6}

    def others(*values: str) -> JsonObject:
        return {"must": [{"key": "md_v", "match": {"except": list(values)}}]}

    assert await found(filled, collection, others("hello", "a")) == valued - {1}
    assert await found(filled, collection, others("hello", "a", "b")) == valued - {1, 4}


async def test_what_is_missing_or_an_empty_list_is_empty(filled: VectorStore, collection: str) -> None:
    assert await found(filled, collection, {"must": [{"is_empty": {"key": "md_v"}}]}) == {6, MISSING}


async def test_conditions_nest(filled: VectorStore, collection: str) -> None:
    either = {"should": [match("md_v", "hello"), {"must": [match("md_v", 5)]}, match("md_v", "HELLO")]}
    condition = {
        "must": [match("datasource_id", "a"), either],
        "must_not": [{"must": [match("md_v", "HELLO")]}],
    }

    assert await found(filled, collection, condition) == {1, 2}


async def test_a_condition_alone_stands_for_a_list_of_one(filled: VectorStore, collection: str) -> None:
    assert await found(filled, collection, {"must": match("md_v", "hello")}) == {1}


async def test_a_condition_on_ids_finds_these(filled: VectorStore, collection: str) -> None:
    condition = {"must": [{"has_id": [str(UUID(int=2)), str(UUID(int=99))]}]}

    assert await found(filled, collection, condition) == {2}


@pytest.mark.parametrize("condition", [{"musst": []}, {"must": [{"key": "md_v", "match": {"like": "x"}}]}])
async def test_a_condition_that_is_none_is_refused_before_anything_is_found_or_deleted(
    filled: VectorStore, collection: str, condition: JsonObject
) -> None:
    with pytest.raises(ValueError, match=r"."):
        await filled.query(collection, query(dense=[1, 0, 0, 0], condition=condition))
    with pytest.raises(ValueError, match=r"."):
        await filled.delete(collection, condition)
    assert await filled.count(collection, EVERYTHING) == len(METADATA) + 1


async def test_keys_may_have_letters_of_any_script_and_dashes(store: VectorStore, collection: str) -> None:
    odd: dict[str, Any] = {"md_größe-日本_1": "x"}
    await store.ensure(collection, dimension=DIMENSION)
    await store.upsert(collection, [point(1, **odd), point(2)])

    assert await found(store, collection, {"must": [match("md_größe-日本_1", "x")]}) == {1}


async def test_what_is_stored_comes_back_whole(store: VectorStore, collection: str) -> None:
    payload: JsonObject = {
        "text": "Zeile\n\x00 日本 \U0001f600",
        "md_l": [1, 2.5, "x", True],
        "md_none": None,
        "md_o": {},
    }
    await store.ensure(collection, dimension=DIMENSION)
    await store.upsert(collection, [point(7, dense=[0, 1, 0, 0], **payload)])

    [hit] = await store.query(collection, query(dense=[0, 2, 0, 0]))

    assert hit == Hit(id=UUID(int=7), score=hit.score, payload=payload | {"datasource_id": "a"})
    assert hit.score == pytest.approx(1.0)


async def test_meaning_ranks_by_angle(store: VectorStore, collection: str) -> None:
    await store.ensure(collection, dimension=DIMENSION)
    vectors = [[1.0, 0, 0, 0], [1.0, 1.0, 0, 0], [0, 5.0, 0, 0], [0, -1.0, 0, 0]]
    await store.upsert(collection, [point(n, dense=vector) for n, vector in enumerate(vectors)])

    hits = await store.query(collection, query(dense=[0, 1, 0, 0], limit=3))

    assert [hit.id.int for hit in hits] == [2, 1, 0]
    assert [hit.score for hit in hits] == pytest.approx([1.0, 0.7071, 0.0], abs=1e-4)


async def test_words_rank_by_how_rare_they_are(store: VectorStore, collection: str) -> None:
    await store.ensure(collection, dimension=DIMENSION)
    common = [point(n, terms={10: 1.0}) for n in range(10, 20)]
    await store.upsert(collection, [*common, point(1, terms={11: 1.0}), point(2, terms={2**32 - 1: 1.0})])

    hits = await store.query(collection, query(terms=[10, 11], limit=3))

    assert hits[0].id.int == 1
    assert hits[0].score > hits[1].score
    assert {hit.id.int for hit in await store.query(collection, query(terms=[2**32 - 1]))} == {2}


async def test_how_rare_a_word_is_depends_on_the_corpus(store: VectorStore, collection: str) -> None:
    await store.ensure(collection, dimension=DIMENSION)
    # Word 10 is rare in `a`, where word 11 is everywhere; in `b` it is the other way round.
    in_a = [point(n, terms={11: 1.0}) for n in range(10, 30)]
    in_b = [point(n, terms={10: 1.0}, datasource="b") for n in range(30, 90)]
    both = [point(1, terms={10: 1.0}), point(2, terms={11: 1.0})]
    await store.upsert(collection, [*in_a, *in_b, *both])
    asked: dict[str, Any] = {
        "terms": [10, 11],
        "condition": {"must": [{"has_id": [str(UUID(int=1)), str(UUID(int=2))]}]},
    }

    by_a = await store.query(collection, query(**asked, corpus=of("a")))
    by_b = await store.query(collection, query(**asked, corpus=of("b")))
    by_all = await store.query(collection, query(**asked, corpus=EVERYTHING))

    assert [hit.id.int for hit in by_a] == [1, 2]
    assert [hit.id.int for hit in by_b] == [2, 1]
    assert by_a[0].score > 2 * by_all[0].score


async def test_ranks_of_meaning_and_words_are_fused_with_their_weights(
    store: VectorStore, collection: str
) -> None:
    await store.ensure(collection, dimension=DIMENSION)
    near = point(1, dense=[0, 1, 0, 0], terms={20: 1.0})
    named = point(2, dense=[1, 0.1, 0, 0], terms={21: 1.0})
    await store.upsert(collection, [near, named])

    async def ranked(weights: tuple[float, float]) -> list[int]:
        asked = query(dense=[0, 1, 0, 0], terms=[21], candidates=1, weights=weights)
        return [hit.id.int for hit in await store.query(collection, asked)]

    assert await ranked((9, 1)) == [1, 2]
    assert await ranked((1, 9)) == [2, 1]
    both = await store.query(collection, query(dense=[0, 1, 0, 0], terms=[21], limit=1))
    assert [hit.id.int for hit in both] == [2]
    assert both[0].payload == {"datasource_id": "a"}


async def test_a_condition_holds_in_each_half_of_a_fusion(store: VectorStore, collection: str) -> None:
    await store.ensure(collection, dimension=DIMENSION)
    others = [point(n, datasource="b", dense=[1, 0, 0, 0], terms={5: 1.0}) for n in range(100, 200)]
    await store.upsert(collection, [*others, point(1, terms={5: 0.1}, dense=[0.1, 1, 0, 0])])

    hits = await store.query(
        collection, query(dense=[1, 0, 0, 0], terms=[5], condition=of("a"), candidates=5)
    )

    assert [hit.id.int for hit in hits] == [1]


async def test_one_half_alone_can_be_scored_by_its_rank_too(store: VectorStore, collection: str) -> None:
    await store.ensure(collection, dimension=DIMENSION)
    await store.upsert(collection, [point(1, dense=[1, 0, 0, 0]), point(2, dense=[0, 1, 0, 0])])

    alone = await store.query(collection, query(dense=[1, 0, 0, 0]))
    fused = await store.query(collection, query(dense=[1, 0, 0, 0], fusion=Fusion.RANKS))
    assert [hit.id for hit in fused] == [hit.id for hit in alone]
    assert alone[0].score == pytest.approx(1.0, abs=1e-3)
    assert fused[0].score != alone[0].score
    assert fused[0].score > fused[1].score > 0


async def test_cosine_and_bm25_are_summed_with_their_weights(store: VectorStore, collection: str) -> None:
    await store.ensure(collection, dimension=DIMENSION)
    near = point(1, dense=[0, 1, 0, 0], terms={20: 1.0})
    named = point(2, dense=[1, 1, 0, 0], terms={21: 1.0})
    less = point(3, dense=[0, 0, 1, 0], terms={21: 0.5})
    await store.upsert(collection, [near, named, less, *(point(n, terms={9: 1.0}) for n in range(10, 20))])

    async def scores(**asked: Any) -> dict[int, Any]:
        hits = await store.query(collection, query(fusion=Fusion.SCORES, weights=(0.55, 0.45), **asked))
        return {hit.id.int: pytest.approx(hit.score, abs=1e-3) for hit in hits}

    # What its words alone brought has its exact cosine; what meaning alone brought has no BM25.
    both = await scores(dense=[0, 1, 0, 0], terms=[21], candidates=2, limit=3)
    assert both == {2: 0.55 / 2**0.5 + 0.45, 1: 0.55, 3: 0.225}
    assert list(both) == [2, 1, 3]
    assert await scores(dense=[0, 1, 0, 0], candidates=2, limit=2) == {1: 0.55, 2: 0.55 / 2**0.5}
    assert await scores(terms=[21]) == {2: 0.45, 3: 0.225}
    assert await scores(dense=[0, 1, 0, 0], terms=[22], candidates=1) == {1: 0.55}
    [hit] = await store.query(
        collection, query(dense=[0, 1, 0, 0], terms=[21], fusion=Fusion.SCORES, limit=1, condition=of("a"))
    )
    assert (hit.id.int, hit.payload) == (2, {"datasource_id": "a"})


async def test_a_sum_is_the_same_for_every_limit(store: VectorStore, collection: str) -> None:
    await store.ensure(collection, dimension=DIMENSION)
    far = [point(n, dense=[0, 0, 1, 0], terms={20: 1.0}) for n in range(10, 14)]
    await store.upsert(collection, [point(1, dense=[1, 0, 0, 0], terms={20: 0.5}), *far])

    for limit in (1, 2, 3, 5):
        asked = query(dense=[1, 0, 0, 0], terms=[20], candidates=5, fusion=Fusion.SCORES, limit=limit)
        best, *others = await store.query(collection, replace(asked, weights=(0.5, 0.5)))
        assert (best.id.int, best.score) == (1, pytest.approx(0.75, abs=1e-3)), limit
        assert [(hit.id.int, hit.score) for hit in others] == [
            (n, pytest.approx(0.5, abs=1e-3)) for n in range(10, 14)
        ][: limit - 1]


async def test_a_sum_can_be_relative_to_more_than_is_searched(store: VectorStore, collection: str) -> None:
    await store.ensure(collection, dimension=DIMENSION)
    whole, half = point(1, dense=[1, 0, 0, 0], terms={20: 1.0}), point(2, dense=[0, 1, 0, 0], terms={20: 0.5})
    await store.upsert(collection, [whole, half, point(3, terms={9: 1.0})])

    for dense in ([0.0, 0, 0, 1], None):
        alone = {"must_not": [{"has_id": [str(whole.id)]}]}
        asked = query(terms=[20], condition=alone, corpus=EVERYTHING, fusion=Fusion.SCORES)
        hits = await store.query(
            collection, replace(asked, dense=dense, scale=EVERYTHING, weights=(0.5, 0.5))
        )
        assert hits[0].id.int == 2
        assert hits[0].score == pytest.approx(0.25, abs=1e-3)


async def test_the_first_of_many_equal_hits_are_the_same_for_every_limit(
    store: VectorStore, collection: str
) -> None:
    await store.ensure(collection, dimension=DIMENSION)
    ids = [(n * 37) % 101 + 1 for n in range(100)]
    await store.upsert(collection, [point(n, dense=[1, 0, 0, 0], terms={5: 1.0}) for n in ids])

    for dense, terms in (([1.0, 0, 0, 0], None), (None, [5]), ([1.0, 0, 0, 0], [5])):
        for fusion in (Fusion.NONE, Fusion.SCORES):
            for limit in (1, 10, 60):
                asked = query(dense=dense, terms=terms, limit=limit, candidates=100, fusion=fusion)
                hits = await store.query(collection, asked)
                if asked.fusion is not Fusion.RANKS:
                    assert [hit.id.int for hit in hits] == sorted(ids)[:limit], (dense, terms, fusion)


async def test_a_condition_holds_in_each_half_of_a_sum(store: VectorStore, collection: str) -> None:
    await store.ensure(collection, dimension=DIMENSION)
    others = [point(n, datasource="b", dense=[1, 0, 0, 0], terms={5: 1.0}) for n in range(100, 200)]
    await store.upsert(collection, [*others, point(1, terms={5: 0.1}, dense=[0.1, 1, 0, 0])])

    for terms in ([5], [6]):
        hits = await store.query(
            collection,
            query(dense=[1, 0, 0, 0], terms=terms, condition=of("a"), candidates=5, fusion=Fusion.SCORES),
        )
        assert [hit.id.int for hit in hits] == [1]


async def test_equal_scores_come_in_the_order_of_ids(store: VectorStore, collection: str) -> None:
    await store.ensure(collection, dimension=DIMENSION)
    await store.upsert(collection, [point(n, dense=[1, 0, 0, 0]) for n in (5, 3, 9, 1, 7)])

    summed = query(dense=[1, 0, 0, 0], terms=[1], fusion=Fusion.SCORES)
    for asked in (query(dense=[1, 0, 0, 0]), query(terms=[1]), summed):
        hits = await store.query(collection, asked)
        assert [hit.id.int for hit in hits] == [1, 3, 5, 7, 9]


async def test_a_question_without_words_finds_nothing_by_words(store: VectorStore, collection: str) -> None:
    await store.ensure(collection, dimension=DIMENSION)
    await store.upsert(collection, [point(1)])

    assert await store.query(collection, query(terms=[])) == []
    assert len(await store.query(collection, query(dense=[1, 0, 0, 0], terms=[]))) == 1


async def test_storing_again_replaces(store: VectorStore, collection: str) -> None:
    await store.ensure(collection, dimension=DIMENSION)
    for text, term in (("old", 30), ("new", 31)):
        await store.upsert(collection, [point(1, text=text, terms={term: 1.0}), point(2)])

    assert await store.count(collection, EVERYTHING) == 2
    assert await store.query(collection, query(terms=[30])) == []
    [hit] = await store.query(collection, query(terms=[31]))
    assert hit.payload["text"] == "new"


async def test_deleting_takes_what_fulfils_the_condition_and_nothing_else(
    store: VectorStore, collection: str
) -> None:
    await store.ensure(collection, dimension=DIMENSION)
    points = [point(n, datasource="ab"[n % 2], entry_id=str(n // 4)) for n in range(20)]
    await store.upsert(collection, points)
    entry = {"must": [match("datasource_id", "a"), match("entry_id", "1")]}

    for _ in range(2):
        await store.delete(collection, entry)
        await store.flush(collection)
        assert await store.count(collection, entry) == 0
        assert await store.count(collection, of("a")) == 8
        assert await store.count(collection, of("b")) == 10
    await store.delete(collection, of("b"))
    assert {hit.payload["datasource_id"] for hit in await store.query(collection, query(terms=[1]))} == {"a"}


async def test_a_collection_that_does_not_exist_has_no_hits(store: VectorStore, collection: str) -> None:
    assert await store.query(collection, query(dense=[1, 0, 0, 0], terms=[1])) == []
    assert await store.count(collection, EVERYTHING) == 0
    await store.delete(collection, of("a"))
    await store.flush(collection)


async def test_many_points_are_stored_by_many_callers_at_once(store: VectorStore, collection: str) -> None:
    await store.ensure(collection, dimension=DIMENSION)

    async def entry(number: int) -> None:
        points: list[Point] = [point(number * 1000 + n, entry_id=str(number)) for n in range(150)]
        await store.upsert(collection, points)
        await store.flush(collection)
        assert await store.count(collection, {"must": [match("entry_id", str(number))]}) == 150

    async with asyncio.TaskGroup() as group:
        for number in range(1, 9):
            group.create_task(entry(number))

    assert await store.count(collection, EVERYTHING) == 1200


async def test_a_collection_is_made_by_several_at_once(store: VectorStore, collection: str) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(store.ensure(collection, dimension=DIMENSION))

    await store.upsert(collection, [point(1)])
    await store.ensure(collection, dimension=DIMENSION)
    assert await store.count(collection, EVERYTHING) == 1


async def test_collections_are_apart(store: VectorStore, collection: str) -> None:
    other = f"{collection}_2"
    await store.ensure(collection, dimension=DIMENSION)
    await store.ensure(other, dimension=2)
    await store.upsert(collection, [point(1)])
    await store.upsert(other, [point(2, dense=[1.0, 0.0])])

    assert [hit.id.int for hit in await store.query(collection, query(terms=[1]))] == [1]
    assert [hit.id.int for hit in await store.query(other, query(dense=[1, 1]))] == [2]


async def test_a_closed_store_can_be_closed_again(store: VectorStore, collection: str) -> None:
    await store.ensure(collection, dimension=DIMENSION)
    await store.close()
    await store.close()
