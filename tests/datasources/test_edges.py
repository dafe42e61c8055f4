"""Odd requests, and requests at the same time."""

import asyncio
from typing import Any

import httpx
import pytest

from llmstack_api.models import Entry, now
from tests.datasources.calls import WAIT, add_text, make_datasource, search, settled
from tests.server import RunningServer


async def test_a_key_is_all_of_what_was_written(client: httpx.AsyncClient) -> None:
    path = f"/api/datasources/{await make_datasource(client)}/entries"
    uuids: list[str] = []
    for key in ("a", "a%0A", "a%0Ab", "%20", "a/b", "%E2%82%AC"):
        answer = await client.put(f"{path}/by-key/{key}", json={"entry_data": {"content": key}})
        assert answer.status_code == 201, key
        uuids.append(answer.json()["uuid"])
    assert len(set(uuids)) == len(uuids)
    for key in ("%ff", "%fe"):
        answer = await client.put(f"{path}/by-key/{key}", json={"entry_data": {"content": key}})
        assert answer.status_code == 422
        assert "UTF-8" in answer.json()["detail"]


async def test_a_form_that_is_cut_off_is_refused_and_adds_nothing(client: httpx.AsyncClient) -> None:
    path = f"/api/datasources/{await make_datasource(client)}/entries"
    part = b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s'
    whole = b"\r\n".join(
        (
            part % (b"file", b'; filename="a.txt"', b"text"),
            part % (b"entry_metadata", b"", b'{"lang": "en"}'),
            b"--b--\r\n",
        )
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for end in (len(whole) - 8, len(whole) - 20, whole.index(b"--b", 4)):
        cut = await client.post(path, content=whole[:end], headers=headers)
        assert cut.status_code == 400, cut.text
    assert (await client.get(path)).json() == []
    assert (await client.post(path, content=whole, headers=headers)).status_code == 202


async def test_requests_for_one_new_key_at_once_make_one_entry(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    path = f"/api/datasources/{datasource}/entries/by-key/k"
    answers = await asyncio.gather(
        *(client.put(path, json={"entry_data": {"content": f"The bridge is {n}."}}) for n in range(8))
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201, *[202] * 7]
    assert len({answer.json()["uuid"] for answer in answers}) == 1
    await settled(client, datasource, answers[0].json()["uuid"])
    assert len(await search(client, datasource, "bridge")) == 1


async def test_a_hybrid_search_has_one_scale_whatever_its_words(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    for text in ("The tide comes in.", "The moon is full.", "The cat sleeps."):
        await add_text(client, datasource, text)
    both = await search(client, datasource, "cat")
    alone = await search(client, datasource, "the")
    assert alone[0]["score"] > alone[1]["score"] > 0
    assert both[0]["score"] >= alone[0]["score"]
    assert await search(client, datasource, "!!!") != []


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
async def test_a_least_score_leaves_in_what_is_equal(client: httpx.AsyncClient, mode: str) -> None:
    datasource = await make_datasource(client)
    await add_text(client, datasource, "The lighthouse keeper writes letters.")
    await add_text(client, datasource, "A harbour without a lighthouse.")
    hits = await search(client, datasource, "lighthouse", mode=mode)
    least = hits[-1]["score"]
    kept = await search(client, datasource, "lighthouse", mode=mode, min_score=least)
    assert [hit["entry_uuid"] for hit in kept] == [hit["entry_uuid"] for hit in hits]
    for wrong in (True, "0.1"):
        body = {"query": "x", "min_score": wrong}
        assert (await client.post(f"/api/datasources/{datasource}/search", json=body)).status_code == 422


async def test_filters_of_a_list_that_are_no_json_are_a_422_that_says_so(client: httpx.AsyncClient) -> None:
    path = f"/api/datasources/{await make_datasource(client)}/entries"
    answer = await client.get(path, params={"filters": "x"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == "filters"
    assert "body" not in answer.json()["detail"]


async def test_an_unknown_key_inside_is_refused_with_the_known_ones(client: httpx.AsyncClient) -> None:
    path = f"/api/datasources/{await make_datasource(client)}/entries"
    answer = await client.post(path, json={"entry_data": {"contents": "x"}})
    assert answer.status_code == 422
    assert "known are" in answer.text
    assert "content" in answer.json()["errors"][0]["msg"]


async def test_a_replay_waits_like_the_first_request(client: httpx.AsyncClient) -> None:
    path = f"/api/datasources/{await make_datasource(client)}/entries"
    body = {"entry_data": {"content": "Once and again."}}
    answers = [
        await client.post(path, json=body, params=WAIT, headers={"Idempotency-Key": "k"}, timeout=40)
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotency-Replayed"] == "true"


async def test_metadata_has_a_bound_as_a_whole(client: httpx.AsyncClient) -> None:
    path = f"/api/datasources/{await make_datasource(client)}/entries"
    metadata = {f"k{number}": "x" * 4000 for number in range(20)}
    answer = await client.post(path, json={"entry_data": {"content": "x"}, "entry_metadata": metadata})
    assert answer.status_code == 422
    assert "65536 bytes" in answer.text


async def test_a_change_of_other_settings_leaves_the_refresh_clock_alone(
    client: httpx.AsyncClient, server: RunningServer
) -> None:
    datasource = await make_datasource(client, config={"refresh_interval": 300})
    await add_text(client, datasource, "x")
    path = f"/api/datasources/{datasource}"
    before = (await client.get(path)).json()
    assert (await client.patch(path, json={"config": {}})).json()["updated_at"] == before["updated_at"]
    changed = (await client.patch(path, json={"config": {"chunk_size": "", "chunk_overlap": 10}})).json()
    assert changed["config"] == before["config"] | {"chunk_overlap": 10}
    assert before["config"]["chunk_size"] == 1200
    assert changed["updated_at"] > before["updated_at"]
    del server


async def test_a_key_of_metadata_may_be_of_any_script(client: httpx.AsyncClient) -> None:
    datasource = await make_datasource(client)
    for key in ("भाषा", "ภาษา", "e\u0301tat", "язык"):
        await add_text(client, datasource, f"The word is {key}.", **{key: "yes"})
        only = {"type": "eq", "key": key, "value": "yes"}
        (hit,) = await search(client, datasource, "word", filters=only)
        assert hit["metadata"][f"md_{key}"] == "yes"
    body: dict[str, Any] = {"entry_data": {"content": "x"}, "entry_metadata": {"²": 1}}
    answer = await client.post(f"/api/datasources/{datasource}/entries", json=body)
    assert answer.status_code == 422


async def test_many_hidden_entries_do_not_hide_the_living_one(
    client: httpx.AsyncClient, server: RunningServer
) -> None:
    datasource = await make_datasource(client)
    await add_text(client, datasource, "A gull, among others.", name="living")
    for number in range(30):
        await add_text(client, datasource, "gull gull gull", name=str(number))

    def bury(session: Any) -> None:  # as a deletion whose work nobody does
        for entry in session.query(Entry).filter(Entry.name != "living"):
            entry.deleted_at = now()

    await server.resources.db.write(bury)
    hits = await search(client, datasource, "gull", limit=1)
    assert [hit["entry_name"] for hit in hits] == ["living"]
