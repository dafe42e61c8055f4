"""Tokens: their form, and what becomes of them."""

import asyncio
import re
import string
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from llmstack_api import auth
from llmstack_api.auth import Authenticator, Caller, Scope
from llmstack_api.db import Database, open_database
from llmstack_api.db.sqlite import SQLiteDatabase
from llmstack_api.errors import StartError, TokenNotFoundError, UnavailableError
from llmstack_api.models import Account, Token, new_id, now
from tests.locking import locked_by_another_process
from tests.postgres import free_port

OPERATORS = "operator-chosen-secret-of-32-and-more"


@pytest.fixture
async def authenticator(db: Database) -> AsyncGenerator[Authenticator]:
    opened = Authenticator(db)
    yield opened
    await opened.close()


async def make(
    db: Database,
    account: str = "acme",
    *,
    scopes: tuple[Scope, ...] = tuple(Scope),
    lives: timedelta | None = None,
) -> tuple[Token, str]:
    account_id = await db.write(auth.ensure_account, account)
    return await db.write(
        auth.create_token,
        account_id=account_id,
        name="site",
        scopes=scopes,
        expires_at=now() + lives if lives is not None else None,
    )


async def listed(
    db: Database, account_id: UUID, *, limit: int = 100, cursor: UUID | None = None
) -> list[UUID]:
    rows = await db.read(auth.list_tokens, account_id=account_id, limit=limit, cursor=cursor)
    return [row.id for row in rows]


# --- secrets ---------------------------------------------------------------------------------------------


def test_a_secret_has_a_prefix_random_characters_and_a_checksum() -> None:
    minted = {auth.mint() for _ in range(200)}
    assert len(minted) == 200
    assert all(re.fullmatch(r"lls_[0-9A-Za-z]{38}", secret) for secret in minted)
    assert all(map(auth.looks_genuine, minted))
    assert set(string.ascii_letters + string.digits) == set("".join(secret[4:36] for secret in minted))


def test_a_secret_with_any_character_changed_is_not_genuine() -> None:
    secret = auth.mint()
    for place, old in enumerate(secret):
        if place >= len(auth.PREFIX):
            new = "x" if old != "x" else "y"
            assert not auth.looks_genuine(secret[:place] + new + secret[place + 1 :])


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "lls_",
        "lls_short",
        "x" * 31,
        pytest.param(auth.mint()[:-1], id="cut"),
        pytest.param(auth.mint() + "0", id="longer"),
        "é" * 40,
        "lls_" + "é" * 38,
        "\ud800" * 40,
        "lls_" + "٣" * 38,
    ],
)
def test_what_cannot_be_a_secret_is_not_genuine(secret: str) -> None:
    assert not auth.looks_genuine(secret)


def test_an_operators_own_secret_can_be_genuine() -> None:
    assert auth.looks_genuine("x" * 32)


def test_a_digest_is_always_the_same_and_tells_nothing() -> None:
    assert auth.digest("lls_x") == auth.digest("lls_x") != auth.digest("lls_y")
    assert re.fullmatch(r"[0-9a-f]{64}", auth.digest("lls_x"))


# --- accounts and tokens ---------------------------------------------------------------------------------


async def test_an_account_is_made_once_by_however_many(db: Database) -> None:
    ids = await asyncio.gather(*(db.write(auth.ensure_account, "acme") for _ in range(8)))
    assert len(set(ids)) == 1
    assert await db.write(auth.ensure_account, "other") != ids[0]


async def test_a_token_keeps_its_digest_and_never_its_secret(db: Database) -> None:
    token, secret = await make(db, scopes=(Scope.READ, Scope.RUN, Scope.READ))
    assert token.scopes == ["run", "read"]
    assert (token.name, token.digest, token.hint) == ("site", auth.digest(secret), secret[:8])
    assert (token.expires_at, token.last_used_at, token.revoked_at) == (None, None, None)
    assert secret not in str(vars(token))


async def test_tokens_are_listed_newest_first_page_by_page_and_by_account(db: Database) -> None:
    made = [(await make(db))[0] for _ in range(5)]
    await make(db, "other")
    newest_first = [token.id for token in reversed(made)]
    account_id = made[0].account_id
    assert await listed(db, account_id) == newest_first
    assert await listed(db, account_id, limit=2) == newest_first[:2]
    assert await listed(db, account_id, limit=2, cursor=newest_first[1]) == newest_first[2:4]
    assert await listed(db, account_id, cursor=newest_first[-1]) == []


async def test_a_revoked_token_leaves_the_list_and_cannot_be_revoked_again(db: Database) -> None:
    token, secret = await make(db)
    kept, _ = await make(db)
    await db.write(auth.revoke_token, account_id=token.account_id, token_id=token.id)
    assert await listed(db, token.account_id) == [kept.id]
    assert await db.read(auth.authenticate, auth.digest(secret)) is None
    assert await db.read(count_tokens) == 2
    with pytest.raises(TokenNotFoundError):
        await db.write(auth.revoke_token, account_id=token.account_id, token_id=token.id)


async def test_another_accounts_token_is_not_found_like_one_that_never_was(db: Database) -> None:
    token, secret = await make(db)
    other, _ = await make(db, "other")
    for token_id in (token.id, new_id()):
        with pytest.raises(TokenNotFoundError) as caught:
            await db.write(auth.revoke_token, account_id=other.account_id, token_id=token_id)
        assert str(caught.value) == "This account has no such token."
    assert await db.read(auth.authenticate, auth.digest(secret))


# --- the operator's token --------------------------------------------------------------------------------


async def test_the_operators_token_is_of_the_default_account_with_every_scope(db: Database) -> None:
    for _ in range(2):
        await db.write(auth.ensure_bootstrap_token, OPERATORS)
    account_id = await db.write(auth.ensure_account, "default")
    caller = await db.read(auth.authenticate, auth.digest(OPERATORS))
    assert caller == Caller(account_id, (await listed(db, account_id))[0], frozenset(Scope))
    assert await db.read(count_tokens) == 1


async def test_replicas_that_start_at_once_make_one_operators_token(db: Database) -> None:
    async with asyncio.timeout(10):
        await asyncio.gather(*(db.write(auth.ensure_bootstrap_token, OPERATORS) for _ in range(8)))
    assert await db.read(count_tokens) == 1


async def test_the_next_start_makes_a_revoked_operators_token_whole_again(db: Database) -> None:
    await db.write(auth.ensure_bootstrap_token, OPERATORS)
    before = await db.read(auth.authenticate, auth.digest(OPERATORS))
    assert before
    await db.write(auth.revoke_token, account_id=before.account_id, token_id=before.token_id)
    assert await db.read(auth.authenticate, auth.digest(OPERATORS)) is None
    await db.write(auth.ensure_bootstrap_token, OPERATORS)
    assert await db.read(auth.authenticate, auth.digest(OPERATORS)) == before


async def test_an_operators_token_that_no_request_could_use_is_refused_at_start(db: Database) -> None:
    with pytest.raises(StartError, match=r"^LLMSTACK_BOOTSTRAP_TOKEN: "):
        await db.write(auth.ensure_bootstrap_token, "lls_" + "x" * 38)


# --- requests --------------------------------------------------------------------------------------------


async def test_a_good_secret_has_a_caller_with_its_scopes(db: Database, authenticator: Authenticator) -> None:
    token, secret = await make(db, scopes=(Scope.RUN,))
    caller = await authenticator.caller(secret)
    assert caller is not None
    assert caller == Caller(token.account_id, token.id, frozenset({Scope.RUN}))
    assert all(isinstance(scope, Scope) for scope in caller.scopes)


async def test_unknown_and_expired_secrets_have_no_caller(db: Database, authenticator: Authenticator) -> None:
    await make(db)
    _, expired = await make(db, lives=timedelta(0))
    _, living = await make(db, lives=timedelta(minutes=1))
    assert await authenticator.caller(auth.mint()) is None
    assert await authenticator.caller("x" * 40) is None
    assert await authenticator.caller(expired) is None
    assert await authenticator.caller(living)


async def test_a_revocation_acts_at_once_whoever_made_it(
    db: Database, authenticator: Authenticator, database_url: str
) -> None:
    token, secret = await make(db)
    assert await authenticator.caller(secret)
    elsewhere = open_database(database_url)
    await elsewhere.write(auth.revoke_token, account_id=token.account_id, token_id=token.id)
    await elsewhere.close()
    assert await authenticator.caller(secret) is None


async def test_what_is_no_secret_of_ours_does_not_reach_the_database() -> None:
    db = open_database(f"postgresql+asyncpg://x@127.0.0.1:{free_port()}/x")
    authenticator = Authenticator(db)
    assert await authenticator.caller("garbage") is None
    assert await authenticator.caller("lls_" + "x" * 38) is None
    with pytest.raises(UnavailableError):
        await authenticator.caller(auth.mint())
    await authenticator.close()
    await db.close()


async def test_the_use_of_a_token_is_noted_once_a_minute(db: Database) -> None:
    token, secret = await make(db)

    async def use() -> Token:
        authenticator = Authenticator(db)
        for _ in range(3):
            assert await authenticator.caller(secret)
        await authenticator.close()
        return await db.read(lambda session: session.get_one(Token, token.id))

    first = (await use()).last_used_at
    assert first is not None
    assert now() - first < timedelta(seconds=30)
    assert (await use()).last_used_at == first
    long_ago = now() - timedelta(seconds=61)
    await db.write(lambda session: session.execute(update(Token).values(last_used_at=long_ago)).close())
    again = (await use()).last_used_at
    assert again is not None
    assert again > first


async def test_a_use_that_cannot_be_noted_keeps_nobody_out(sqlite_url: str, tmp_path: Path) -> None:
    made = open_database(sqlite_url)
    token, secret = await make(made)
    await made.close()
    db = SQLiteDatabase(tmp_path / "llmstack.db", busy_timeout=0.05)
    authenticator = Authenticator(db)
    async with locked_by_another_process(tmp_path / "llmstack.db", "BEGIN IMMEDIATE"):
        assert await authenticator.caller(secret)
        assert await authenticator.caller(secret)
        await authenticator.close()
    assert (await db.read(lambda session: session.get_one(Token, token.id))).last_used_at is None
    await db.close()


def count_tokens(session: Session) -> int:
    return session.scalars(select(func.count()).select_from(Token).join(Account)).one()
