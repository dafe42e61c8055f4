"""What a datasource holds, seen from outside: its entries, and the passages that searches find."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx

from llmstack_api.datasources.indexing import SLICE
from tests.datasources.calls import search

TOKEN = "a-bootstrap-token-of-more-than-32-characters"
LOOK = 0.05
SMALL_CHUNKS = {"chunk_size": 200, "chunk_overlap": 0}
MANY = SLICE + 20
"""Chunks that do not fit into one batch."""


def client_of(url: str) -> httpx.AsyncClient:
    """Open a client of a server process that was started with `TOKEN`."""
    return httpx.AsyncClient(base_url=url, headers={"Token": TOKEN}, timeout=30, verify=False)


def long_text(word: str, chunks: int) -> str:
    """Make a text of so many chunks of `SMALL_CHUNKS`, each with the word."""
    return "\n\n".join(f"{word} {number:05} ".ljust(190, "x") for number in range(chunks))


async def send_text(client: httpx.AsyncClient, datasource: str, content: str, **metadata: Any) -> str:
    """Add a text without waiting for it; return its uuid."""
    body = {"entry_data": {"name": content[:20], "content": content}, "entry_metadata": metadata}
    answer = await client.post(f"/api/datasources/{datasource}/entries", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "PROCESSING"
    return answer.json()["uuid"]


async def send_url(client: httpx.AsyncClient, datasource: str, url: str, name: str | None = None) -> str:
    """Add a URL without waiting for it; return its uuid."""
    data = {"url": url} | ({"name": name} if name else {})
    answer = await client.post(f"/api/datasources/{datasource}/entries", json={"entry_data": data})
    assert answer.status_code == 202, answer.text
    return answer.json()["uuid"]


async def entries_of(client: httpx.AsyncClient, datasource: str, **selected: Any) -> list[dict[str, Any]]:
    """List every entry of a datasource, page by page."""
    rows: list[dict[str, Any]] = []
    url: str | None = f"/api/datasources/{datasource}/entries"
    params: dict[str, Any] | None = {"limit": 1000, **selected}
    while url:
        page = await client.get(url, params=params)
        assert page.status_code == 200, page.text
        rows += page.json()
        url, params = page.links.get("next", {}).get("url"), None
    return rows


async def entry_of(client: httpx.AsyncClient, datasource: str, entry: str) -> dict[str, Any]:
    answer = await client.get(f"/api/datasources/{datasource}/entries/{entry}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def until_entry(
    client: httpx.AsyncClient,
    datasource: str,
    entry: str,
    condition: Callable[[dict[str, Any]], bool],
    *,
    within: float = 20,
) -> dict[str, Any]:
    """Look at an entry until something about it is so."""
    row: dict[str, Any] = {}
    try:
        async with asyncio.timeout(within):
            while not condition(row := await entry_of(client, datasource, entry)):
                await asyncio.sleep(LOOK)
    except TimeoutError:
        raise AssertionError(f"it did not become so within {within} s: {row}") from None
    return row


async def all_settled(client: httpx.AsyncClient, datasource: str, *, within: float) -> list[dict[str, Any]]:
    """Wait until no entry of a datasource is PROCESSING; return them all."""
    try:
        async with asyncio.timeout(within):
            while waiting := await entries_of(client, datasource, status="PROCESSING"):
                await asyncio.sleep(4 * LOOK)
    except TimeoutError:
        waiting = await entries_of(client, datasource, status="PROCESSING")
        raise AssertionError(f"{len(waiting)} are PROCESSING after {within} s: {waiting[:2]}") from None
    return await entries_of(client, datasource)


async def all_ready(client: httpx.AsyncClient, datasource: str, *, within: float) -> list[dict[str, Any]]:
    """Wait until every entry of a datasource is READY; return them."""
    rows = await all_settled(client, datasource, within=within)
    assert [row for row in rows if row["status"] != "READY"] == []
    return rows


async def chunks_found(client: httpx.AsyncClient, datasource: str, query: str, **more: Any) -> list[int]:
    """Return the numbers of the chunks that a search finds, in order."""
    hits = await search(client, datasource, query, limit=100, **more)
    return sorted(hit["chunk"]["number"] for hit in hits)


async def refusal_of(client: httpx.AsyncClient, datasource: str, **body: Any) -> tuple[int, str, str | None]:
    """Search; return the status, the slug and the Retry-After of the answer."""
    answer = await client.post(f"/api/datasources/{datasource}/search", json={"query": "anything", **body})
    slug = str(answer.json().get("type", "")).rpartition("#")[2]
    return answer.status_code, slug, answer.headers.get("retry-after")


class Clock:
    """Tells how long ago it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self._began
