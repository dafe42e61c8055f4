"""An account's settings of model providers in the database; keys and headers encrypted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

import orjson
from pydantic import SecretStr
from sqlalchemy import Table, bindparam, delete, select
from sqlalchemy.orm import Session

from llmstack_api.db import upsert
from llmstack_api.errors import (
    ConflictError,
    Fault,
    InvalidInputError,
    ProviderNotConfiguredError,
    ProviderNotFoundError,
)
from llmstack_api.known_providers import KnownProvider
from llmstack_api.llm.catalog import NO_PROVIDERS, AccountProviders, ProviderSettings
from llmstack_api.models import ProviderSetting, now
from llmstack_api.secrets import Cipher, UnreadableSecretError

UNREADABLE: Final = (
    "What is stored for it cannot be decrypted with the server's LLMSTACK_SECRET_KEY; "
    "its operator can bring the earlier one back, or store the key again."
)


class Stored(NamedTuple):
    """What one account has stored for one provider."""

    account_id: UUID
    slug: str
    base_url: str | None
    default_model: str | None
    has_key: bool
    secret: bytes | None
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What is encrypted, in clear."""

    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Settings to store."""

    base_url: str | None
    default_model: str | None
    headers: Mapping[str, str]
    api_key: SecretStr | None
    keep_key: bool
    """Whether a stored key stays; `api_key` is None then."""


# A Core statement, made once: every run executes it.
_SETTINGS = cast("Table", ProviderSetting.__table__)
_ROWS = select(*(_SETTINGS.c[name] for name in Stored._fields)).where(
    _SETTINGS.c.account_id == bindparam("account_id")
)


# --- reading ---------------------------------------------------------------------------------------------


def provider_settings(session: Session, *, account_id: UUID) -> list[Stored]:
    """Return all that an account has stored, as it is in the database."""
    return [Stored(*row) for row in session.execute(_ROWS, {"account_id": account_id})]


def find(session: Session, *, account_id: UUID, slug: str, lock: bool = False) -> Stored | None:
    """Return what an account has stored for one provider, locked until the transaction ends where that is asked."""
    query = _ROWS.where(_SETTINGS.c.slug == slug)
    row = session.execute(
        query.with_for_update() if lock else query, {"account_id": account_id}
    ).one_or_none()
    return None if row is None else Stored(*row)


def secrets_of(cipher: Cipher, row: Stored) -> Secrets:
    """Decrypt.

    Raises:
        UnreadableSecretError: the server's secrets do not decrypt it, or it was stored for something else.
    """
    if row.secret is None:
        return Secrets()
    plain: dict[str, Any] = orjson.loads(
        cipher.decrypt(row.secret, context=_context(account_id=row.account_id, slug=row.slug))
    )
    return Secrets(api_key=plain["api_key"], headers=plain["headers"])


def settings_of(cipher: Cipher, row: Stored) -> ProviderSettings:
    """Return what a model is called with.

    Raises:
        ProviderNotConfiguredError: key and headers cannot be decrypted.
    """
    try:
        opened = secrets_of(cipher, row)
    except UnreadableSecretError:
        raise ProviderNotConfiguredError(f"The provider {row.slug!r} cannot be used. {UNREADABLE}") from None
    return ProviderSettings(
        base_url=row.base_url,
        api_key=opened.api_key,
        default_model=row.default_model,
        headers=opened.headers,
    )


class _Decrypted(Mapping[str, ProviderSettings]):
    """Decrypts the settings of a provider when they are asked for."""

    __slots__ = ("_cipher", "_known", "_rows")

    def __init__(self, cipher: Cipher, rows: Sequence[Stored]) -> None:
        self._cipher = cipher
        self._rows = {row.slug: row for row in rows}
        self._known: dict[str, ProviderSettings] = {}

    def __getitem__(self, slug: str) -> ProviderSettings:
        known = self._known.get(slug)
        if known is None:
            known = self._known[slug] = settings_of(self._cipher, self._rows[slug])
        return known

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def decrypted(cipher: Cipher, rows: Sequence[Stored]) -> AccountProviders:
    """Return an account's settings by provider; each is decrypted when, and if, it is asked for.

    Asking for one that cannot be decrypted raises ProviderNotConfiguredError.
    """
    return _Decrypted(cipher, rows) if rows else NO_PROVIDERS


# --- writing ---------------------------------------------------------------------------------------------


def store(
    session: Session, provider: KnownProvider, *, account_id: UUID, wanted: Wanted, cipher: Cipher
) -> tuple[Stored | None, list[Fault]]:
    """Replace the settings of a provider; return them, None where nothing is left, and warnings.

    A key that stays does so only for the address that it was stored for.

    Raises:
        InvalidInputError: settings that go nowhere.
        ConflictError: a key shall stay that cannot be decrypted.
        SecretsNotConfiguredError: there is a key or a header to keep, and the server has no secret.
    """
    row = find(session, account_id=account_id, slug=provider.slug, lock=True)
    before = _readable(cipher, row)
    api_key, warnings = _key(provider, row, before=before, wanted=wanted)
    _check(provider, wanted, has_key=api_key is not None)
    after = Secrets(api_key=api_key, headers=wanted.headers)
    base_url, default_model = wanted.base_url, wanted.default_model
    if row is not None and (row.base_url, row.default_model, before) == (base_url, default_model, after):
        return row, warnings
    if not (base_url or api_key or default_model):
        if row is not None:
            session.execute(_delete(account_id, provider.slug))
        return None, warnings
    secret = None
    if api_key is not None or after.headers:
        plain = orjson.dumps({"api_key": api_key, "headers": dict(after.headers)})
        secret = cipher.encrypt(plain, context=_context(account_id=account_id, slug=provider.slug))
    moment = now()
    values: dict[str, Any] = {
        "base_url": base_url,
        "default_model": default_model,
        "has_key": api_key is not None,
        "secret": secret,
        "key_id": cipher.key_id if secret else None,
        "updated_at": moment,
    }
    session.execute(
        upsert(session, ProviderSetting)
        .values(account_id=account_id, slug=provider.slug, created_at=moment, **values)
        .on_conflict_do_update(index_elements=["account_id", "slug"], set_=values)
    )
    stored = Stored(
        account_id=account_id,
        slug=provider.slug,
        base_url=base_url,
        default_model=default_model,
        has_key=api_key is not None,
        secret=secret,
        updated_at=moment,
    )
    return stored, warnings


def remove(session: Session, provider: KnownProvider, *, account_id: UUID) -> None:
    """Delete the settings of a provider.

    Raises:
        ProviderNotFoundError: there are none.
    """
    removed = session.scalar(_delete(account_id, provider.slug).returning(ProviderSetting.slug))
    if removed is None:
        raise ProviderNotFoundError(f"This account has no settings of the provider {provider.slug!r}.")


def _delete(account_id: UUID, slug: str) -> Any:  # noqa: ANN401 # SQLAlchemy's type says less than its name
    return delete(ProviderSetting).where(
        ProviderSetting.account_id == account_id, ProviderSetting.slug == slug
    )


def _readable(cipher: Cipher, row: Stored | None) -> Secrets | None:
    """Return the stored secrets; None where they cannot be decrypted."""
    if row is None:
        return Secrets()
    try:
        return secrets_of(cipher, row)
    except UnreadableSecretError:
        return None


def _key(
    provider: KnownProvider, row: Stored | None, *, before: Secrets | None, wanted: Wanted
) -> tuple[str | None, list[Fault]]:
    """Return the key that is to be stored, and a warning where the stored one is dropped unasked."""
    if not wanted.keep_key:
        return wanted.api_key.get_secret_value() if wanted.api_key else None, []
    if row is None or not row.has_key:
        return None, []
    if (row.base_url or provider.base_url) != (wanted.base_url or provider.base_url):
        dropped = (
            "the stored key was dropped: it belongs to the address that it was stored for; send it again"
        )
        return None, [Fault("api_key", dropped)]
    if before is None:
        raise ConflictError(
            "The stored key cannot be kept, as it cannot be decrypted with the server's LLMSTACK_SECRET_KEY; "
            "send 'api_key', or null to remove it."
        )
    return before.api_key, []


def _check(provider: KnownProvider, wanted: Wanted, *, has_key: bool) -> None:
    """Refuse settings that go nowhere, or that would change what the operator's endpoint is sent."""
    if wanted.base_url is None and has_key and provider.base_url is None:
        raise _invalid("base_url", f"is needed: {provider.name} has no address that all share")
    if wanted.headers and wanted.base_url is None and not has_key:
        raise _invalid("headers", "need a base_url or an api_key: the operator's endpoint is not sent them")
    if any(name.lower() == provider.key_header.lower() for name in wanted.headers):
        raise _invalid("headers", f"the header {provider.key_header!r} is made from api_key")


def _invalid(loc: str, msg: str) -> InvalidInputError:
    return InvalidInputError(f"{loc}: {msg}", faults=(Fault(loc, msg),))


def _context(*, account_id: UUID, slug: str) -> str:
    """Say what a secret is for, so that a row copied to another account is worth nothing there."""
    return f"provider {slug} of {account_id}"
