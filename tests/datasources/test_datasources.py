"""Datasources over HTTP."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.datasources.calls import add_text, make_datasource, search


async def test_a_datasource_is_created_listed_changed_and_deleted(client: httpx.AsyncClient) -> None:
    made = await client.post("/api/datasources", json={"name": "Handbook", "type": "text"})
    assert made.status_code == 201
    assert {"uuid", "name", "type", "created_at", "updated_at"} <= made.json().keys()
    assert made.json()["config"] == {
        "chunk_size": 1200,
        "chunk_overlap": 150,
        "refresh_interval": None,
        "language": "auto",
    }
    path = f"/api/datasources/{made.json()['uuid']}"

    assert (await client.get("/api/datasources")).json() == [made.json()]
    assert (await client.get(path)).json() == made.json()

    changed = await client.patch(path, json={"name": "Manual", "config": {"chunk_size": 500}})
    assert changed.json()["name"] == "Manual"
    assert changed.json()["config"] == made.json()["config"] | {"chunk_size": 500}

    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert (await client.delete(path)).status_code == 404
    assert (await client.get("/api/datasources")).json() == []


async def test_a_refresh_interval_is_set_and_taken_away(client: httpx.AsyncClient) -> None:
    path = f"/api/datasources/{await make_datasource(client)}"
    changed = await client.patch(path, json={"config": {"refresh_interval": 300}})
    assert changed.json()["config"]["refresh_interval"] == 300
    changed = await client.patch(path, json={"config": {"refresh_interval": None}})
    assert changed.json()["config"]["refresh_interval"] is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "x"}, "type"),
        ({"type": "text"}, "name"),
        ({"name": "x", "type": "carrier-pigeon"}, "type"),
        ({"name": "x", "type": "text", "colour": "red"}, "colour"),
        ({"name": "x", "type": "text", "config": {"chunk_size": 1}}, "chunk_size"),
        ({"name": "x", "type": "text", "config": {"chunk_size": 300, "chunk_overlap": 150}}, "chunk_overlap"),
        ({"name": "x", "type": "text", "config": {"refresh_interval": 10}}, "refresh_interval"),
        ({"name": "x", "type": "text", "embedding": {"model": "gpt-9"}}, "builtin/wordllama-256"),
    ],
    ids=["no type", "no name", "type", "unknown key", "size", "overlap", "refresh", "model"],
)
async def test_what_a_datasource_cannot_be_is_refused_by_name(
    client: httpx.AsyncClient, body: dict[str, Any], said: str
) -> None:
    answer = await client.post("/api/datasources", json=body)
    assert answer.status_code == 422
    assert said in answer.text


async def test_another_accounts_datasource_is_a_404_everywhere(
    client: httpx.AsyncClient, other_client: httpx.AsyncClient
) -> None:
    datasource = await make_datasource(client)
    entry = (await add_text(client, datasource, "The door code is a secret."))["uuid"]
    path = f"/api/datasources/{datasource}"
    body = {"entry_data": {"content": "x"}}
    calls: list[tuple[str, str, Any]] = [
        ("GET", path, None),
        ("PATCH", path, {"name": "mine"}),
        ("DELETE", path, None),
        ("GET", f"{path}/entries", None),
        ("POST", f"{path}/entries", body),
        ("PUT", f"{path}/entries/by-key/k", body),
        ("GET", f"{path}/entries/by-key/k", None),
        ("DELETE", f"{path}/entries/by-key/k", None),
        ("GET", f"{path}/entries/{entry}", None),
        ("DELETE", f"{path}/entries/{entry}", None),
        ("POST", f"{path}/entries/{entry}/resync", None),
        ("GET", f"{path}/entries/{entry}/text_content", None),
        ("GET", f"{path}/entries/{entry}/events", None),
        ("POST", f"{path}/search", {"query": "door"}),
    ]
    for method, url, json in calls:
        foreign = await other_client.request(method, url, json=json)
        missing = await other_client.request(method, url.replace(datasource, str(uuid4())), json=json)
        assert foreign.status_code == missing.status_code == 404, (method, url)
        assert {**foreign.json(), "request_id": ""} == {**missing.json(), "request_id": ""}
    assert (await other_client.get("/api/datasources")).json() == []
    assert len(await search(client, datasource, "door code")) == 1


async def test_entries_and_text_are_counted(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    await add_text(client, datasource, "größer")
    await add_text(client, datasource, "small")
    shown = (await client.get(f"/api/datasources/{datasource}")).json()
    assert (shown["entries_count"], shown["size"]) == (2, len("größer".encode()) + 5)
    assert shown["embedding"] == {"model": "builtin/wordllama-256", "dimension": 256, "next_model": None}


async def test_the_types_say_what_their_entries_are_made_of(client: httpx.AsyncClient) -> None:
    types = {row["slug"]: row for row in (await client.get("/api/datasource_types")).json()}
    assert list(types) == ["text", "url", "sitemap", "file", "pdf", "csv_file", "mixed"]
    assert types["text"]["entry_data_schema"]["oneOf"] == [{"required": ["content"]}]
    assert len(types["mixed"]["entry_data_schema"]["oneOf"]) == 3


async def test_a_repeated_creation_makes_one_datasource(client: httpx.AsyncClient) -> None:
    body = {"name": "x", "type": "text"}
    first = await client.post("/api/datasources", json=body, headers={"Idempotency-Key": "k"})
    second = await client.post("/api/datasources", json=body, headers={"Idempotency-Key": "k"})
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len((await client.get("/api/datasources")).json()) == 1
