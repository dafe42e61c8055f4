"""`Idempotency-Key`: done once, answered alike, forgotten when nothing was done."""

import asyncio

import httpx
import pytest

from tests.fake_model import FakeModel
from tests.runs.streams import ECHO, chat, make_app, stitch, stream

KEY = {"Idempotency-Key": "9a7b-1"}


async def test_a_repeated_blocking_run_is_answered_as_the_first_was(client: httpx.AsyncClient) -> None:
    app = await make_app(client, ECHO)
    body = {"input": {"question": "one"}}
    first = await client.post(f"{app}/run", json=body, headers=KEY)
    again = await client.post(f"{app}/run", json=body, headers=KEY)

    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len((await client.get("/api/runs")).json()) == 1


async def test_a_repeated_stream_stitches_to_the_same_output(client: httpx.AsyncClient) -> None:
    app = await make_app(client, ECHO)
    first = await stream(client, app, "one two", **KEY)
    again = await stream(client, app, "one two", **KEY)

    assert again[0] == first[0]
    assert again[-1] == first[-1]
    assert stitch(again) == stitch(first)
    assert len((await client.get("/api/runs")).json()) == 1


async def test_a_key_with_another_body_is_a_422(client: httpx.AsyncClient) -> None:
    app = await make_app(client, ECHO)
    await client.post(f"{app}/run", json={"input": {"question": "one"}}, headers=KEY)
    answer = await client.post(f"{app}/run", json={"input": {"question": "two"}}, headers=KEY)

    assert answer.status_code == 422
    assert answer.json()["type"].endswith("#idempotency-mismatch")


async def test_a_key_whose_first_run_is_going_is_a_409_with_retry_after(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, chat("slow:20"))
    body = {"input": {"question": "a b c d e f"}}
    first = asyncio.create_task(client.post(f"{app}/run", json=body, headers=KEY))
    await fake_model.until(lambda: fake_model.open_calls == 1)
    answer = await client.post(f"{app}/run", json=body, headers=KEY)

    assert answer.status_code == 409
    assert answer.headers["retry-after"] == "1"
    assert (await first).status_code == 200
    assert (await client.post(f"{app}/run", json=body, headers=KEY)).json() == (await first).json()


@pytest.mark.parametrize("model", ["status:401", "drop"])
async def test_a_failed_run_can_be_tried_again_with_its_key(
    client: httpx.AsyncClient, fake_model: FakeModel, model: str
) -> None:
    app = await make_app(client, chat("echo"))
    fake_model.script(model)
    body = {"input": {"question": "x"}}
    failed = await client.post(f"{app}/run", json=body, headers=KEY)
    again = await client.post(f"{app}/run", json=body, headers=KEY)

    assert failed.status_code >= 400
    assert again.status_code == 200
    assert "idempotency-replayed" not in again.headers


async def test_a_cancelled_run_can_be_tried_again_with_its_key(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, chat("echo"))
    fake_model.script("hang")
    body = {"input": {"question": "x"}}
    first = asyncio.create_task(client.post(f"{app}/run", json=body, headers=KEY))
    await fake_model.until(lambda: fake_model.open_calls == 1)
    first.cancel()
    await fake_model.until_aborted()
    async with asyncio.timeout(5):
        while (again := await client.post(f"{app}/run", json=body, headers=KEY)).status_code == 409:
            await asyncio.sleep(0.01)

    assert again.status_code == 200


async def test_a_refused_request_leaves_its_key_free(client: httpx.AsyncClient) -> None:
    app = await make_app(client, ECHO)
    refused = await client.post(f"{app}/run", json={"input": {"other": 1}}, headers=KEY)
    answer = await client.post(f"{app}/run", json={"input": {}}, headers=KEY)

    assert (refused.status_code, answer.status_code) == (422, 200)


async def test_keys_of_two_accounts_do_not_meet(
    client: httpx.AsyncClient, other_client: httpx.AsyncClient
) -> None:
    mine, theirs = await make_app(client, ECHO), await make_app(other_client, ECHO)
    for who, app in ((client, mine), (other_client, theirs)):
        answer = await who.post(f"{app}/run", json={}, headers=KEY)
        assert answer.status_code == 200
        assert "idempotency-replayed" not in answer.headers


async def test_creating_an_app_twice_with_one_key_makes_one(client: httpx.AsyncClient) -> None:
    first = await client.post("/api/apps", json=ECHO, headers=KEY)
    again = await client.post("/api/apps", json=ECHO, headers=KEY)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len((await client.get("/api/apps")).json()) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "ü"])
async def test_a_key_that_is_none_is_a_422(client: httpx.AsyncClient, key: str) -> None:
    answer = await client.post("/api/apps", json=ECHO, headers=[(b"Idempotency-Key", key.encode("latin-1"))])

    assert answer.status_code == 422
