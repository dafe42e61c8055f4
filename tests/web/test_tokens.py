"""`/api/tokens`: made, listed and revoked over HTTP; the secret is in one answer only."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from llmstack_api.auth import Scope
from tests.server import RunningServer


def with_token(secret: str) -> dict[str, str]:
    return {"Authorization": f"Token {secret}"}


async def test_a_token_is_made_used_listed_without_its_secret_and_revoked(client: httpx.AsyncClient) -> None:
    made = await client.post("/api/tokens", json={"name": "website", "scopes": ["read"]})
    token = made.json()
    secret = token["token"]
    listed = (await client.get("/api/tokens")).json()
    used = await client.get("/api/apps", headers=with_token(secret))
    refused = await client.post("/api/apps", json={}, headers=with_token(secret))
    revoked = await client.delete(f"/api/tokens/{token['uuid']}")
    after = await client.get("/api/apps", headers=with_token(secret))

    assert made.status_code == 201
    assert secret.startswith("lls_")
    assert (token["name"], token["scopes"], token["expires_at"]) == ("website", ["read"], None)
    assert listed[0] == {key: value for key, value in token.items() if key != "token"}
    assert secret not in str(listed)
    assert (used.status_code, refused.status_code) == (200, 403)
    assert (revoked.status_code, after.status_code) == (204, 401)
    assert (await client.delete(f"/api/tokens/{token['uuid']}")).status_code == 404
    assert token["uuid"] not in str((await client.get("/api/tokens")).json())


async def test_a_token_has_every_scope_where_none_is_named(client: httpx.AsyncClient) -> None:
    made = (await client.post("/api/tokens", json={"name": "all"})).json()

    assert made["scopes"] == [scope.value for scope in Scope]


async def test_a_token_is_worthless_once_it_has_expired(client: httpx.AsyncClient) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
    secret = (await client.post("/api/tokens", json={"name": "brief", "expires_at": soon})).json()["token"]
    statuses = set[int]()
    while 401 not in statuses:
        statuses.add((await client.get("/api/apps", headers=with_token(secret))).status_code)

    assert statuses == {200, 401}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["everything"]}, "scopes[0]"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ({"name": "x", "secret": "mine"}, "secret"),
    ],
    ids=str,
)
async def test_a_token_that_cannot_be_made_is_a_422(
    client: httpx.AsyncClient, body: dict[str, Any], named: str
) -> None:
    answer = await client.post("/api/tokens", json=body)

    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["errors"]] == [named]


async def test_tokens_need_the_scope_admin_and_are_kept_apart(
    client: httpx.AsyncClient, other_client: httpx.AsyncClient, server: RunningServer
) -> None:
    mine = (await client.post("/api/tokens", json={"name": "mine"})).json()
    missing = await other_client.delete("/api/tokens/00000000-0000-7000-8000-000000000000")
    theirs = await other_client.delete(f"/api/tokens/{mine['uuid']}")
    async with server.client(scopes=[Scope.WRITE, Scope.RUN]) as limited:
        answers = [await limited.get("/api/tokens"), await limited.post("/api/tokens", json={"name": "x"})]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert mine["uuid"] not in str((await other_client.get("/api/tokens")).json())
    assert theirs.status_code == missing.status_code == 404
    assert theirs.json() | {"request_id": ""} == missing.json() | {"request_id": ""}


async def test_tokens_page_newest_first(client: httpx.AsyncClient) -> None:
    made = [(await client.post("/api/tokens", json={"name": str(n)})).json()["uuid"] for n in range(3)]
    first = await client.get("/api/tokens", params={"limit": 2})
    second = await client.get(first.links["next"]["url"])

    assert [token["uuid"] for token in first.json()] == made[:0:-1]
    assert second.json()[0]["uuid"] == made[0]
