"""Secrets at rest: encrypted with the operator's `LLMSTACK_SECRET_KEY`, or with a key in the data directory."""

import base64
import hmac
import os
import re
import secrets
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import structlog
from anyio import to_thread
from sqlalchemy import Tuple, select, tuple_, update
from sqlalchemy.orm import Session

from llmstack_api.db import SQLITE, Database
from llmstack_api.errors import SecretsNotConfiguredError, StartError, StorageFullError, UnavailableError
from llmstack_api.models import ProviderSetting
from llmstack_api.settings import Settings, split_secrets

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

log = structlog.get_logger(__name__)

KEY_FILE: Final = "secret.key"
KEPT: Final = 512
"""Values that are kept decrypted: what many runs ask for is decrypted once."""

BATCH: Final = 200
"""Rows that one transaction encrypts again."""

_KEY_BYTES: Final = 32
_MADE: Final = re.compile(rb"[A-Za-z0-9_-]{43}\n?")
"""What `secrets.token_urlsafe` makes of that many bytes."""

_FOR_ENCRYPTION: Final = b"llmstack-api encryption of stored secrets, version 1"
_FOR_NAMING: Final = b"llmstack-api name of an encryption key, version 1"
_DIGEST_SIZE: Final = sha256().digest_size


class UnreadableSecretError(Exception):
    """None of the secrets that the server has decrypts this, or it was stored for something else."""


class Cipher:
    """Encrypts with the first of some secrets and decrypts with any. The library is imported at first use."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._keys = keys
        self._fernet: MultiFernet | None = None
        self._opened = lru_cache(maxsize=KEPT)(self._open)
        self.key_id = _digest(keys[0], _FOR_NAMING).hex()[:16] if keys else None
        """Names the secret that encrypts; None where there is none."""

    def encrypt(self, data: bytes, *, context: str) -> bytes:
        """Encrypt for one purpose: only `decrypt` with the same context gives it back.

        Raises:
            SecretsNotConfiguredError: the operator set no secret.
        """
        if self.key_id is None:
            raise SecretsNotConfiguredError(
                "This server cannot keep secrets: its operator has to set LLMSTACK_SECRET_KEY."
            )
        return self._load().encrypt(_digest_of(context) + data)

    def decrypt(self, token: bytes, *, context: str) -> bytes:
        """Give back what was encrypted.

        Raises:
            UnreadableSecretError: it is damaged, or encrypted with another secret or in another context.
        """
        return self._opened(token, context)

    def rotate(self, token: bytes) -> bytes:
        """Encrypt again with the first secret, in the same context.

        Raises:
            UnreadableSecretError: it is damaged, or encrypted with another secret.
        """
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 # slow to import, not always needed

        if self.key_id is None:
            raise UnreadableSecretError
        try:
            return self._load().rotate(token)
        except InvalidToken:
            raise UnreadableSecretError from None

    async def prepare(self) -> None:
        """Import the library aside: it takes some 60 ms, which nobody else should wait for."""
        if self._fernet is None and self.key_id is not None:
            await to_thread.run_sync(self._load)

    def _load(self) -> "MultiFernet":
        if self._fernet is None:
            from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415 # slow to import, not always needed

            derived = (base64.urlsafe_b64encode(_digest(key, _FOR_ENCRYPTION)) for key in self._keys)
            self._fernet = MultiFernet([Fernet(key) for key in derived])
        return self._fernet

    def _open(self, token: bytes, context: str) -> bytes:
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 # slow to import, not always needed

        if self.key_id is None:
            raise UnreadableSecretError
        try:
            plain = self._load().decrypt(token)
        except InvalidToken:
            raise UnreadableSecretError from None
        if not hmac.compare_digest(plain[:_DIGEST_SIZE], _digest_of(context)):
            raise UnreadableSecretError
        return plain[_DIGEST_SIZE:]


def _digest(key: str, purpose: bytes) -> bytes:
    """Derive what is used from a secret. It is long and random, so nothing slow is needed."""
    return hmac.digest(key.encode(), purpose, "sha256")


def _digest_of(context: str) -> bytes:
    return sha256(context.encode()).digest()


# --- the secrets of this server --------------------------------------------------------------------------


def open_cipher(settings: Settings) -> Cipher:
    """Take the secrets from the setting; without it a server on SQLite has one in its data directory.

    That file is made where there is none, and never written again. Beside the setting it goes on to decrypt.

    Raises:
        StartError: the file cannot be read, made or used.
    """
    keys = split_secrets(settings.secret_key.get_secret_value()) if settings.secret_key else ()
    if settings.database.startswith(SQLITE):
        path = settings.data_dir / KEY_FILE
        try:
            kept = _read(path)
            if kept is None and not keys:
                _make(path)
                kept = _read(path)
        except OSError as error:
            raise StartError(f"LLMSTACK_DATA_DIR: {path} cannot be used ({error.strerror})") from error
        keys += (kept,) if kept else ()
    return Cipher(keys)


def _read(path: Path) -> str | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if not _MADE.fullmatch(content):
        raise StartError(
            f"LLMSTACK_DATA_DIR: {path} is damaged; restore it from a copy, or remove it and store the keys of "
            "providers again"
        )
    return content.decode().strip()


def _make(path: Path) -> None:
    """Make the file, whole or not at all; one that another process has just made stays."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_urlsafe(_KEY_BYTES).encode() + b"\n")
            file.flush()
            os.fsync(handle)
        _put(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _put(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        if not path.exists():
            draft.replace(path)


# --- rotation --------------------------------------------------------------------------------------------

_Place = tuple[UUID, str]


def _place() -> "Tuple[Any]":
    return tuple_(ProviderSetting.account_id, ProviderSetting.slug)


async def keep_current(db: Database, cipher: Cipher) -> None:
    """Encrypt with the first secret what another one encrypted, so that the other can go.

    What cannot be decrypted stays as it is. A failing database is no reason not to start: the next start tries again.
    """
    done, lost = 0, 0
    after: _Place | None = None
    try:
        if not await db.read(_holds_secrets):
            return
        await cipher.prepare()
        while page := await db.read(_others, cipher.key_id, after):
            after = page[-1]
            again, unreadable = await db.write(_encrypt_anew, page, cipher)
            done, lost = done + again, lost + unreadable
    except (UnavailableError, StorageFullError) as error:
        log.warning("secrets_not_encrypted_anew", error=error.slug)
    if done:
        log.info("secrets_encrypted_anew", count=done)
    if lost:
        log.warning("secrets_unreadable", count=lost, setting="LLMSTACK_SECRET_KEY")


def _holds_secrets(session: Session) -> bool:
    query = select(ProviderSetting.slug).where(ProviderSetting.secret.is_not(None)).limit(1)
    return session.scalar(query) is not None


def _others(session: Session, key_id: str | None, after: _Place | None) -> list[_Place]:
    """Return the next rows that another secret encrypted."""
    query = select(ProviderSetting.account_id, ProviderSetting.slug).where(
        ProviderSetting.secret.is_not(None), ProviderSetting.key_id.is_distinct_from(key_id)
    )
    if after is not None:
        query = query.where(_place() > after)
    rows = session.execute(query.order_by(ProviderSetting.account_id, ProviderSetting.slug).limit(BATCH))
    return [(account_id, slug) for account_id, slug in rows]


def _encrypt_anew(session: Session, places: list[_Place], cipher: Cipher) -> tuple[int, int]:
    """Encrypt rows again; return how many could be, and how many could not."""
    done, lost = 0, 0
    rows = session.execute(
        select(ProviderSetting.account_id, ProviderSetting.slug, ProviderSetting.secret)
        .where(
            _place().in_(places),
            ProviderSetting.secret.is_not(None),
            ProviderSetting.key_id.is_distinct_from(cipher.key_id),
        )
        .order_by(ProviderSetting.account_id, ProviderSetting.slug)
        .with_for_update()
    ).all()
    for account_id, slug, secret in rows:
        try:
            again = cipher.rotate(secret or b"")
        except UnreadableSecretError:
            lost += 1
            continue
        session.execute(
            update(ProviderSetting)
            .where(ProviderSetting.account_id == account_id, ProviderSetting.slug == slug)
            .values(secret=again, key_id=cipher.key_id)
        )
        done += 1
    return done, lost
