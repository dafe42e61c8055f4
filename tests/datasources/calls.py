"""Calls of the datasource endpoints that tests share."""

from typing import Any

import httpx

WAIT = {"wait": 30}


async def make_datasource(client: httpx.AsyncClient, type_: str = "mixed", **more: Any) -> str:
    """Create a datasource; return its uuid."""
    answer = await client.post("/api/datasources", json={"name": "Handbook", "type": type_, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["uuid"]


async def add(
    client: httpx.AsyncClient, datasource: str, entry_data: dict[str, Any], **metadata: Any
) -> dict[str, Any]:
    """Add an entry and wait for it."""
    body: dict[str, Any] = {"entry_data": entry_data}
    if metadata:
        body["entry_metadata"] = metadata
    answer = await client.post(f"/api/datasources/{datasource}/entries", json=body, params=WAIT, timeout=40)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def add_text(
    client: httpx.AsyncClient, datasource: str, content: str, name: str = "note", **metadata: Any
) -> dict[str, Any]:
    """Add a text and wait until it is READY."""
    entry = await add(client, datasource, {"name": name, "content": content}, **metadata)
    assert entry["status"] == "READY", entry
    return entry


async def search(client: httpx.AsyncClient, datasource: str, query: str, **more: Any) -> list[dict[str, Any]]:
    """Search; return the results."""
    answer = await client.post(f"/api/datasources/{datasource}/search", json={"query": query, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


async def settled(client: httpx.AsyncClient, datasource: str, entry: str) -> dict[str, Any]:
    """Follow an entry until it is READY or FAILED; return it."""
    path = f"/api/datasources/{datasource}/entries/{entry}/events"
    data = "{}"
    async with client.stream("GET", path, timeout=40) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line.startswith("data:"):
                data = line.removeprefix("data:").strip()
    return httpx.Response(200, content=data).json()
