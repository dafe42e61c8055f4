"""Runs that are going in this process: started, stored when they end, stopped when their client leaves."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self, cast
from uuid import UUID

import anyio
import structlog

from llmstack_api.apps.plans import Plans
from llmstack_api.engine.ports import JsonObject
from llmstack_api.engine.runner import ActiveRun, Ending, History, Outcome, RunRequest
from llmstack_api.errors import LLMStackError, RunInterruptedError, StorageFullError, UnavailableError
from llmstack_api.models import Run
from llmstack_api.providers.service import decrypted
from llmstack_api.resources import Resources
from llmstack_api.runs import service, sessions
from llmstack_api.runs.ports import limits_of, open_ports
from llmstack_api.runs.service import Prepared, RunWanted
from llmstack_api.runs.sessions import Ticket, Turns
from llmstack_api.web import idempotency

log = structlog.get_logger(__name__)

STORE_TIMEOUT = 5.0
"""Seconds within which an outcome is stored before it is put aside and tried again later."""

UPKEEP_INTERVAL = 5.0
FORGET_INTERVAL = 3600.0


class LiveRun:
    """A run as its client sees it: head, chunks, tail. Leaving its context early cancels it."""

    def __init__(self, executor: "Executor", prepared: Prepared, ticket: Ticket | None) -> None:
        self._executor = executor
        self.prepared = prepared
        self._ticket = ticket
        self._outcome: Outcome | None = None
        self._active: ActiveRun | None = None

    async def __aenter__(self) -> Self:
        """Start the run."""
        executor, prepared = self._executor, self.prepared
        self._active = ActiveRun(
            RunRequest(
                plan=prepared.plan,
                inputs=prepared.inputs,
                ports=open_ports(
                    executor.resources,
                    executor.plans,
                    account_id=prepared.account_id,
                    providers=decrypted(executor.resources.cipher, prepared.providers),
                ),
                limits=limits_of(executor.resources),
                history=prepared.history or {},
                turn=self._turn if prepared.history is None else None,
            ),
            streamed=prepared.streamed,
        )
        executor.began(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel the run unless it was seen to its end."""
        with anyio.CancelScope(shield=True):
            if self._outcome is None:
                await self._settle(await self._running.stop(Ending.CANCELLED))
        self._executor.ended(self)

    @property
    def _running(self) -> ActiveRun:
        if self._active is None:
            raise RuntimeError("the run was not started")
        return self._active

    @property
    def head(self) -> JsonObject:
        """What names session and run."""
        return {"session": {"id": self.prepared.session_name}, "run": {"id": str(self.prepared.run_id)}}

    async def take(self) -> JsonObject | None:
        """See `Sink.take`."""
        return await self._running.sink.take()

    def poke(self) -> None:
        """See `Sink.poke`."""
        self._running.sink.poke()

    async def finish(self) -> Outcome:
        """Wait for the end and store it; `done` may be said only after this."""
        outcome = await self._running.finish()
        if self._outcome is None:
            with anyio.CancelScope(shield=True):
                await self._settle(outcome)
        return self._outcome or outcome

    async def tail(self) -> tuple[list[JsonObject], JsonObject]:
        """Return what ends a stream, once the run is stored."""
        outcome = await self.finish()
        return [service.describe_error(error) for error in outcome.errors], {
            "status": outcome.ending.value,
            "usage": outcome.usage.as_json(),
        }

    async def interrupt(self) -> None:
        """Cut the run because the server stops; its client is told."""
        await self._running.stop(Ending.INTERRUPTED, RunInterruptedError("The server is shutting down."))

    async def _settle(self, outcome: Outcome) -> None:
        self._outcome = outcome
        try:
            self._outcome = await self._executor.store(self.prepared, outcome)
        finally:
            if self._ticket is not None:
                self._ticket.leave()

    async def _turn(self) -> History:
        if self._ticket is not None:
            await self._ticket.wait()
        return await self._executor.resources.db.read(
            sessions.load_history, session_id=self.prepared.session_id
        )


class Executor:
    """All runs of this process."""

    def __init__(self, resources: Resources, plans: Plans) -> None:
        self.resources = resources
        self.plans = plans
        self.live: set[LiveRun] = set()
        self._all_ended = asyncio.Event()
        self._turns = Turns()
        self._unstored: list[tuple[Prepared, Outcome]] = []

    async def prepare(self, wanted: RunWanted) -> LiveRun | Run:
        """Insert the run and return it, ready to be entered; or the finished run that this one repeats.

        Raises:
            LLMStackError: everything that can be refused is refused here.
        """
        ticket = None
        if not wanted.new_session:
            ticket = self._turns.enter((wanted.account_id, wanted.app_id, wanted.session_name))
        writing = asyncio.ensure_future(
            self.resources.db.write(
                service.prepare_run, wanted, plans=self.plans, with_history=ticket is None or ticket.first
            )
        )
        run: LiveRun | None = None
        try:
            prepared = await asyncio.shield(writing)
            if isinstance(prepared, Prepared):
                run = LiveRun(self, prepared, ticket)
        except asyncio.CancelledError:
            writing.add_done_callback(self._abandon)
            raise
        finally:
            if ticket is not None and run is None:
                ticket.leave()
        return run or cast("Run", prepared)

    def _abandon(self, writing: asyncio.Future[Prepared | Run]) -> None:
        """Have a run recorded as cancelled whose row was made after its caller had gone."""
        if (
            not writing.cancelled()
            and writing.exception() is None
            and isinstance(prepared := writing.result(), Prepared)
        ):
            self._unstored.append((prepared, Outcome.of_nothing(Ending.CANCELLED)))

    def began(self, run: LiveRun) -> None:
        """Count a run in."""
        self.live.add(run)
        self._all_ended.clear()

    def ended(self, run: LiveRun) -> None:
        """Count a run out."""
        self.live.discard(run)
        if not self.live:
            self._all_ended.set()

    async def store(self, prepared: Prepared, outcome: Outcome) -> Outcome:
        """Store an outcome; where the database is away, put it aside for `upkeep` and return the failure."""
        try:
            async with asyncio.timeout(STORE_TIMEOUT):
                await self.resources.db.write(service.store_outcome, prepared, outcome)
        except (UnavailableError, StorageFullError, TimeoutError) as error:
            log.warning("run_not_stored", run=str(prepared.run_id), error=type(error).__name__)
            self._unstored.append((prepared, outcome))
            told = (
                error
                if isinstance(error, LLMStackError)
                else UnavailableError("The run could not be stored yet.")
            )
            return _failed(outcome, told)
        return outcome

    async def drain(self, grace: float) -> None:
        """Let what runs end within `grace` seconds, then cut it."""
        if self.live:
            with anyio.move_on_after(grace):
                await self._all_ended.wait()
        async with asyncio.TaskGroup() as group:
            for run in list(self.live):
                group.create_task(run.interrupt())

    @asynccontextmanager
    async def upkeep(self) -> AsyncGenerator[None]:
        """Keep the records true while the server lives: dead replicas' runs, unstored outcomes, old keys."""
        await self._interrupt_dead()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_every(UPKEEP_INTERVAL, self._interrupt_dead)),
                group.create_task(_every(UPKEEP_INTERVAL, self._store_again)),
                group.create_task(_every(FORGET_INTERVAL, self._forget_keys)),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
        try:
            async with asyncio.timeout(STORE_TIMEOUT):
                await self._store_again()
        except (LLMStackError, TimeoutError) as error:
            log.exception("runs_not_stored", count=len(self._unstored), error=type(error).__name__)

    async def _interrupt_dead(self) -> None:
        db, replica = self.resources.db, self.resources.replica
        owners: set[UUID] = await db.read(service.owners_of_running) - {replica.id}
        dead = await replica.dead(owners) if owners else set[UUID]()
        if dead:
            count = await db.write(service.interrupt_runs, owners=dead)
            log.warning("runs_interrupted", count=count)

    async def _store_again(self) -> None:
        while self._unstored:
            prepared, outcome = self._unstored[0]
            await self.resources.db.write(service.store_outcome, prepared, outcome)
            self._unstored.pop(0)

    async def _forget_keys(self) -> None:
        await self.resources.db.write(idempotency.forget_expired)


async def _every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except LLMStackError as error:
            log.warning("upkeep_failed", error=type(error).__name__)
        except Exception as error:  # upkeep goes on: serving does not depend on it
            log.exception("upkeep_crashed", error=type(error).__name__)


def _failed(outcome: Outcome, error: LLMStackError) -> Outcome:
    return Outcome(
        ending=Ending.FAILED,
        output=outcome.output,
        usage=outcome.usage,
        steps=outcome.steps,
        errors=(*outcome.errors, error),
        learned={},
    )
