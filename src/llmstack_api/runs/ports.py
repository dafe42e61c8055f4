"""The ports of one run: every adapter, speaking for the account that the run belongs to."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from anyio import to_thread

from llmstack_api.apps.plans import Plans
from llmstack_api.datasources.retriever import DatasourceRetriever
from llmstack_api.engine.inputs import check_inputs
from llmstack_api.engine.plan import Plan
from llmstack_api.engine.ports import ChunkReceiver, JsonObject, Ports, Usage
from llmstack_api.engine.runner import ActiveRun, Ending, Limits, RunRequest
from llmstack_api.errors import (
    AppNotFoundError,
    InvalidDefinitionError,
    InvalidInputError,
    LLMStackError,
    ProcessorInputError,
    RunError,
    RunInterruptedError,
)
from llmstack_api.llm.catalog import AccountProviders
from llmstack_api.resources import Resources

MAX_DEPTH: Final = 5
"""Apps that may run one inside the other, the outermost not counted."""

MAX_CALLS: Final = 2_000
"""Runs of other apps that one run may make, at whatever depth."""


@dataclass(slots=True)
class _Calls:
    """Runs of other apps that one run has made."""

    made: int = 0


def limits_of(resources: Resources) -> Limits:
    """Return the bounds of a run."""
    settings = resources.settings
    return Limits(
        run_timeout=settings.run_timeout,
        step_timeout=settings.step_timeout,
        max_output_chars=settings.max_output_chars,
    )


def open_ports(resources: Resources, plans: Plans, *, account_id: UUID, providers: AccountProviders) -> Ports:
    """Make the ports of a run; nothing is opened that would have to be closed."""
    return _Account(resources, plans, account_id, providers).ports(_Calls(), depth=0)


@dataclass(frozen=True, slots=True)
class _Account:
    """Whom the ports of a run speak for."""

    resources: Resources
    plans: Plans
    id: UUID
    providers: AccountProviders

    def ports(self, calls: _Calls, *, depth: int) -> Ports:
        resources = self.resources
        models = resources.models.of(self.providers)
        return Ports(
            chat=models,
            models=models,
            retriever=DatasourceRetriever(resources, self.id),
            texts=resources.texts,
            http=resources.http,
            web=resources.web,
            apps=_Apps(self, calls, depth),
            tools=resources.tool_servers,
        )


@dataclass(frozen=True, slots=True)
class _Apps:
    """Runs other apps of the account inside a run (the port `AppCaller`)."""

    account: _Account
    calls: _Calls
    depth: int

    async def call(
        self,
        app: str,
        inputs: JsonObject,
        receive: ChunkReceiver | None = None,
        *,
        used: Callable[[Usage], None],
        announce: Callable[[Sequence[str]], None] | None = None,
    ) -> JsonObject:
        """See `engine.ports.AppCaller`."""
        plan = await self._plan(app)
        if announce is not None:
            announce([key for key, _ in plan.outputs])
        try:
            values = await to_thread.run_sync(
                check_inputs, plan.input_fields, inputs
            )  # files may be among them
        except InvalidInputError as error:
            raise ProcessorInputError(
                f"The app {plan.name!r} refuses it: {error}", faults=error.faults
            ) from None
        request = RunRequest(
            plan=plan,
            inputs=values,
            ports=self.account.ports(self.calls, depth=self.depth + 1),
            limits=limits_of(self.account.resources),
        )
        async with _running(request, streamed=receive is not None, used=used) as run:
            if receive is not None:
                while (chunks := await run.sink.take()) is not None:
                    if chunks:
                        await receive(chunks)
            outcome = await run.finish()
        if outcome.ending != Ending.SUCCEEDED:
            raise _told(outcome.errors[0] if outcome.errors else RunInterruptedError(), plan)
        return outcome.output

    async def _plan(self, app: str) -> Plan:
        if self.depth >= MAX_DEPTH:
            raise ProcessorInputError(f"Apps run inside apps more than {MAX_DEPTH} deep.")
        self.calls.made += 1
        if self.calls.made > MAX_CALLS:
            raise ProcessorInputError(f"The run ran more than {MAX_CALLS:,} other apps.")
        account = self.account
        try:
            app_id = UUID(app.strip())
        except ValueError:
            raise ProcessorInputError(f"{app[:64]!r} is no app's id.") from None
        try:
            _, plan = await account.resources.db.read(
                account.plans.find, account_id=account.id, app_id=app_id
            )
        except (AppNotFoundError, InvalidDefinitionError) as error:
            raise ProcessorInputError(f"The app {app_id}: {error}") from None
        return plan


@asynccontextmanager
async def _running(
    request: RunRequest, *, streamed: bool, used: Callable[[Usage], None]
) -> AsyncGenerator[ActiveRun]:
    run = ActiveRun(request, streamed=streamed)
    try:
        yield run
    finally:
        used((await run.stop(Ending.CANCELLED)).usage)


def _told(error: LLMStackError, plan: Plan) -> RunError:
    """Say what ended the inner run, as the failure of the step that ran it."""
    kind = type(error) if isinstance(error, RunError) else RunError
    return kind(f"The app {plan.name!r} failed: {error}", retry_after=error.retry_after)
