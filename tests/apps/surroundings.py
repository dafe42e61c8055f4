"""All that an app may need around it: a model, a search engine, a page of the web, a datasource."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

import httpx
import orjson
from pydantic import SecretStr

from llmstack_api.settings import Settings
from tests.datasources.calls import add_text, make_datasource
from tests.fake_model import FakeModel
from tests.fake_site import FakeSite, fake_site
from tests.fake_site.answers import reply
from tests.runs.streams import stitch
from tests.server import running_server

OPENING = "The library opens at nine in the morning."
TIDES = "Tides are made by the moon."


@dataclass(frozen=True)
class Surroundings:
    """A server with everything."""

    client: httpx.AsyncClient
    model: FakeModel
    site: FakeSite
    datasource: str
    """A datasource that says when the library opens."""

    def found_on_the_web(self, query: str) -> str:
        """Have the search engine find a page about the tides for a query; return the page's address."""
        page = self.site.page(
            "/tides",
            reply(f"<html><body><p>{TIDES}</p></body></html>", headers={"content-type": "text/html"}),
        )
        answer = {"query": query, "results": [{"url": page, "title": "Tides", "content": "What makes them"}]}
        self.site.page(
            f"/search?{urlencode({'q': query, 'format': 'json'})}",
            reply(orjson.dumps(answer), headers={"content-type": "application/json"}),
        )
        return page


@asynccontextmanager
async def surroundings(settings: Settings, model: FakeModel) -> AsyncGenerator[Surroundings]:
    """Serve with a model, a search engine and a datasource."""
    async with fake_site() as site:
        given: dict[str, Any] = {
            "openai_base_url": model.base_url,
            "openai_api_key": SecretStr("sk-0"),
            "search_base_url": site.url("/").rstrip("/"),
            "egress_allow": f"127.0.0.1:{site.port}",
        }
        async with running_server(settings.model_copy(update=given)) as server, server.client() as client:
            datasource = await make_datasource(client)
            await add_text(client, datasource, OPENING, "hours")
            yield Surroundings(client, model, site, datasource)


async def run_both_ways(
    client: httpx.AsyncClient, app: str, given: dict[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run an app blocking and streamed; both have to succeed and to give the same. Return output and lines."""
    path = f"/api/apps/{app}/run"
    blocking = await client.post(path, json={"input": given})
    assert blocking.status_code == 200, blocking.text
    streamed = await client.post(path, json={"input": given, "stream": True})
    lines = [json.loads(line) for line in streamed.content.split(b"\n") if line.strip()]
    assert lines[-1]["done"]["status"] == "succeeded", lines
    output: dict[str, Any] = blocking.json()["output"]
    assert without_times(stitch(lines)) == without_times(output)
    return output, lines


def without_times(value: Any) -> Any:
    """Leave out when something happened, which no two runs share."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: without_times(item) for key, item in items if not key.endswith("_ms")}
    if isinstance(value, list):
        return [without_times(item) for item in cast("list[Any]", value)]
    return value
