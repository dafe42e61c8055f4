"""Executes one run of a plan: all steps at once, each waiting for the fields it names."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast

import anyio
import orjson
import structlog
from pydantic import ValidationError

from llmstack_api.engine.definition import message, place
from llmstack_api.engine.liquid import Budget
from llmstack_api.engine.output import StepOutput
from llmstack_api.engine.plan import Plan, StepPlan
from llmstack_api.engine.ports import Json, JsonObject, Ports, Usage
from llmstack_api.engine.processor import FieldPath, ProcessorModel, StepContext, StepMemory
from llmstack_api.engine.sink import Sink
from llmstack_api.engine.template import Scope, ValueTemplate
from llmstack_api.engine.toolbox import ToolRunner
from llmstack_api.errors import (
    Fault,
    LLMStackError,
    OutputTooLargeError,
    ProcessorCrashedError,
    ProcessorInputError,
    RunError,
    RunTimeoutError,
    StepTimeoutError,
)

log = structlog.get_logger(__name__)

History = Mapping[str, tuple[JsonObject, ...]]
"""Messages that each step remembers of the session, by step id."""

CLOSE_TIMEOUT = 5.0
"""Seconds a cancelled run may take to clean up."""


_LEVELS_AROUND = 16
"""Levels of records and answers that a value may come to stand in; a serialiser takes only so many in all."""

BURST = 64
"""Emissions after which a processor that never waits lets others run."""


class Ending(StrEnum):
    """How a run ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one run."""

    run_timeout: float
    step_timeout: float
    max_output_chars: int


@dataclass(slots=True, kw_only=True)
class StepRecord:
    """What is kept of one step's execution; times in milliseconds since the run began."""

    id: str
    processor: str
    status: str = "waiting"
    started_ms: float | None = None
    first_output_ms: float | None = None
    finished_ms: float | None = None
    usage: Usage = field(default_factory=Usage)
    error: JsonObject | None = None
    kept: JsonObject = field(default_factory=dict[str, Json])
    """Output fields that the record keeps, such as the tool calls of an agent."""

    def as_json(self) -> JsonObject:
        """Return the record as it is stored and shown."""
        return {
            "id": self.id,
            "processor": self.processor,
            "status": self.status,
            "started_ms": self.started_ms,
            "first_output_ms": self.first_output_ms,
            "finished_ms": self.finished_ms,
            "usage": self.usage.as_json(),
            "error": self.error,
            **self.kept,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that is kept of a run."""

    ending: Ending
    output: JsonObject
    usage: Usage
    steps: tuple[StepRecord, ...]
    errors: tuple[LLMStackError, ...]
    learned: Mapping[str, list[JsonObject]]
    """Messages to remember, by step id; only of steps that completed."""

    @classmethod
    def of_nothing(cls, ending: Ending) -> "Outcome":
        """Make the outcome of a run that ended before it began."""
        return cls(ending=ending, output={}, usage=Usage(), steps=(), errors=(), learned={})


@dataclass(slots=True, kw_only=True)
class RunRequest:
    """What one run works on."""

    plan: Plan
    inputs: JsonObject
    ports: Ports
    limits: Limits
    history: History = field(default_factory=dict[str, tuple[JsonObject, ...]])
    turn: Callable[[], Awaitable[History]] | None = None
    """Waits for the run's turn in its session and then loads the history; None where it has its turn."""


class ActiveRun:
    """A run that is going. Whoever starts it ends it by `finish` or `stop`, exactly once."""

    def __init__(self, request: RunRequest, *, streamed: bool) -> None:
        """Start at once; needs a running loop."""
        self._request = request
        self._began = time.perf_counter()
        self._history = request.history
        self._outputs = {step.id: StepOutput(step.processor.aliases) for step in request.plan.steps}
        self.inputs = request.inputs
        self.ports = request.ports
        self.names = _bare_names(request)
        self._scope = Scope(request.inputs, self._outputs, self.names)
        self.budget = Budget()
        self._room = request.limits.max_output_chars
        self._errors: list[LLMStackError] = []
        self._learned: dict[str, list[JsonObject]] = {}
        self._ending = Ending.CANCELLED
        self._cut = False
        self.records = {
            step.id: StepRecord(id=step.id, processor=step.processor_name) for step in request.plan.steps
        }
        self.sink = Sink(read=streamed)
        self._supervisor = asyncio.create_task(self._supervise(), name="run")

    async def finish(self) -> Outcome:
        """Wait until the run has ended; cancelling this wait leaves the run going."""
        await asyncio.wait({self._supervisor})
        return self._outcome()

    async def stop(self, ending: Ending, error: LLMStackError | None = None) -> Outcome:
        """Cut the run if it is still going; every call it made upstream is closed when this returns."""
        if not self._supervisor.done():
            self._ending = ending
            self._cut = True
            if error is not None:
                self._errors.append(error)
            self._supervisor.cancel()
            with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
                await asyncio.wait({self._supervisor})
            if not self._supervisor.done():
                log.error("run_does_not_stop")
        return self._outcome()

    def _outcome(self) -> Outcome:
        usage = Usage()
        for record in self.records.values():
            usage += record.usage
        return Outcome(
            ending=self._ending,
            output=self.sink.output(key for key, _ in self._request.plan.outputs),
            usage=usage,
            steps=tuple(self.records.values()),
            errors=tuple(self._errors),
            learned=self._learned if self._ending in (Ending.SUCCEEDED, Ending.FAILED) else {},
        )

    def elapsed_ms(self) -> float:
        """Return the milliseconds since the run began."""
        return round((time.perf_counter() - self._began) * 1000, 3)

    def spend(self, size: int) -> None:
        """Count output; raise where the run produces more than it may."""
        self._room -= size
        if self._room < 0:
            raise OutputTooLargeError(
                f"The run produced more than {self._request.limits.max_output_chars} characters."
            )

    # --- the supervisor and what it runs

    async def _supervise(self) -> None:
        """Run everything to its end; every failure becomes an error record."""
        seconds = self._request.limits.run_timeout
        try:
            async with asyncio.timeout(seconds):
                if self._request.turn is not None:
                    self._history = await self._request.turn()
                async with asyncio.TaskGroup() as group:
                    for step in self._request.plan.steps:
                        group.create_task(self._execute(step))
                    for key, template in self._request.plan.outputs:
                        group.create_task(self._produce(key, template))
            self._ending = Ending.SUCCEEDED
        except TimeoutError:
            self._fail(RunTimeoutError(f"The run took longer than {seconds:g} s."))
        except ExceptionGroup as group:
            for error in _leaves(group):
                self._fail(error)
        except Exception as error:  # noqa: BLE001 # becomes a record: a run never dies unseen
            self._fail(error)
        finally:
            for record in self.records.values():
                if record.finished_ms is None:
                    record.status = "cancelled" if record.started_ms is not None else "skipped"
            self.sink.close()

    def _fail(self, error: Exception) -> None:
        if not self._cut:  # what fails while a cut run cleans up does not change how it ended
            self._ending = Ending.FAILED
        if not isinstance(error, LLMStackError):
            log.error("run_crashed", error=type(error).__name__, exc_info=error)
            error = ProcessorCrashedError("The run failed inside the server; its log says more.")
        if all(known.slug != error.slug or str(known) != str(error) for known in self._errors):
            self._errors.append(error)

    async def _produce(self, key: str, template: ValueTemplate) -> None:
        await template.stream(_Key(key, self), self._scope, self.budget)
        if not self.sink.has(key):
            self.sink.text(key, "")

    async def _execute(self, step: StepPlan) -> None:
        """Run one step: wait for its inputs, then process; its failure is the run's unless tolerated."""
        record, output = self.records[step.id], self._outputs[step.id]
        memory = StepMemory(history=self.recalled(step.id))
        tools = None if step.tools is None else ToolRunner(self, step.tools)
        try:
            inputs = await step.input.render(self._scope, self.budget)
            config = await step.config.render(self._scope, self.budget)
            record.status, record.started_ms = "running", self.elapsed_ms()
            context = StepContext(step_id=step.id, ports=self.ports, memory=memory, tools=tools)
            await self._process(step, inputs, config, context, _Emitter(self, output, record))
        except RunError as error:
            error.processor = error.processor or step.id
            self._tolerate(step, error)
        except Exception as error:  # noqa: BLE001 # a fault of ours becomes a record
            self._tolerate(step, _crashed(step, error))
        else:
            record.status = "succeeded"
            record.finished_ms = self.elapsed_ms()
            if memory.learned:
                self.learn(step.id, memory.learned)
            output.end()
        finally:
            if tools is not None:
                record.usage += tools.usage
            if step.processor.recorded:
                document = output.document()
                record.kept = {key: document[key] for key in step.processor.recorded if key in document}

    async def _process(
        self, step: StepPlan, inputs: Json, config: Json, context: StepContext, emitter: "_Emitter"
    ) -> None:
        processor = step.processor(
            _validated(step, "input", inputs), _validated(step, "config", config), context
        )
        limits = self._request.limits
        # An agent takes many steps, each with its own bounds; the run's bound is that of the whole.
        seconds = step.timeout or (limits.step_timeout if context.tools is None else limits.run_timeout)
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                await processor.run(emitter)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise StepTimeoutError(f"The step took longer than {seconds:g} s.") from error

    # --- what the tools of an agent ask for (`toolbox.Host`)

    def recalled(self, step_id: str) -> tuple[JsonObject, ...]:
        """Return what a step remembers of the session."""
        return self._history.get(step_id, ())

    def learn(self, step_id: str, messages: list[JsonObject]) -> None:
        """Keep messages for the next turn."""
        self._learned.setdefault(step_id, []).extend(messages)

    async def process(
        self,
        step: StepPlan,
        inputs: Json,
        config: Json,
        context: StepContext,
        *,
        output: StepOutput,
        used: Callable[[Usage], None],
    ) -> None:
        """Run a processor to its end, and tell what it used, however it ends."""
        record = StepRecord(id=step.id, processor=step.processor_name)
        try:
            await self._process(step, inputs, config, context, _Emitter(self, output, record))
        except RunError:
            raise
        except Exception as error:  # a fault of ours becomes one that the model is told
            raise _crashed(step, error) from error
        finally:
            used(record.usage)

    def _tolerate(self, step: StepPlan, error: RunError) -> None:
        record = self.records[step.id]
        record.status, record.finished_ms = "failed", self.elapsed_ms()
        record.error = {"code": error.slug, "message": str(error)}
        if not step.tolerant or isinstance(error, OutputTooLargeError):  # that bound is the run's
            raise error
        self._outputs[step.id].end(failed=True)


class _Key:
    """One output key, as the receiver of its template's chunks."""

    __slots__ = ("_key", "_run")

    def __init__(self, key: str, run: ActiveRun) -> None:
        self._key = key
        self._run = run

    def text(self, chunk: str) -> None:
        self._run.spend(len(chunk))
        self._run.sink.text(self._key, chunk)

    def items(self, elements: list[Json]) -> None:
        self._run.spend(_size(elements))
        self._run.sink.items(self._key, elements)

    def value(self, value: Json) -> None:
        self._run.spend(_size(value))
        self._run.sink.value(self._key, value)


def _size(value: Json) -> int:
    """Return about how many characters a value is; there must be room around it for what it is stored in."""
    if isinstance(value, str):
        return len(value)
    for _ in range(_LEVELS_AROUND):
        value = [value]
    try:
        return len(orjson.dumps(value)) - 2 * _LEVELS_AROUND
    except orjson.JSONEncodeError:
        raise OutputTooLargeError("A value of the output is nested too deep.") from None


class _Emitter:
    """Takes what a processor emits to the step's output, and holds the processor back while the sink is full."""

    __slots__ = ("_burst", "_output", "_record", "_run")

    def __init__(self, run: ActiveRun, output: StepOutput, record: StepRecord) -> None:
        self._run = run
        self._output = output
        self._record = record
        self._burst = 0

    async def chunk(self, path: str | FieldPath, text: str) -> None:
        """See `Emit`."""
        self._started()
        self._run.spend(len(text))
        self._output.append_text((path,) if isinstance(path, str) else path, text)
        await self._pause()

    async def item(self, path: str | FieldPath, element: Json) -> None:
        """See `Emit`."""
        self._started()
        self._run.spend(_size(element))
        self._output.append_item((path,) if isinstance(path, str) else path, element)
        await self._pause()

    async def value(self, path: str | FieldPath, value: Json) -> None:
        """See `Emit`."""
        self._started()
        self._run.spend(_size(value))
        self._output.set((path,) if isinstance(path, str) else path, value)
        await self._pause()

    def usage(self, usage: Usage) -> None:
        """See `Emit`."""
        self._record.usage += usage

    def _started(self) -> None:
        if self._record.first_output_ms is None:
            self._record.first_output_ms = self._run.elapsed_ms()

    async def _pause(self) -> None:
        """Let others run: a processor that never waits must not hold the loop, nor outrun a slow reader."""
        self._burst += 1
        if self._run.sink.full:
            await self._run.sink.room()
        elif self._burst >= BURST:
            self._burst = 0
            await asyncio.sleep(0)


def _bare_names(request: RunRequest) -> Mapping[str, Json]:
    """Return the input fields of an agent, which its templates may name bare; one that is not set is empty."""
    if not request.plan.is_agent:
        return {}
    return {**dict.fromkeys((item.name for item in request.plan.input_fields), ""), **request.inputs}


def _crashed(step: StepPlan, error: Exception) -> ProcessorCrashedError:
    log.error("processor_crashed", processor=step.processor_name, error=type(error).__name__, exc_info=error)
    return ProcessorCrashedError("The processor failed; the server's log says more.", processor=step.id)


def _validated(step: StepPlan, part: str, value: Json) -> ProcessorModel:
    model = step.processor.Input if part == "input" else step.processor.Config
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = step.loc + place((part, *first["loc"]))
        fault = Fault(where, message(first))
        raise ProcessorInputError(f"{fault.loc}: {fault.msg}", faults=(fault,)) from None


def _leaves(group: ExceptionGroup[Exception]) -> list[Exception]:
    found: list[Exception] = []
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            found.extend(_leaves(cast("ExceptionGroup[Exception]", error)))
        else:
            found.append(error)
    return found
