"""The port `WebSearch` before fakes of the wires of SearXNG, Brave and Tavily."""

from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from llmstack_api.engine.ports import WebResult
from llmstack_api.errors import (
    ProviderBusyError,
    ProviderFailedError,
    ProviderNotConfiguredError,
    ProviderRefusedError,
)
from llmstack_api.settings import Settings
from llmstack_api.tools.web_search import OperatorSearch, open_web_search
from tests.fake_site import FakeSite, fake_site
from tests.fake_site.answers import Play, drop, reply

SEARXNG = {
    "query": "liquid",
    "number_of_results": 0,
    "results": [
        {
            "url": "https://example.com/a",
            "title": "A &amp; B",
            "content": "About\nliquids.",
            "engine": "duckduckgo",
            "score": 1.0,
        },
        {"url": "https://example.com/b", "title": "B", "content": None},
        {"title": "of no address", "content": "x"},
        {"url": "javascript:alert(1)", "title": "of no web address"},
        "nonsense",
    ],
    "answers": [],
}
BRAVE = {
    "type": "search",
    "query": {"original": "liquid"},
    "web": {
        "type": "search",
        "results": [
            {
                "title": "A & B",
                "url": "https://example.com/a",
                "description": "About <strong>liquids</strong>.",
                "age": "1 day ago",
            },
            {"title": "B", "url": "https://example.com/b", "description": ""},
        ],
    },
}
TAVILY = {
    "query": "liquid",
    "answer": None,
    "results": [
        {"title": "A & B", "url": "https://example.com/a", "content": "About liquids.", "score": 0.9},
        {"title": "B", "url": "https://example.com/b", "content": "", "score": 0.5},
    ],
    "response_time": 0.1,
}
FOUND = [
    WebResult(title="A & B", text="About liquids.", url="https://example.com/a"),
    WebResult(title="B", text="", url="https://example.com/b"),
]


@pytest.fixture
async def site() -> AsyncGenerator[FakeSite]:
    async with fake_site() as running:
        yield running


def settings(**values: Any) -> Settings:
    return Settings.load(_env_file=None, **values)


def said(value: object, status: int = 200, **headers: str) -> Play:
    return reply(orjson.dumps(value), status=status, headers={"content-type": "application/json", **headers})


async def search(given: Settings, query: str = "liquid", limit: int = 5) -> list[WebResult]:
    async with open_web_search(given) as engine:
        return await engine.search(query, limit=limit)


async def test_a_searxng_is_asked(site: FakeSite) -> None:
    site.page("/search?q=a+%26+b&format=json", said(SEARXNG))
    given = settings(search_base_url=site.url("/"))
    assert await search(given, "a & b") == FOUND
    assert await search(given, "a & b", limit=1) == FOUND[:1]
    assert "authorization" not in site.requests[0].headers


async def test_a_searxng_behind_a_proxy_gets_a_key(site: FakeSite) -> None:
    site.page("/sx/search?q=liquid&format=json", said(SEARXNG))
    await search(settings(search_base_url=site.url("/sx"), search_api_key="k3y"))
    assert site.requests[0].headers["authorization"] == "Bearer k3y"


async def test_brave_is_asked(site: FakeSite) -> None:
    site.page("/res/v1/web/search?q=liquid&count=20&text_decorations=false", said(BRAVE))
    given = settings(search_api="brave", search_base_url=site.url(""), search_api_key="k3y")
    assert await search(given, limit=50) == FOUND
    received = site.requests[0]
    assert received.method == "GET"
    assert received.headers["x-subscription-token"] == "k3y"
    assert "authorization" not in received.headers


async def test_tavily_is_asked(site: FakeSite) -> None:
    site.page("/search", said(TAVILY))
    given = settings(search_api="tavily", search_base_url=site.url(""), search_api_key="k3y")
    assert await search(given) == FOUND
    received = site.requests[0]
    assert received.method == "POST"
    assert received.headers["authorization"] == "Bearer k3y"
    assert received.body == {"query": "liquid", "max_results": 5}


async def test_nothing_found_is_an_empty_list(site: FakeSite) -> None:
    site.page("/search?q=liquid&format=json", said({"results": []}))
    assert await search(settings(search_base_url=site.url(""))) == []
    site.page("/res/v1/web/search?q=liquid&count=5&text_decorations=false", said({"type": "search"}))
    assert await search(settings(search_api="brave", search_base_url=site.url(""))) == []


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, "LLMSTACK_SEARCH_BASE_URL"),
        ({"search_api_key": "k3y"}, "LLMSTACK_SEARCH_BASE_URL"),
        ({"search_api": "brave"}, "LLMSTACK_SEARCH_API_KEY"),
        ({"search_api": "tavily"}, "LLMSTACK_SEARCH_API_KEY"),
        ({"search_base_url": "http://"}, "LLMSTACK_SEARCH_BASE_URL"),
        ({"search_base_url": "http://localhost", "search_api_key": "k\x00y"}, "LLMSTACK_SEARCH_API_KEY"),
    ],
)
async def test_where_no_engine_is_set_the_error_names_the_setting(given: dict[str, Any], names: str) -> None:
    with pytest.raises(ProviderNotConfiguredError, match=names):
        await search(settings(**given))


async def test_a_refusal_is_told_without_the_key(site: FakeSite) -> None:
    given = settings(search_api="tavily", search_base_url=site.url(""), search_api_key="tvly-s3cret-key")
    site.page("/search", said({"detail": {"error": "bad key tvly-s3cret-key"}}, 401))
    with pytest.raises(ProviderRefusedError, match=r"The search engine refused .*401") as refused:
        await search(given)
    assert "tvly-s3cret-key" not in str(refused.value)


async def test_a_searxng_without_json_is_told_as_such(site: FakeSite) -> None:
    site.page("/search?q=liquid&format=json", reply("<html>403</html>", status=403))
    with pytest.raises(ProviderRefusedError, match="names json"):
        await search(settings(search_base_url=site.url("")))


async def test_a_busy_engine_says_when_to_come_back(site: FakeSite) -> None:
    site.page("/search?q=liquid&format=json", said({}, 429, **{"retry-after": "77"}))
    with pytest.raises(ProviderBusyError) as busy:
        await search(settings(search_base_url=site.url("")))
    assert busy.value.retry_after == 77


async def test_a_reset_connection_is_tried_once_more(site: FakeSite) -> None:
    given = settings(search_api="tavily", search_base_url=site.url(""), search_api_key="k3y")
    site.page("/search", drop, said(TAVILY))
    assert await search(given) == FOUND
    site.page("/search", drop)
    with pytest.raises(ProviderFailedError):
        await search(given)
    assert site.asked("/search") == 4


@pytest.mark.parametrize(
    "body", ["<html>", "[]", '{"results": {}}', '{"results": "x"}', "{}" + " " * 5_000_000, ""]
)
async def test_an_answer_that_makes_no_sense_is_a_failure(site: FakeSite, body: str) -> None:
    site.page("/search?q=liquid&format=json", reply(body))
    with pytest.raises(ProviderFailedError):
        await search(settings(search_base_url=site.url("")))


async def test_nothing_is_connected_to_before_a_search(site: FakeSite) -> None:
    async with open_web_search(settings(search_base_url=site.url(""))) as engine:
        assert isinstance(engine, OperatorSearch)
    assert site.accepted == 0
