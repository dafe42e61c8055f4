"""`Idempotency-Key` (IETF draft-07): the same key and body are done once and answered alike."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request, Response
from sqlalchemy import ColumnElement, Delete, delete, select, update
from sqlalchemy.orm import Session

from llmstack_api.db import upsert
from llmstack_api.errors import Fault, IdempotencyInProgressError, IdempotencyMismatchError
from llmstack_api.models import IdempotencyKey, now
from llmstack_api.web.deps import CallerDep, ResourcesDep

KEPT = timedelta(hours=24)
REPLAYED = {"Idempotency-Replayed": "true"}
_RETRY_AFTER = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A key as sent with one request."""

    account_id: UUID
    key: str
    fingerprint: str
    """Digest of method, path and body."""
    owner: UUID
    """This replica."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that is kept."""

    status: int
    body: bytes
    media_type: str = "application/json"

    def response(self, *, replayed: bool = False) -> Response:
        """Make the HTTP answer."""
        return Response(self.body, self.status, REPLAYED if replayed else None, self.media_type)


async def _claim(
    request: Request,
    caller: CallerDep,
    resources: ResourcesDep,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=255,
            pattern=r"^[\x20-\x7e]+$",
            description="Makes a repeated request answer as the first did; kept for 24 hours.",
        ),
    ] = None,
) -> Claim | None:
    if key is None:
        return None
    digest = hashlib.sha256(f"{request.method} {request.url.path}\n".encode())
    digest.update(await request.body())
    return Claim(
        account_id=caller.account_id, key=key, fingerprint=digest.hexdigest(), owner=resources.replica.id
    )


ClaimDep = Annotated[Claim | None, Depends(_claim)]


def take(session: Session, claim: Claim, *, run_id: UUID | None = None) -> IdempotencyKey | None:
    """Claim the key for this request; return the kept row where the first request has been answered.

    Raises:
        IdempotencyInProgressError: the first request is still going.
        IdempotencyMismatchError: the key was used for another request.
    """
    session.execute(_expired(claim.account_id, claim.key))
    taken = session.execute(
        upsert(session, IdempotencyKey)
        .values(
            account_id=claim.account_id,
            key=claim.key,
            fingerprint=claim.fingerprint,
            owner=claim.owner,
            run_id=run_id,
            created_at=now(),
        )
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    ).first()
    if taken is not None:
        return None
    kept = session.scalars(
        select(IdempotencyKey).where(
            IdempotencyKey.account_id == claim.account_id, IdempotencyKey.key == claim.key
        )
    ).one_or_none()
    if kept is None:  # the first request has just failed and given its key back
        raise IdempotencyInProgressError(
            "The first request with this Idempotency-Key has just ended.", retry_after=_RETRY_AFTER
        )
    if kept.fingerprint != claim.fingerprint:
        fault = Fault("header.Idempotency-Key", "was used for another request")
        raise IdempotencyMismatchError(f"The Idempotency-Key {claim.key!r} {fault.msg}.", faults=(fault,))
    if kept.status is None:
        raise IdempotencyInProgressError(
            "The first request with this Idempotency-Key is still going.", retry_after=_RETRY_AFTER
        )
    return kept


def keep(session: Session, claim: Claim, status: int, *, body: bytes | None = None) -> None:
    """Keep the answer under the claimed key."""
    session.execute(update(IdempotencyKey).where(*_claimed(claim)).values(status=status, body=body))


def give_back(session: Session, claim: Claim) -> None:
    """Forget the claim: the request did nothing and can be tried again."""
    session.execute(delete(IdempotencyKey).where(*_claimed(claim)))


def once(session: Session, claim: Claim | None, do: Callable[[Session], Answer]) -> tuple[Answer, bool]:
    """Do something that is one transaction, at most once a key; return its answer and whether it was replayed."""
    kept = take(session, claim) if claim is not None else None
    if kept is not None:
        return Answer(status=kept.status or 0, body=kept.body or b""), True
    answer = do(session)
    if claim is not None:
        keep(session, claim, answer.status, body=answer.body)
    return answer, False


def forget_expired(session: Session) -> None:
    """Delete every key that is older than it is kept."""
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < now() - KEPT))


def forget_abandoned(session: Session, *, owners: set[UUID]) -> None:
    """Delete the keys of requests that died with their replica."""
    session.execute(
        delete(IdempotencyKey).where(IdempotencyKey.status.is_(None), IdempotencyKey.owner.in_(owners))
    )


def _claimed(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    """Select the claim itself, and not one that another replica made when it took this one for dead."""
    return (
        IdempotencyKey.account_id == claim.account_id,
        IdempotencyKey.key == claim.key,
        IdempotencyKey.owner == claim.owner,
        IdempotencyKey.fingerprint == claim.fingerprint,
    )


def _expired(account_id: UUID, key: str) -> Delete:
    return delete(IdempotencyKey).where(
        IdempotencyKey.account_id == account_id,
        IdempotencyKey.key == key,
        IdempotencyKey.created_at < now() - KEPT,
    )
