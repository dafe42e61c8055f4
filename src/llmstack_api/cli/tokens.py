"""`llmstack-api token`: makes, lists and revokes tokens in the database itself."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from llmstack_api import auth
from llmstack_api.auth import Scope
from llmstack_api.errors import TokenNotFoundError
from llmstack_api.models import Account, Token, now
from llmstack_api.resources import open_current_database
from llmstack_api.settings import Settings
from llmstack_api.starting import refusing_to_start

T = TypeVar("T")

HEADINGS = ("ID", "ACCOUNT", "NAME", "STARTS WITH", "SCOPES", "EXPIRES", "LAST USED")


def create(
    settings: Settings, *, account: str, name: str, scopes: Sequence[str], expires_in: timedelta | None
) -> None:
    """Make a token; print it alone on standard output, and what it is on standard error."""
    expires_at = now() + expires_in if expires_in else None

    def work(session: Session) -> str:
        account_id = auth.ensure_account(session, account)
        _, secret = auth.create_token(
            session,
            account_id=account_id,
            name=name,
            scopes=[Scope(scope) for scope in scopes],
            expires_at=expires_at,
        )
        return secret

    secret = _transact(settings, work)
    until = f"until {_moment(expires_at)}" if expires_at else "until it is revoked"
    sys.stderr.write(f"A token of account {account!r} for {', '.join(scopes)}, valid {until}. ")
    sys.stderr.write("It is shown this once:\n")
    sys.stderr.flush()
    sys.stdout.write(f"{secret}\n")


def print_all(settings: Settings, *, account: str | None) -> None:
    """Print the tokens that are not revoked, newest first."""
    rows = _transact(settings, lambda session: _rows(session, account))
    table = [HEADINGS, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(HEADINGS))]
    for row in table:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(f"{line.rstrip()}\n")


def revoke(settings: Settings, *, token_id: UUID) -> None:
    """Revoke a token of any account."""

    def work(session: Session) -> None:
        account_id = session.scalar(select(Token.account_id).where(Token.id == token_id))
        if account_id is None:
            raise TokenNotFoundError(f"There is no token {token_id}; 'token list' shows them.")
        auth.revoke_token(session, account_id=account_id, token_id=token_id)

    _transact(settings, work)
    sys.stdout.write(f"Revoked {token_id}.\n")


def _transact(settings: Settings, work: Callable[[Session], T]) -> T:
    async def run() -> T:
        async with open_current_database(settings) as db:
            return await db.write(work)

    with refusing_to_start(settings):
        return asyncio.run(run())


def _rows(session: Session, account: str | None) -> list[tuple[str, ...]]:
    query = (
        select(Token, Account.name)
        .join(Account, Account.id == Token.account_id)
        .where(Token.revoked_at.is_(None))
        .order_by(Token.id.desc())
    )
    if account is not None:
        query = query.where(Account.name == account)
    return [
        (
            str(token.id),
            _printable(name),
            _printable(token.name),
            token.hint,
            ",".join(token.scopes),
            _moment(token.expires_at) if token.expires_at else "never",
            _moment(token.last_used_at) if token.last_used_at else "never",
        )
        for token, name in session.execute(query)
    ]


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _printable(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name)
