"""Tokens: made, checked, listed and revoked; a good one becomes a `Caller`."""

import asyncio
import hmac
import secrets
import string
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID
from zlib import crc32

import structlog
from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.orm import Session

from llmstack_api.db import Database, upsert
from llmstack_api.errors import LLMStackError, StartError, TokenNotFoundError
from llmstack_api.models import Account, Token, new_id, now
from llmstack_api.settings import MIN_BOOTSTRAP_TOKEN

log = structlog.get_logger(__name__)

PREFIX = "lls_"
BOOTSTRAP = "bootstrap"
DEFAULT_ACCOUNT = "default"
NOTE_INTERVAL = timedelta(minutes=1)

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_LENGTH = 32
_CHECKSUM_LENGTH = 6
_HINT_LENGTH = 8
_DIGEST_KEY = b"llmstack-api token digest, version 1"
_MAX_NOTES = 64
_NOTE_PAUSE = 60.0
_CLOSE_TIMEOUT = 5.0


class Scope(StrEnum):
    """What a token may do."""

    RUN = "run"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, and what for."""

    account_id: UUID
    token_id: UUID
    scopes: frozenset[Scope]


# --- secrets ---------------------------------------------------------------------------------------------


def mint() -> str:
    """Make a secret: a prefix that scanners find, 190 random bits, and a checksum."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    return PREFIX + body + _checksum(body)


def looks_genuine(secret: str) -> bool:
    """Tell whether a secret can be one of ours: minted, or long enough for an operator's bootstrap token."""
    if not secret.isascii():
        return False
    if not secret.startswith(PREFIX):
        return len(secret) >= MIN_BOOTSTRAP_TOKEN
    body, checksum = secret[len(PREFIX) : -_CHECKSUM_LENGTH], secret[-_CHECKSUM_LENGTH:]
    return len(body) == _RANDOM_LENGTH and _checksum(body) == checksum


def digest(secret: str) -> str:
    """Return what is kept of a secret.

    A plain keyed hash: a random secret of 190 bits cannot be guessed from it, so nothing slow is needed. The
    key is no secret; it sets these digests apart from any other use of the same hash.
    """
    return hmac.digest(_DIGEST_KEY, secret.encode(), "sha256").hex()


def _checksum(body: str) -> str:
    rest, digits = crc32(body.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


# --- accounts and tokens ---------------------------------------------------------------------------------


def ensure_account(session: Session, name: str) -> UUID:
    """Return the account of that name, which is made if need be."""
    session.execute(
        upsert(session, Account)
        .values(id=new_id(), name=name, created_at=now())
        .on_conflict_do_nothing(index_elements=["name"])
    )
    return session.scalars(select(Account.id).where(Account.name == name)).one()


def create_token(
    session: Session, *, account_id: UUID, name: str, scopes: Iterable[Scope], expires_at: datetime | None
) -> tuple[Token, str]:
    """Make a token; return it with its secret, which is nowhere else."""
    secret = mint()
    token = Token(
        account_id=account_id,
        name=name,
        digest=digest(secret),
        hint=secret[:_HINT_LENGTH],
        scopes=_in_order(scopes),
        expires_at=expires_at,
    )
    session.add(token)
    session.flush()
    return token, secret


def list_tokens(session: Session, *, account_id: UUID, limit: int, cursor: UUID | None) -> list[Token]:
    """Return tokens that were not revoked, newest first; `cursor` is the last one of the page before."""
    query = select(Token).where(Token.account_id == account_id, Token.revoked_at.is_(None))
    if cursor is not None:
        query = query.where(Token.id < cursor)
    return list(session.scalars(query.order_by(Token.id.desc()).limit(limit)))


def revoke_token(session: Session, *, account_id: UUID, token_id: UUID) -> None:
    """Make a token worthless at once. Its row stays, as a record; it is in no list any more."""
    revoked = session.scalar(
        update(Token)
        .where(Token.id == token_id, Token.account_id == account_id, Token.revoked_at.is_(None))
        .values(revoked_at=now())
        .returning(Token.id)
    )
    if revoked is None:
        raise TokenNotFoundError("This account has no such token.")


def ensure_bootstrap_token(session: Session, secret: str) -> None:
    """Make the operator's token, of the account `default` with every scope.

    The setting is the truth: at every start its token is whole again, even where it was revoked meanwhile.
    A secret that the setting named before stays valid until it is revoked.

    Raises:
        StartError: it starts like a minted token but is none, so that no request with it could pass.
    """
    if not looks_genuine(secret):
        raise StartError(f"LLMSTACK_BOOTSTRAP_TOKEN: starts with {PREFIX} but was not made by 'token create'")
    whole = {"scopes": _in_order(Scope), "expires_at": None, "revoked_at": None}
    session.execute(
        upsert(session, Token)
        .values(
            id=new_id(),
            account_id=ensure_account(session, DEFAULT_ACCOUNT),
            name=BOOTSTRAP,
            digest=digest(secret),
            hint=secret[: len(PREFIX)],  # an operator may have chosen few random characters
            created_at=now(),
            **whole,
        )
        .on_conflict_do_update(index_elements=["digest"], set_=whole)
    )


def note_use(session: Session, token_id: UUID) -> None:
    """Set when a token was last used; call it once a minute at most."""
    session.execute(update(Token).where(Token.id == token_id).values(last_used_at=now()))


def _in_order(scopes: Iterable[Scope]) -> list[str]:
    wanted = set(scopes)
    return [scope.value for scope in Scope if scope in wanted]


# --- requests --------------------------------------------------------------------------------------------

_BY_DIGEST = select(Token.id, Token.account_id, Token.scopes, Token.expires_at, Token.last_used_at).where(
    Token.digest == bindparam("digest"), Token.revoked_at.is_(None)
)


def authenticate(connection: Connection | Session, secret_digest: str) -> Caller | None:
    """Return the caller of a token that is neither revoked nor expired."""
    found = _find(connection, secret_digest)
    return found[0] if found else None


def _find(connection: Connection | Session, secret_digest: str) -> tuple[Caller, bool] | None:
    """Return the caller, and whether it is time to note that the token is in use."""
    row = connection.execute(_BY_DIGEST, {"digest": secret_digest}).one_or_none()
    if row is None:
        return None
    token_id, account_id, granted, expires_at, last_used_at = row
    moment = now()
    if expires_at is not None and expires_at <= moment:
        return None
    scopes = frozenset(scope for scope in Scope if scope in granted)
    return Caller(
        account_id, token_id, scopes
    ), last_used_at is None or last_used_at + NOTE_INTERVAL <= moment


class Authenticator:
    """Finds callers in the database at each request, so that a revocation acts at once, whoever made it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._notes: dict[UUID, asyncio.Task[None]] = {}
        self._no_notes_before = 0.0

    async def caller(self, secret: str) -> Caller | None:
        """Return whose secret this is; what was never a secret of ours does not reach the database."""
        if not looks_genuine(secret):
            return None
        found = await self._db.peek(_find, digest(secret))
        if found is None:
            return None
        caller, note = found
        if note:
            self._note(caller.token_id)
        return caller

    async def close(self) -> None:
        """Let the last notes be written, for a short time."""
        self._no_notes_before = float("inf")
        if self._notes:
            _, late = await asyncio.wait(self._notes.values(), timeout=_CLOSE_TIMEOUT)
            for task in late:
                task.cancel()

    def _note(self, token_id: UUID) -> None:
        busy = token_id in self._notes or len(self._notes) >= _MAX_NOTES
        if busy or time.monotonic() < self._no_notes_before:
            return
        task = asyncio.create_task(self._write_note(token_id))
        self._notes[token_id] = task
        task.add_done_callback(lambda _: self._notes.pop(token_id))

    async def _write_note(self, token_id: UUID) -> None:
        try:
            await self._db.write(note_use, token_id)
        except LLMStackError as error:
            log.warning("token_use_not_noted", slug=error.slug)
            self._no_notes_before = max(self._no_notes_before, time.monotonic() + _NOTE_PAUSE)
