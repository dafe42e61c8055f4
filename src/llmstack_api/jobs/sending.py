"""Puts wake-ups into pgqueuer's table, in an order in which accounts take turns.

pgqueuer hands out jobs by priority, then by age. The priority of an account's job is one less than that of its
last queued job; where it has none queued, it is the best that is queued at all. So the first job of an account
that comes late goes ahead of the hundreds that another queued before, and no job waits for ever. An account's jobs
that may come later stand in a line of their own, so they do not hold up its other ones.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from pgqueuer.domain.types import QueueEntrypoint
from sqlalchemy.ext.asyncio import AsyncConnection

from llmstack_api.jobs.pgq import statements
from llmstack_api.jobs.queue import Job, JobKind
from llmstack_api.jobs.tables import TABLE

ENTRYPOINTS = tuple(QueueEntrypoint(f"accounts-{bucket}") for bucket in range(16))
"""What accounts are spread over; each has its own limit."""

_LOWEST = -(2**31)

_Row = tuple[str, int, str, bytes, str]

# of the engine, whose Queries would hide from SQLAlchemy what kind of failure it was
_INSERT = statements().build_enqueue_query("skip")

_STATE = f"""
SELECT
    coalesce((SELECT max(priority) FROM {TABLE} WHERE status = 'queued'), 0) AS best,
    ARRAY(
        SELECT dedupe_key FROM {TABLE}
        WHERE dedupe_key = ANY ($1::text[]) AND status IN ('queued', 'picked')
    ) AS known,
    ARRAY(
        SELECT (
            SELECT min(priority) FROM {TABLE} WHERE status = 'queued' AND headers->>'tenant' = asked.tenant
        )
        FROM unnest($2::text[]) WITH ORDINALITY AS asked (tenant, position)
        ORDER BY position
    ) AS lasts
"""  # noqa: S608 # constants


async def send(connection: AsyncConnection, jobs: Sequence[Job]) -> None:
    """Queue the jobs that are neither queued nor running; one statement at least, two at most."""
    by_key = {_dedupe_key(job): job for job in jobs}
    lines = list({_line(job) for job in jobs})
    state = (await connection.exec_driver_sql(_STATE, (list(by_key), lines))).one()
    for key in state.known:
        by_key.pop(key, None)
    if not by_key:
        return
    nexts = {
        line: state.best if last is None else min(state.best, last - 1)
        for line, last in zip(lines, state.lasts, strict=True)
    }
    rows: list[_Row] = []
    for key, job in by_key.items():
        line = _line(job)
        header = f'{{"tenant": "{line}"}}'
        rows.append((key, max(_LOWEST, nexts[line]), entrypoint(job.tenant), encode(job), header))
        nexts[line] -= 1
    rows.sort()  # or two that send the same jobs could lock each other out
    keys, priorities, names, payloads, headers = zip(*rows, strict=True)
    columns = (priorities, names, payloads, [timedelta(0)] * len(rows), keys, headers)
    await connection.exec_driver_sql(_INSERT, tuple(list(column) for column in columns))


def entrypoint(tenant: UUID) -> QueueEntrypoint:
    """Return the entrypoint of an account."""
    return ENTRYPOINTS[tenant.int % len(ENTRYPOINTS)]


def encode(job: Job) -> bytes:
    """Write a job as a payload."""
    return f"{job.kind} {job.id} {job.tenant} {job.version}".encode()


def decode(payload: bytes | None) -> Job:
    """Read a payload; raises ValueError for what another version of this code may have written."""
    kind, row, tenant, version = (payload or b"").decode().split(" ")
    return Job(kind=JobKind(kind), id=UUID(row), tenant=UUID(tenant), version=int(version))


def _line(job: Job) -> str:
    """Name the line in which a job waits."""
    return f"{job.tenant} later" if job.later else str(job.tenant)


def _dedupe_key(job: Job) -> str:
    return f"{job.kind} {job.id} {job.version}"
