"""Runs call providers as their own account has set them."""

from typing import Any

import httpx
from pydantic import SecretStr

from llmstack_api.settings import Settings
from tests.apps.calls import create, path
from tests.conftest import PROVIDER_KEY
from tests.fake_model import FakeModel, fake_model_server
from tests.providers.calls import HEADER, KEY, SECRET_KEY, put
from tests.providers.conftest import with_model
from tests.server import running_server

CHAT: dict[str, Any] = {
    "name": "Chat",
    "input_fields": [{"name": "question"}],
    "processors": [
        {
            "provider_slug": "openai",
            "processor_slug": "chatgpt",
            "input": {"messages": [{"role": "user", "content": "{{_inputs0.question}}"}]},
        }
    ],
    "output": {"answer": "{{_inputs1.text}}"},
}


async def ask(client: httpx.AsyncClient, app: dict[str, Any]) -> httpx.Response:
    return await client.post(f"{path(app)}/run", json={"input": {"question": "Hello there"}})


async def test_a_run_uses_its_accounts_own_address_key_headers_and_model(
    client: httpx.AsyncClient, other_client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    async with fake_model_server() as mine:
        await put(
            client, base_url=mine.base_url, api_key=KEY, default_model="mine", headers={"X-Team": HEADER}
        )
        answer = await ask(client, await create(client, CHAT))
        theirs = await ask(other_client, await create(other_client, CHAT))

        assert answer.json()["output"] == theirs.json()["output"] == {"answer": "Hello there"}
        assert len(mine.requests) == len(fake_model.requests) == 1
        assert mine.last.headers["authorization"] == f"Bearer {KEY}"
        assert mine.last.headers["x-team"] == HEADER
        assert mine.last.body["model"] == "mine"
    assert fake_model.last.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert "x-team" not in fake_model.last.headers


async def test_settings_count_from_the_next_run_on(me: httpx.AsyncClient, fake_model: FakeModel) -> None:
    app = await create(me, CHAT)
    keys: list[str] = []
    for key in (None, KEY, f"{KEY}2", None):
        if key:
            await put(me, base_url=fake_model.base_url, api_key=key)
        else:
            await me.delete("/api/providers/openai")
        assert (await ask(me, app)).status_code == 200
        keys.append(fake_model.last.headers["authorization"].removeprefix("Bearer "))

    assert keys == [PROVIDER_KEY, KEY, f"{KEY}2", PROVIDER_KEY]


async def test_a_run_whose_key_cannot_be_decrypted_fails_and_calls_nobody(
    settings: Settings, fake_model: FakeModel
) -> None:
    allowed = with_model(settings, fake_model).model_copy(update={"secret_key": SecretStr(SECRET_KEY)})
    async with running_server(allowed) as server, server.client() as client:
        app = await create(client, CHAT)
        await put(client, api_key=KEY)
    lost = allowed.model_copy(update={"secret_key": SecretStr(SECRET_KEY[::-1])})
    async with running_server(lost) as server, server.client() as client:
        answer = await ask(client, app)

    assert (answer.status_code, answer.json()["type"]) == (424, "/docs/problems#provider-not-configured")
    assert "'openai'" in answer.json()["detail"]
    assert "LLMSTACK_SECRET_KEY" in answer.json()["detail"]
    assert fake_model.requests == []
