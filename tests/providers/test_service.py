"""Provider settings in the database of each engine, and what runs get of them."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from llmstack_api.auth import ensure_account
from llmstack_api.db import Database
from llmstack_api.errors import ConflictError, ProviderNotConfiguredError
from llmstack_api.known_providers import PROVIDERS
from llmstack_api.models import ProviderSetting
from llmstack_api.providers import service
from llmstack_api.providers.service import Stored, Wanted
from llmstack_api.secrets import Cipher
from tests.providers.calls import HEADER, KEY, SECRET_KEY

CIPHER = Cipher((SECRET_KEY,))
OTHER = Cipher(("another-secret-of-this-server-0123456789",))


def wanted(**given: Any) -> Wanted:
    key = given.pop("api_key", None)
    settings: dict[str, Any] = {"base_url": None, "default_model": None, "headers": {}, "keep_key": False}
    return Wanted(api_key=SecretStr(key) if key else None, **(settings | given))


async def store(db: Database, account_id: UUID, slug: str = "openai", **given: Any) -> Stored:
    row, _ = await db.write(
        service.store, PROVIDERS[slug], account_id=account_id, wanted=wanted(**given), cipher=CIPHER
    )
    assert row is not None
    return row


async def test_an_account_has_nothing_at_first(db: Database) -> None:
    account_id = await db.write(ensure_account, "acme")
    rows = await db.read(service.provider_settings, account_id=account_id)

    assert rows == []
    assert dict(service.decrypted(CIPHER, rows)) == {}


async def test_what_was_stored_is_what_runs_get(db: Database) -> None:
    account_id = await db.write(ensure_account, "acme")
    await store(db, account_id, api_key=KEY, headers={"X-Team": HEADER})
    await store(db, account_id, "mistral", default_model="a")
    mine = service.decrypted(CIPHER, await db.read(service.provider_settings, account_id=account_id))

    assert sorted(mine) == ["mistral", "openai"]
    assert len(mine) == 2
    assert mine.get("google") is None
    openai, mistral = mine["openai"], mine["mistral"]
    assert (openai.base_url, openai.api_key, dict(openai.headers)) == (None, KEY, {"X-Team": HEADER})
    assert (mistral.api_key, mistral.default_model) == (None, "a")
    assert mine["openai"] is openai
    assert KEY not in repr(openai)


async def test_what_is_stored_is_returned_as_it_is_read(db: Database) -> None:
    account_id = await db.write(ensure_account, "acme")
    stored = await store(db, account_id, base_url="https://x.example.com", api_key=KEY)

    assert await db.read(service.provider_settings, account_id=account_id) == [stored]
    assert await db.read(service.find, account_id=account_id, slug="openai") == stored


async def test_a_row_that_was_copied_to_another_account_or_provider_does_not_decrypt(db: Database) -> None:
    mine = await db.write(ensure_account, "acme")
    theirs = await db.write(ensure_account, "thieves")
    await store(db, mine, api_key=KEY)
    await store(db, mine, "mistral", api_key="of mistral")
    await store(db, theirs, api_key="of thieves")

    def copy(session: Session) -> None:
        secret = session.scalar(
            select(ProviderSetting.secret).where(
                ProviderSetting.account_id == mine, ProviderSetting.slug == "openai"
            )
        )
        session.execute(
            update(ProviderSetting).where(ProviderSetting.account_id == theirs).values(secret=secret)
        )
        session.execute(
            update(ProviderSetting).where(ProviderSetting.slug == "mistral").values(secret=secret)
        )

    await db.write(copy)
    stolen = service.decrypted(CIPHER, await db.read(service.provider_settings, account_id=theirs))
    moved = service.decrypted(CIPHER, await db.read(service.provider_settings, account_id=mine))
    with pytest.raises(ProviderNotConfiguredError):
        _ = stolen["openai"]
    with pytest.raises(ProviderNotConfiguredError):
        _ = moved["mistral"]
    assert moved["openai"].api_key == KEY


async def test_a_key_that_cannot_be_decrypted_fails_those_who_ask_for_it_alone(db: Database) -> None:
    account_id = await db.write(ensure_account, "acme")
    await store(db, account_id, api_key=KEY)
    await store(db, account_id, "mistral", default_model="a")
    rows = await db.read(service.provider_settings, account_id=account_id)

    for cipher in (OTHER, Cipher(())):
        mine = service.decrypted(cipher, rows)
        assert mine["mistral"].default_model == "a"
        with pytest.raises(ProviderNotConfiguredError, match=r"'openai'.*LLMSTACK_SECRET_KEY"):
            mine.get("openai")


async def test_a_key_that_cannot_be_decrypted_is_replaced_or_removed_but_not_lost_unasked(
    db: Database,
) -> None:
    account_id = await db.write(ensure_account, "acme")
    await store(db, account_id, api_key=KEY)

    async def change(**given: Any) -> Stored | None:
        row, _ = await db.write(
            service.store, PROVIDERS["openai"], account_id=account_id, wanted=wanted(**given), cipher=OTHER
        )
        return row

    with pytest.raises(ConflictError, match="LLMSTACK_SECRET_KEY"):
        await change(default_model="a", keep_key=True)
    rows = await db.read(service.provider_settings, account_id=account_id)
    assert service.decrypted(CIPHER, rows)["openai"].api_key == KEY
    replaced = await change(api_key="new")
    assert replaced is not None
    assert service.secrets_of(OTHER, replaced).api_key == "new"
    assert await change() is None


async def test_of_several_who_store_at_once_one_is_the_last(db: Database) -> None:
    account_id = await db.write(ensure_account, "acme")
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(store(db, account_id, api_key=f"key {number}")) for number in range(6)]
    [row] = await db.read(service.provider_settings, account_id=account_id)

    assert row in [task.result() for task in tasks]
    assert service.settings_of(CIPHER, row).api_key in {f"key {number}" for number in range(6)}
