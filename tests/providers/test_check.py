"""`POST /api/providers/{slug}/check` against a model server on a real socket."""

import asyncio

import httpx
import pytest

from llmstack_api.providers import router
from llmstack_api.settings import Settings
from tests.conftest import PROVIDER_KEY
from tests.fake_model import FakeModel, fake_model_server
from tests.providers.calls import HEADER, KEY, check, put
from tests.providers.conftest import with_model
from tests.server import running_server

NOBODY = "http://127.0.0.1:9/v1"


async def test_a_provider_that_answers_names_its_models(me: httpx.AsyncClient, fake_model: FakeModel) -> None:
    await put(me, base_url=fake_model.base_url, api_key=KEY, headers={"X-Team": HEADER})
    fake_model.script("models:3")
    answer = await check(me)

    assert answer["ok"]
    assert answer["models"] == ["model-0", "model-1", "model-2"]
    assert answer["detail"]
    assert fake_model.last.headers["authorization"] == f"Bearer {KEY}"
    assert fake_model.last.headers["x-team"] == HEADER


async def test_at_most_a_hundred_models_are_named(me: httpx.AsyncClient, fake_model: FakeModel) -> None:
    fake_model.script("models:250")
    answer = await check(me)

    assert (answer["ok"], len(answer["models"])) == (True, 100)


async def test_the_operators_endpoint_is_checked_where_the_account_has_none(
    me: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    await put(me, default_model="a")
    answer = await check(me)

    assert answer["ok"]
    assert fake_model.last.headers["authorization"] == f"Bearer {PROVIDER_KEY}"


async def test_the_operators_key_never_goes_to_an_accounts_address(
    me: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    async with fake_model_server() as theirs:
        await put(me, base_url=theirs.base_url)
        assert (await check(me))["ok"]

        assert "authorization" not in theirs.last.headers
        assert PROVIDER_KEY not in str(theirs.last)
    assert fake_model.requests == []


async def test_a_wrong_key_is_told_without_the_key(me: httpx.AsyncClient, fake_model: FakeModel) -> None:
    await put(me, base_url=fake_model.base_url, api_key=KEY)
    fake_model.script("key:another")
    answer = await check(me)

    assert (answer["ok"], answer["models"]) == (False, [])
    assert "401" in answer["detail"]
    assert "Incorrect API key provided" in answer["detail"]
    assert KEY not in str(answer)


async def test_a_provider_that_is_away_is_told(me: httpx.AsyncClient) -> None:
    await put(me, base_url=NOBODY, api_key=KEY)
    answer = await check(me)

    assert not answer["ok"]
    assert "cannot be reached" in answer["detail"]


async def test_a_provider_that_says_nothing_is_given_up(
    me: httpx.AsyncClient, fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "CHECK_TIMEOUT", 0.2)
    await put(me, base_url=fake_model.base_url, api_key=KEY)
    fake_model.script("hang")
    async with asyncio.timeout(5):
        answer = await check(me)

    assert answer == {
        "ok": False,
        "detail": "The provider 'openai' did not answer within 0.2 seconds.",
        "models": [],
    }
    await fake_model.until_aborted()


async def test_a_provider_that_nobody_configured_is_told(me: httpx.AsyncClient) -> None:
    answer = await check(me, "mistral")

    assert not answer["ok"]
    assert "not configured" in answer["detail"]


async def test_an_address_that_may_no_longer_be_reached_is_told(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    allowed = with_model(sqlite_settings, fake_model)
    async with running_server(allowed) as server, server.client() as client:
        await put(client, base_url=fake_model.base_url, api_key=KEY)
    async with (
        running_server(allowed.model_copy(update={"egress_allow": ""})) as server,
        server.client() as client,
    ):
        answer = await check(client)

    assert not answer["ok"]
    assert "refused" in answer["detail"]
    assert fake_model.requests == []
