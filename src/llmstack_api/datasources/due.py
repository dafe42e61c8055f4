"""Rows that want work and that nobody was woken for: those of each account, not the oldest of all."""

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, select
from sqlalchemy.orm import Session

from llmstack_api.datasources.work import can_be_done, is_free
from llmstack_api.jobs.queue import Job, JobKind
from llmstack_api.models import Datasource, Entry, Work

DUE_AT_ONCE: Final = 2000
"""Rows of each kind of work that one look finds."""
ACCOUNTS_AT_ONCE: Final = 50
"""Accounts that one look asks for their entries; where there are more, chance says which."""


def list_due(session: Session, *, before: datetime, without_models: Sequence[str] = ()) -> list[Job]:
    """List rows that want work, that nobody holds and that were due before a time.

    However many entries of one account wait, the list has others of each account that waits too.
    """
    jobs = _due_datasources(session, before)
    for work in (Work.PURGE, Work.INGEST, Work.REREAD):
        jobs += _due_entries(session, work, before=before, without_models=without_models)
    return jobs


def _due_datasources(session: Session, before: datetime) -> list[Job]:
    rows = session.execute(
        select(Datasource.id, Datasource.account_id)
        .where(Datasource.work.is_not(None), Datasource.due_at <= before, is_free(Datasource))
        .order_by(Datasource.due_at)
        .limit(DUE_AT_ONCE)
    )
    return [Job(JobKind.DATASOURCE, id_, account) for id_, account in rows]


def _due_entries(
    session: Session, work: Work, *, before: datetime, without_models: Sequence[str]
) -> list[Job]:
    accounts = list(session.scalars(_accounts(work)))
    if len(accounts) > ACCOUNTS_AT_ONCE:
        accounts = random.sample(accounts, ACCOUNTS_AT_ONCE)
    query = select(Entry.id, Entry.version).where(Entry.work == work, Entry.due_at <= before, is_free(Entry))
    if without_models:
        query = query.join(Datasource, Datasource.id == Entry.datasource_id).where(
            can_be_done(without_models)
        )
    jobs: dict[UUID, list[Job]] = {}
    left = DUE_AT_ONCE
    while accounts:  # those who fill their share have what others leave of theirs
        share = left // len(accounts)
        for account in accounts:
            rows = session.execute(
                query.where(Entry.account_id == account).order_by(Entry.due_at, Entry.id).limit(share)
            )
            jobs[account] = [
                Job(JobKind.ENTRY, id_, account, version, later=work == Work.REREAD) for id_, version in rows
            ]
        full = [account for account in accounts if len(jobs[account]) == share]
        left -= sum(len(jobs[account]) for account in accounts if len(jobs[account]) < share)
        accounts = full if len(full) < len(accounts) else []
    return [job for of_account in jobs.values() for job in of_account]


def _accounts(work: Work) -> Select[UUID]:
    """Select the accounts whose entries want this, by one lookup in the index each, however many those are."""
    turns = select(_least(work).label("account_id")).cte("turns", recursive=True)
    following = _least(work, Entry.account_id > turns.c.account_id).correlate(turns)
    turns = turns.union_all(select(following.label("account_id")).where(turns.c.account_id.is_not(None)))
    return select(turns.c.account_id).where(turns.c.account_id.is_not(None))


def _least(work: Work, *conditions: ColumnElement[bool]) -> ScalarSelect[UUID]:
    query = select(Entry.account_id).where(Entry.work == work, *conditions)
    return query.order_by(Entry.account_id).limit(1).scalar_subquery()
