"""Where keys are not: in the database, in logs, in answers; and what a change of the secret does to them."""

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from llmstack_api.auth import ensure_account
from llmstack_api.db import open_database
from llmstack_api.models import ProviderSetting
from llmstack_api.secrets import KEY_FILE, Cipher
from llmstack_api.settings import Settings
from tests.fake_model import FakeModel
from tests.providers.calls import HEADER, KEY, SECRET_KEY, check, get, put
from tests.providers.conftest import with_model
from tests.server import RunningServer, running_server

NEXT_KEY = "the-next-secret-of-this-server-0123456789ab"


def with_secrets(settings: Settings, *secrets: str) -> Settings:
    return settings.model_copy(update={"secret_key": SecretStr(",".join(secrets)) if secrets else None})


def key_ids(session: Session) -> list[str | None]:
    return list(session.scalars(select(ProviderSetting.key_id).order_by(ProviderSetting.slug)))


async def key_ids_of(server: RunningServer) -> list[str | None]:
    return await server.resources.db.read(key_ids)


async def test_neither_key_nor_header_is_in_the_database_or_the_log_in_clear(
    sqlite_settings: Settings, fake_model: FakeModel, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = with_model(sqlite_settings, fake_model).model_copy(update={"log_level": "debug"})
    async with running_server(settings) as server, server.client() as client:
        await put(client, base_url=fake_model.base_url, api_key=KEY, headers={"X-Team": HEADER})
        await check(client)
        refused = await client.put("/api/providers/azure", json={"api_key": KEY, "more": HEADER})
        secret = (settings.data_dir / KEY_FILE).read_text().strip()
        files = [path for path in settings.data_dir.rglob("*") if path.is_file() and path.name != KEY_FILE]
        stored = b"".join(path.read_bytes() for path in files)
    stored += b"".join(path.read_bytes() for path in settings.data_dir.glob("llmstack.db*"))
    said = capfd.readouterr()

    assert refused.status_code == 422
    assert b"openai" in stored
    for text in (KEY, HEADER, secret):
        assert text.encode() not in stored
        assert text not in said.out + said.err + refused.text


async def test_at_the_start_what_an_older_secret_encrypted_is_encrypted_with_the_first(
    settings: Settings, fake_model: FakeModel
) -> None:
    allowed = with_model(settings, fake_model)
    old, new = Cipher((SECRET_KEY,)).key_id, Cipher((NEXT_KEY,)).key_id
    async with running_server(with_secrets(allowed, SECRET_KEY)) as server, server.client() as client:
        before = await put(client, base_url=fake_model.base_url, api_key=KEY, headers={"X-Team": HEADER})
        await put(client, "mistral", default_model="a")
        await put(client, "google", api_key="of google")
        assert await key_ids_of(server) == [old, None, old]
    async with running_server(with_secrets(allowed, NEXT_KEY, SECRET_KEY)) as server:
        assert await key_ids_of(server) == [new, None, new]
    async with running_server(with_secrets(allowed, NEXT_KEY)) as server, server.client() as client:
        assert {**await get(client), "warnings": []} == before
        assert (await check(client))["ok"]
        assert fake_model.last.headers["authorization"] == f"Bearer {KEY}"


async def test_many_rows_are_encrypted_anew_in_several_transactions(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmstack_api.secrets.BATCH", 2)
    old, lost, new = (
        Cipher((SECRET_KEY,)),
        Cipher(("a-secret-that-nobody-has-any-more-012345",)),
        Cipher((NEXT_KEY,)),
    )

    def fill(session: Session) -> None:
        for number in range(7):
            account_id = ensure_account(session, f"account {number}")
            cipher = lost if number % 3 == 0 else old
            session.add(
                ProviderSetting(
                    account_id=account_id,
                    slug="openai",
                    has_key=True,
                    secret=cipher.encrypt(b"{}", context=""),
                    key_id=cipher.key_id,
                )
            )

    db = open_database(settings.database)
    await db.write(fill)
    await db.close()
    async with running_server(with_secrets(settings, NEXT_KEY, SECRET_KEY)) as server:
        found = await key_ids_of(server)

    assert (found.count(new.key_id), found.count(lost.key_id), len(found)) == (4, 3, 7)


async def test_without_the_secret_the_server_starts_and_says_what_it_cannot_read(
    settings: Settings, fake_model: FakeModel, capfd: pytest.CaptureFixture[str]
) -> None:
    allowed = with_model(settings, fake_model)
    async with running_server(with_secrets(allowed, SECRET_KEY)) as server, server.client() as client:
        await put(client, base_url=fake_model.base_url, api_key=KEY, headers={"X-Team": HEADER})
        await put(client, "mistral", default_model="a")
    capfd.readouterr()
    async with running_server(with_secrets(allowed, NEXT_KEY)) as server, server.client() as client:
        shown = await get(client)
        checked = await check(client)
        kept = await client.put("/api/providers/openai", json={"base_url": fake_model.base_url})
        others = await get(client, "mistral")
    logged = capfd.readouterr().err

    assert (shown["configured"], shown["has_key"], shown["key_hint"], shown["headers"]) == (
        "account",
        True,
        None,
        [],
    )
    assert "LLMSTACK_SECRET_KEY" in shown["error"]
    assert not checked["ok"]
    assert "LLMSTACK_SECRET_KEY" in checked["detail"]
    assert fake_model.requests == []
    assert (kept.status_code, kept.json()["type"]) == (409, "/docs/problems#conflict")
    assert (others["default_model"], others["error"]) == ("a", None)
    assert "secrets_unreadable" in logged
    async with running_server(with_secrets(allowed, SECRET_KEY)) as server, server.client() as client:
        assert (await get(client))["error"] is None


async def test_a_lost_key_file_is_told_and_the_key_can_be_stored_again(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    settings = with_model(sqlite_settings, fake_model)
    async with running_server(settings) as server, server.client() as client:
        await put(client, api_key=KEY)
    (settings.data_dir / KEY_FILE).unlink()
    async with running_server(settings) as server, server.client() as client:
        assert (await get(client))["error"]
        assert (await put(client, api_key=KEY))["error"] is None
