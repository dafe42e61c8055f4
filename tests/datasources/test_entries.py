"""Entries over HTTP: added, followed, replaced, selected, deleted."""

import base64
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.datasources.calls import WAIT, add, add_text, make_datasource, search, settled


async def test_an_entry_is_accepted_followed_and_found(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client, "text")
    answer = await client.post(
        f"/api/datasources/{datasource}/entries",
        json={
            "entry_data": {"name": "sessions", "content": "A session remembers what was said before."},
            "entry_metadata": {"key1": "value1", "key2": "value2"},
        },
    )
    assert answer.status_code == 202
    entry = answer.json()
    assert entry["status"] == "PROCESSING"
    ready = await settled(client, datasource, entry["uuid"])
    assert ready["status"] == "READY"
    assert (ready["chunks_count"], ready["error"], ready["stage"]) == (1, None, None)

    (hit,) = await search(client, datasource, "what does a session remember?")
    assert hit["content"] == "A session remembers what was said before."
    assert hit["metadata"]["md_key1"] == "value1"
    assert hit["metadata"]["source"] == "sessions"
    assert (hit["entry_uuid"], hit["entry_name"]) == (entry["uuid"], "sessions")
    assert hit["chunk"] == {"number": 0, "start": 0, "end": 41}


async def test_metadata_filters_a_search(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client, "text")
    await add_text(client, datasource, "Chapters are numbered.", name="one", key1="value1")
    await add_text(client, datasource, "Chapters are lettered.", name="two", key1="value2")
    equal = {"type": "eq", "key": "md_key1", "value": "value1"}
    assert [hit["entry_name"] for hit in await search(client, datasource, "chapters", filters=equal)] == [
        "one"
    ]
    none = {"type": "eq", "key": "key1", "value": "value3"}
    assert await search(client, datasource, "chapters", filters=none) == []
    listed = await client.get(
        f"/api/datasources/{datasource}/entries",
        params={"filters": json.dumps({"type": "ne", "key": "key1", "value": "value1"})},
    )
    assert [row["name"] for row in listed.json()] == ["two"]


@pytest.mark.parametrize(
    ("type_", "entry_data", "said"),
    [
        ("text", {}, "takes content; none of them was given"),
        ("text", {"url": "https://example.com"}, "takes content; url was given"),
        ("mixed", {"content": "x", "url": "https://example.com"}, "content and url was given"),
        ("pdf", {"content": "x"}, "takes file; content was given"),
        ("text", {"content": " \n"}, "no text"),
        ("file", {"file": "?"}, "no base64"),
        ("file", {"file": "data:text/plain,hello"}, "data URI"),
        ("file", {"file": "data:text/plain;base64,"}, "empty"),
        ("url", {"url": "ftp://example.com"}, "http"),
        ("url", {"url": "http://127.0.0.1/"}, "not public"),
        ("url", {"url": "nonsense"}, "http"),
        ("text", {"content": "x", "colour": "red"}, "colour"),
    ],
    ids=[
        "nothing",
        "wrong kind",
        "two",
        "pdf",
        "blank",
        "base64",
        "data uri",
        "empty file",
        "ftp",
        "private",
        "nonsense",
        "unknown key",
    ],
)
async def test_what_an_entry_cannot_be_is_refused_with_a_reason(
    client: httpx.AsyncClient, type_: str, entry_data: dict[str, Any], said: str
) -> None:
    datasource = await make_datasource(client, type_)
    answer = await client.post(f"/api/datasources/{datasource}/entries", json={"entry_data": entry_data})
    assert answer.status_code == 422
    assert said in answer.text
    assert (await client.get(f"/api/datasources/{datasource}/entries")).json() == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"a.b": 1},
        {"": 1},
        {"x" * 65: 1},
        {"a": None},
        {"a": {"b": 1}},
        {"a": [[1]]},
        {"a": "x" * 4097},
        {"a": 2**63},
        {f"k{number}": 1 for number in range(65)},
    ],
    ids=["dot", "blank", "long key", "null", "object", "nested", "long", "large", "many"],
)
async def test_metadata_that_cannot_be_stored_is_refused(
    client: httpx.AsyncClient, metadata: dict[str, Any]
) -> None:
    datasource = await make_datasource(client)
    answer = await client.post(
        f"/api/datasources/{datasource}/entries",
        json={"entry_data": {"content": "x"}, "entry_metadata": metadata},
    )
    assert answer.status_code == 422
    assert "entry_metadata" in answer.text


async def test_a_file_comes_as_base64_as_a_data_uri_or_in_a_form(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client, "file")
    text = b"# Terns\n\nArctic terns fly from pole to pole."
    plain = await add(client, datasource, {"name": "a.md", "file": base64.b64encode(text).decode()})
    uri = f"data:text/markdown;name=b.md;base64,{base64.b64encode(text).decode()}"
    named = await add(client, datasource, {"file": uri})
    form = await client.post(
        f"/api/datasources/{datasource}/entries",
        files={"file": ("c.md", text, "text/markdown")},
        data={"entry_metadata": json.dumps({"bird": True})},
        params=WAIT,
    )
    assert form.status_code == 201, form.text
    assert [plain["status"], named["status"], form.json()["status"]] == ["READY"] * 3
    assert (named["name"], named["source"]) == ("b.md", "b.md")
    assert (form.json()["name"], form.json()["entry_metadata"]) == ("c.md", {"bird": True})
    only = {"type": "eq", "key": "bird", "value": True}
    (hit,) = await search(client, datasource, "terns", filters=only)
    assert hit["entry_name"] == "c.md"
    assert hit["metadata"]["heading"] == "Terns"


@pytest.mark.parametrize(
    ("files", "data", "said"),
    [
        ({"file": ("a.txt", b"x"), "other": ("b.txt", b"y")}, {}, "unknown part"),
        ({"file": ("a.txt", b"x")}, {"entry_metadata": "{"}, "no JSON"),
        ({"file": ("a.txt", b"x")}, {"entry_metadata": "[1]"}, "entry_metadata"),
        ({"file": ("a.txt", b"")}, {}, "empty"),
    ],
    ids=["unknown part", "no json", "no object", "empty"],
)
async def test_a_form_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, files: Any, data: dict[str, str], said: str
) -> None:
    datasource = await make_datasource(client, "file")
    answer = await client.post(f"/api/datasources/{datasource}/entries", files=files, data=data)
    assert answer.status_code in {400, 422}
    assert said in answer.text


async def test_a_form_without_end_is_malformed(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client, "file")
    answer = await client.post(
        f"/api/datasources/{datasource}/entries",
        content=b"--b\r\nContent-Disposition: form-data; name=",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert answer.status_code in {400, 422}


async def test_a_deleted_entry_is_in_no_list_and_no_search(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    kept = await add_text(client, datasource, "The harbour opens at six.", name="kept")
    gone = await add_text(client, datasource, "The harbour opens at seven.", name="gone")
    path = f"/api/datasources/{datasource}/entries"
    assert (await client.delete(f"{path}/{gone['uuid']}")).status_code == 204
    assert [hit["entry_name"] for hit in await search(client, datasource, "harbour")] == ["kept"]
    assert [row["uuid"] for row in (await client.get(path)).json()] == [kept["uuid"]]
    for method, suffix in (("GET", ""), ("DELETE", ""), ("GET", "/text_content"), ("POST", "/resync")):
        assert (await client.request(method, f"{path}/{gone['uuid']}{suffix}")).status_code == 404


async def test_an_entry_kept_by_key_is_new_then_the_same_then_replaced(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    path = f"/api/datasources/{datasource}/entries/by-key/docs%2Fintro%20%C3%BC"

    async def put(content: str, **metadata: Any) -> tuple[int, dict[str, Any]]:
        body = {"entry_data": {"name": "intro", "content": content}, "entry_metadata": metadata}
        answer = await client.put(path, json=body)
        return answer.status_code, answer.json()

    status, first = await put("The ferry leaves at noon.")
    assert status == 201
    assert first["external_id"] == "docs/intro ü"
    await settled(client, datasource, first["uuid"])
    status, same = await put("The ferry leaves at noon.")
    assert (status, same["uuid"], same["status"]) == (200, first["uuid"], "READY")
    status, replaced = await put("The ferry leaves at dusk.")
    assert (status, replaced["uuid"]) == (202, first["uuid"])
    assert len(await search(client, datasource, "ferry")) == 1
    await settled(client, datasource, first["uuid"])
    (hit,) = await search(client, datasource, "ferry")
    assert hit["content"] == "The ferry leaves at dusk."
    status, _ = await put("The ferry leaves at dusk.", season="summer")
    assert status == 202
    await settled(client, datasource, first["uuid"])
    (hit,) = await search(client, datasource, "ferry")
    assert hit["metadata"]["md_season"] == "summer"
    assert (await client.get(path)).json()["uuid"] == first["uuid"]
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    status, again = await put("The ferry leaves at dusk.")
    assert status == 201
    assert again["uuid"] != first["uuid"]


async def test_a_key_that_is_too_long_is_refused(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    body = {"entry_data": {"content": "x"}}
    for key in ("k" * 201, "%00"):
        answer = await client.put(f"/api/datasources/{datasource}/entries/by-key/{key}", json=body)
        assert answer.status_code == 422
        assert "external_id" in answer.text


async def test_text_content_is_what_was_sent(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    entry = await add_text(client, datasource, "Ebb and flow.", name="tides", year=2024)
    shown = await client.get(f"/api/datasources/{datasource}/entries/{entry['uuid']}/text_content")
    assert shown.json()["content"] == "Ebb and flow."
    assert shown.json()["metadata"] == {
        "source": "tides",
        "name": "tides",
        "mime_type": "text/plain",
        "md_year": 2024,
    }


async def test_resync_reads_an_entry_again_with_the_present_settings(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    text = "\n\n".join(f"Paragraph {number} speaks of lighthouses and of the sea." for number in range(40))
    entry = await add_text(client, datasource, text)
    await client.patch(
        f"/api/datasources/{datasource}", json={"config": {"chunk_size": 300, "chunk_overlap": 0}}
    )
    answer = await client.post(f"/api/datasources/{datasource}/entries/{entry['uuid']}/resync")
    assert answer.status_code == 202
    again = await settled(client, datasource, entry["uuid"])
    assert again["status"] == "READY"
    assert again["chunks_count"] > entry["chunks_count"]
    hits = await search(client, datasource, "lighthouses", limit=100)
    assert len(hits) == again["chunks_count"]
    assert len({hit["chunk"]["number"] for hit in hits}) == len(hits)


async def test_lists_are_paged_and_selected(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    for number in range(5):
        await add_text(client, datasource, f"Entry {number}", name=f"n{number % 2}", number=number)
    path = f"/api/datasources/{datasource}/entries"
    names: list[int] = []
    url: str | None = f"{path}?limit=2"
    while url:
        page = await client.get(url)
        names += [row["entry_metadata"]["number"] for row in page.json()]
        url = page.links.get("next", {}).get("url")
    assert names == [4, 3, 2, 1, 0]
    assert len((await client.get(path, params={"name": "n1"})).json()) == 2
    assert len((await client.get(path, params={"status": "READY"})).json()) == 5
    assert (await client.get(path, params={"status": "FAILED"})).json() == []
    filters = json.dumps({"type": "gte", "key": "number", "value": 3})
    assert len((await client.get(path, params={"filters": filters})).json()) == 2
    for bad in ("{", '{"type":"nope"}', "[]", '{"type":"and","filters":[]}'):
        assert (await client.get(path, params={"filters": bad})).status_code in {400, 422}


async def test_a_repeated_addition_makes_one_entry(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    path = f"/api/datasources/{datasource}/entries"
    body = {"entry_data": {"content": "Only once."}}
    first = await client.post(path, json=body, headers={"Idempotency-Key": "k"})
    second = await client.post(path, json=body, headers={"Idempotency-Key": "k"})
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert len((await client.get(path)).json()) == 1


async def test_a_repeated_form_makes_one_entry_though_its_boundary_differs(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client, "file")
    path = f"/api/datasources/{datasource}/entries"
    answers = [
        await client.post(path, files={"file": ("a.txt", text)}, headers={"Idempotency-Key": "k"})
        for text in (b"once", b"once", b"twice")
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 422]
    assert answers[0].json() == answers[1].json()


async def test_events_of_an_unknown_entry_are_a_404(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    answer = await client.get(f"/api/datasources/{datasource}/entries/{uuid4()}/events")
    assert answer.status_code == 404
