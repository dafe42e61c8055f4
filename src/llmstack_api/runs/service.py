"""Runs in the database: prepared in one short write, stored in another."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, Table, bindparam, insert, or_, select, update
from sqlalchemy.orm import Session, defer

from llmstack_api.apps.plans import Plans
from llmstack_api.engine.inputs import check_inputs, recorded_input
from llmstack_api.engine.plan import Plan
from llmstack_api.engine.ports import JsonObject
from llmstack_api.engine.runner import History, Outcome
from llmstack_api.errors import LLMStackError, RunError, RunInterruptedError, RunNotFoundError
from llmstack_api.models import Run, RunStatus, new_id, now
from llmstack_api.providers import service as providers
from llmstack_api.runs import sessions
from llmstack_api.runs.schemas import SESSION_ID_PATTERN
from llmstack_api.web import idempotency
from llmstack_api.web.idempotency import Claim
from llmstack_api.web.paging import Page, newest_first

_DONE = 200
_SESSION_ID = re.compile(SESSION_ID_PATTERN)

_NOT_LISTED = [defer(column, raiseload=True) for column in (Run.input, Run.output, Run.steps)]

# Core statements, made once: what every run executes costs a third of the same through the ORM.
_RUNS = cast("Table", Run.__table__)
_INSERT_RUN = insert(_RUNS)
_STORE_RUN = update(_RUNS).where(
    _RUNS.c.id == bindparam("run_id"),
    or_(_RUNS.c.status == RunStatus.RUNNING.value, _RUNS.c.status == RunStatus.INTERRUPTED.value),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWanted:
    """What a caller asked to run."""

    account_id: UUID
    app_id: UUID
    session_name: str
    new_session: bool
    """Whether the id was made by us, so that there is no history to look for."""
    input: JsonObject
    streamed: bool
    owner: UUID
    claim: Claim | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run whose row exists."""

    run_id: UUID
    account_id: UUID
    session_id: UUID
    session_name: str
    new_session: bool
    streamed: bool
    plan: Plan
    inputs: JsonObject
    providers: Sequence[providers.Stored]
    """The account's own settings of model providers, as they were when the run was made."""
    history: History | None
    """What the session remembers; None where it has to be read when the run's turn comes."""
    claim: Claim | None


def is_session_id(text: str) -> bool:
    """Tell whether a caller may name a session so."""
    return _SESSION_ID.fullmatch(text) is not None


def prepare_run(session: Session, wanted: RunWanted, *, plans: Plans, with_history: bool) -> Prepared | Run:
    """Check everything that can be refused and insert the run; return the first run where it is a repetition."""
    run_id = new_id()
    if wanted.claim is not None:
        kept = idempotency.take(session, wanted.claim, run_id=run_id)
        if kept is not None and kept.run_id is not None:
            return get_run(session, account_id=wanted.account_id, run_id=kept.run_id)
    version, plan = plans.find(session, account_id=wanted.account_id, app_id=wanted.app_id)
    inputs = check_inputs(plan.input_fields, wanted.input)
    session_id = sessions.ensure_session(
        session,
        account_id=wanted.account_id,
        app_id=wanted.app_id,
        name=wanted.session_name,
        new=wanted.new_session,
    )
    history: History | None = {} if wanted.new_session else None
    if with_history and history is None:
        history = sessions.load_history(session, session_id=session_id)
    session.execute(
        _INSERT_RUN,
        {
            "id": run_id,
            "account_id": wanted.account_id,
            "app_id": wanted.app_id,
            "app_version": version,
            "session": wanted.session_name,
            "status": RunStatus.RUNNING.value,
            "streamed": wanted.streamed,
            "input": recorded_input(plan.input_fields, wanted.input),
            "owner": wanted.owner,
            "created_at": now(),
        },
    )
    return Prepared(
        run_id=run_id,
        account_id=wanted.account_id,
        session_id=session_id,
        session_name=wanted.session_name,
        new_session=wanted.new_session,
        streamed=wanted.streamed,
        plan=plan,
        inputs=inputs,
        providers=providers.provider_settings(session, account_id=wanted.account_id),
        history=history,
        claim=wanted.claim,
    )


def store_outcome(session: Session, prepared: Prepared, outcome: Outcome) -> None:
    """Store how a run ended, and what its processors learned; a second time does nothing."""
    result = session.execute(
        _STORE_RUN,
        {
            "run_id": prepared.run_id,
            "status": outcome.ending.value,
            "output": outcome.output,
            "input_tokens": outcome.usage.input_tokens,
            "output_tokens": outcome.usage.output_tokens,
            "steps": [record.as_json() for record in outcome.steps],
            "errors": [describe_error(error) for error in outcome.errors],
            "finished_at": now(),
        },
    )
    if not cast("CursorResult[Any]", result).rowcount:
        return
    if outcome.learned or not prepared.new_session:
        sessions.remember(
            session, session_id=prepared.session_id, run_id=prepared.run_id, learned=outcome.learned
        )
    if prepared.claim is not None:
        if outcome.ending.value == RunStatus.SUCCEEDED:
            idempotency.keep(session, prepared.claim, _DONE)
        else:
            idempotency.give_back(session, prepared.claim)


def describe_error(error: LLMStackError) -> JsonObject:
    """Say an error as streams and records do."""
    processor = error.processor if isinstance(error, RunError) else None
    return {"code": error.slug, "message": str(error), "processor": processor}


def get_run(session: Session, *, account_id: UUID, run_id: UUID) -> Run:
    """Return one run."""
    run = session.scalar(select(Run).where(Run.id == run_id, Run.account_id == account_id))
    if run is None:
        raise RunNotFoundError("This account has no such run.")
    return run


def list_runs(
    session: Session,
    *,
    account_id: UUID,
    page: Page,
    app_id: UUID | None = None,
    session_name: str | None = None,
    status: RunStatus | None = None,
) -> list[Run]:
    """Return the runs that fit, newest first."""
    query = select(Run).options(*_NOT_LISTED).where(Run.account_id == account_id)
    if app_id is not None:
        query = query.where(Run.app_id == app_id)
    if session_name is not None:
        query = query.where(Run.session == session_name)
    if status is not None:
        query = query.where(Run.status == status)
    return list(session.scalars(newest_first(query, Run.id, page)))


def owners_of_running(session: Session) -> set[UUID]:
    """Return the replicas that have runs going, or did when they died."""
    return set(session.scalars(select(Run.owner).where(Run.status == RunStatus.RUNNING).distinct()))


def interrupt_runs(session: Session, *, owners: set[UUID]) -> int:
    """Mark the runs of dead replicas `interrupted`; return how many."""
    error = describe_error(RunInterruptedError("The server died while the run was going."))
    result = session.execute(
        update(Run)
        .where(Run.status == RunStatus.RUNNING, Run.owner.in_(owners))
        .values(status=RunStatus.INTERRUPTED, errors=[error], finished_at=now())
    )
    idempotency.forget_abandoned(session, owners=owners)
    return cast("CursorResult[Any]", result).rowcount
