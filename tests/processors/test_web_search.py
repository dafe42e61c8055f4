"""`promptly/web_search` over a SearXNG's wire."""

from collections.abc import AsyncGenerator

import orjson
import pytest

from llmstack_api.engine.ports import Ports
from llmstack_api.errors import ProcessorInputError, ProviderNotConfiguredError
from llmstack_api.processors.web_search import WebSearch
from llmstack_api.settings import Settings
from llmstack_api.tools.web_search import open_web_search
from tests.fake_site import FakeSite, fake_site
from tests.fake_site.answers import reply
from tests.ports import make_ports
from tests.processors.steps import Emitted, run_step

HITS = [{"url": f"https://example.com/{n}", "title": f"Title {n}", "content": f"Text {n}."} for n in range(9)]


@pytest.fixture
async def site() -> AsyncGenerator[FakeSite]:
    async with fake_site() as running:
        running.page("/search?q=liquid+tags&format=json", reply(orjson.dumps({"results": HITS})))
        running.page("/search?q=nothing&format=json", reply(orjson.dumps({"results": []})))
        yield running


@pytest.fixture
async def ports(site: FakeSite) -> AsyncGenerator[Ports]:
    async with open_web_search(Settings.load(_env_file=None, search_base_url=site.url(""))) as web:
        yield make_ports(web=web)


async def test_hits_come_one_by_one(ports: Ports) -> None:
    emitted = Emitted()
    config = {"search_engine": "Google", "k": 2, "advanced_params": ""}
    output = await run_step(WebSearch, ports, {"query": " liquid\n tags "}, config, emitted)
    assert output == {
        "results": [
            {"title": "Title 0", "text": "Title 0. Text 0.", "source": "https://example.com/0"},
            {"title": "Title 1", "text": "Title 1. Text 1.", "source": "https://example.com/1"},
        ],
        "results_text": "[1] Title 0. Text 0.\nhttps://example.com/0\n\n[2] Title 1. Text 1.\nhttps://example.com/1",
    }
    assert emitted.paths[0] == ("results",)
    assert len((await run_step(WebSearch, ports, {"query": "liquid tags"}))["results"]) == 5


async def test_nothing_found_is_no_failure(ports: Ports) -> None:
    assert await run_step(WebSearch, ports, {"query": "nothing"}) == {"results": [], "results_text": ""}


async def test_a_query_is_needed_and_bounded(ports: Ports) -> None:
    for query in ("", " \n", "x" * 2001):
        with pytest.raises(ProcessorInputError, match=r"input\.query"):
            await run_step(WebSearch, ports, {"query": query})


async def test_without_a_search_engine_the_error_says_what_to_set() -> None:
    async with open_web_search(Settings.load(_env_file=None)) as web:
        with pytest.raises(ProviderNotConfiguredError, match="LLMSTACK_SEARCH_BASE_URL"):
            await run_step(WebSearch, make_ports(web=web), {"query": "x"})
