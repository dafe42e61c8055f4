"""Search over HTTP."""

from typing import Any

import httpx
import pytest

from tests.datasources.calls import add_text, make_datasource, search

TEXTS = {
    "ferry": "The ferry to the island leaves every morning at eight.",
    "bakery": "Bread is baked in the village before sunrise.",
    "museum": "Paintings of sailing ships hang in the small museum.",
}


@pytest.fixture
async def datasource(client: httpx.AsyncClient) -> str:
    """A datasource with three entries."""
    made = await make_datasource(client)
    for name, text in TEXTS.items():
        await add_text(client, made, text, name=name, topic=name)
    return made


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
async def test_the_best_passage_comes_first_in_every_mode(
    client: httpx.AsyncClient, datasource: str, mode: str
) -> None:
    hits = await search(client, datasource, "when does the ferry leave", mode=mode)
    assert hits[0]["entry_name"] == "ferry"
    scores = [hit["score"] for hit in hits]
    assert scores == sorted(scores, reverse=True)


async def test_limit_and_min_score_bound_the_results(client: httpx.AsyncClient, datasource: str) -> None:
    assert len(await search(client, datasource, "village", limit=1)) == 1
    assert await search(client, datasource, "village", mode="semantic", min_score=1.1) == []


async def test_a_query_without_words_finds_nothing_by_words(
    client: httpx.AsyncClient, datasource: str
) -> None:
    assert await search(client, datasource, "!!!", mode="keyword") == []


async def test_a_search_in_an_empty_datasource_finds_nothing(client: httpx.AsyncClient) -> None:
    assert await search(client, await make_datasource(client), "anything") == []


async def test_a_datasource_never_shows_another_ones_entries(
    client: httpx.AsyncClient, datasource: str
) -> None:
    other = await make_datasource(client)
    await add_text(client, other, "The ferry is blue.", name="other")
    assert [hit["entry_name"] for hit in await search(client, other, "ferry")] == ["other"]
    assert "other" not in {hit["entry_name"] for hit in await search(client, datasource, "ferry")}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": ""},
        {"query": "x", "limit": 0},
        {"query": "x", "limit": 101},
        {"query": "x", "mode": "psychic"},
        {"query": "x", "filters": {"type": "equals", "key": "a", "value": 1}},
        {"query": "x", "filters": {"type": "eq", "key": "a"}},
        {"query": "x", "filters": {"type": "gt", "key": "a", "value": [1]}},
        {"query": "x", "filters": "a == 1"},
        {"query": "x", "extra": 1},
    ],
    ids=["nothing", "blank", "zero", "many", "mode", "operator", "no value", "list", "text", "extra"],
)
async def test_a_search_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, datasource: str, body: dict[str, Any]
) -> None:
    answer = await client.post(f"/api/datasources/{datasource}/search", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"]
