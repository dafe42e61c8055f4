"""The port of the job engine."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class JobKind(StrEnum):
    """What a wake-up is about."""

    ENTRY = "entry"
    DATASOURCE = "datasource"


@dataclass(frozen=True, slots=True)
class Job:
    """A wake-up: look at this row. `tenant` is the account, for fairness between accounts."""

    kind: JobKind
    id: UUID
    tenant: UUID
    version: int = 0
    """Content version of the row; a wake-up for another version is another wake-up."""
    later: bool = field(default=False, compare=False)
    """Whether it comes after what else the account has queued."""


Handler = Callable[[Job], Awaitable[None]]
"""Does the row's work, bounded in time. It records every failure in the row itself; what it raises is logged,
and the wake-up counts as done: `reconcile` makes another one for a row that still wants work."""


class JobQueue(Protocol):
    """Carries wake-ups to workers. A lost or doubled wake-up is harmless."""

    async def wake(self, jobs: Sequence[Job]) -> None:
        """Hand over wake-ups; one that is queued already is not queued twice.

        Raises:
            UnavailableError: the engine does not answer. The rows are found by `reconcile` later.
        """
        ...

    async def work(self, handler: Handler, *, concurrency: int) -> None:
        """Run the handler for each wake-up, at most `concurrency` at once, until cancelled.

        One account's many wake-ups do not hold up another account's few, and those that may come `later` do not hold
        up the others of their account. Survives the engine going away.
        When cancelled, running handlers are cancelled too and their wake-ups are not lost to other workers.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
