"""`promptly/map` and `promptly/reduce`: another app, or a template, over the elements of a list."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, cast

import orjson
from pydantic import Field

from llmstack_api.engine.liquid import Budget
from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.engine.processor import Emit, Processor, ProcessorModel
from llmstack_api.errors import ProcessorInputError, RunError
from llmstack_api.processors import other_apps
from llmstack_api.processors.other_apps import OtherAppConfig, result_of
from llmstack_api.processors.values import FilledText, JsonList, as_text, emit_text, fill

MAX_ELEMENTS: Final = 1000
"""Elements of a list."""

AT_ONCE: Final = 8
"""Elements that are worked on at a time."""

ACCUMULATED: Final = "_reduce_acc"
ELEMENT: Final = "_reduce_item"


class ListInput(ProcessorModel):
    """The list."""

    input_list: JsonList = Field(default_factory=list[Any])
    """The elements, or their JSON."""
    input_list_json: JsonList = Field(default_factory=list[Any])
    """The same, where `input_list` is empty."""

    def elements(self) -> list[Any]:
        """Give the elements."""
        elements = self.input_list or self.input_list_json
        if len(elements) > MAX_ELEMENTS:
            raise ProcessorInputError(
                f"input.input_list: {len(elements):,} elements; at most {MAX_ELEMENTS:,} are taken."
            )
        return elements


# --- map -------------------------------------------------------------------------------------------------


class MapConfig(OtherAppConfig):
    """Which app is run for each element."""

    input_name: str = Field(default="input", min_length=1)
    """Input field of the app that gets an element which is no object; an object has the fields by name."""
    on_error: Literal["fail", "continue"] = "fail"
    """`continue`: an element whose run fails gives null, and `errors` says why."""


class MapError(ProcessorModel):
    """An element whose run failed."""

    index: int
    """Its place, from 0 on."""
    code: str
    """Kind of the failure."""
    message: str
    """What went wrong."""


class MapOutput(ProcessorModel):
    """What the app made of the elements."""

    outputs: list[Any] = Field(default_factory=list[Any])
    """For each element the value of the app's one output key, or an object of them all; in order, streamed as soon as
    its turn is there."""
    outputs_text: str = ""
    """The same as JSON text; streams."""
    errors: list[MapError] = Field(default_factory=list[MapError])
    """Elements whose run failed."""


@dataclass(frozen=True, slots=True)
class _Made:
    value: Json = None
    error: RunError | None = None


class Map(Processor[ListInput, MapConfig]):
    """Run another app of the account for each element of a list, some at a time."""

    provider_slug: ClassVar[str] = "promptly"
    slug: ClassVar[str] = "map"
    Output: ClassVar[type[ProcessorModel]] = MapOutput
    references: ClassVar[Mapping[str, Literal["datasource", "app"]]] = other_apps.REFERENCES

    @classmethod
    def adapt(cls, config: JsonObject) -> JsonObject:
        """See `Processor.adapt`."""
        return other_apps.adapt(config)

    async def run(self, emit: Emit) -> None:
        """Emit what the app makes of each element, in order."""
        elements = self.input.elements()
        self.config.app()
        if not elements:
            await emit.value("outputs", [])
        try:
            await self._emit_all(elements, emit)
        except ExceptionGroup as failures:
            # One task's failure cancels the others, so that this is the first of them.
            raise failures.exceptions[0] from None

    async def _emit_all(self, elements: list[Any], emit: Emit) -> None:
        turns = asyncio.Semaphore(AT_ONCE)
        failed = False
        await emit.chunk("outputs_text", "[")
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._apply(element, index, turns=turns, emit=emit))
                for index, element in enumerate(elements)
            ]
            for index, task in enumerate(tasks):
                made = await task
                if made.error is not None:
                    failed = True
                    failure = {"index": index, "code": made.error.slug, "message": str(made.error)}
                    await emit.item("errors", failure)
                await emit.item("outputs", made.value)
                written = orjson.dumps(made.value).decode()
                await emit.chunk("outputs_text", f", {written}" if index else written)
        await emit.chunk("outputs_text", "]")
        if not failed:
            await emit.value("errors", [])

    async def _apply(self, element: Json, index: int, *, turns: asyncio.Semaphore, emit: Emit) -> _Made:
        inputs = (
            cast("JsonObject", element) if isinstance(element, dict) else {self.config.input_name: element}
        )
        async with turns:
            try:
                output = await self.context.ports.apps.call(
                    self.config.app(), {**self.config.input, **inputs}, used=emit.usage
                )
            except RunError as error:
                if self.config.on_error == "continue":
                    return _Made(error=error)
                error.args = (f"input_list[{index}]: {error}",)
                raise
        return _Made(result_of(output))


# --- reduce ----------------------------------------------------------------------------------------------


class ReduceConfig(OtherAppConfig):
    """What makes one of two: a template, or an app.

    In both, `{{_reduce_acc}}` is what has come of the elements before, at first the first of them, and
    `{{_reduce_item}}` the next element.
    """

    reducer_liquid_template: FilledText = ""
    """Liquid template with `_reduce_acc` and `_reduce_item`; in place of an app."""


class ReduceOutput(ProcessorModel):
    """What came of the list."""

    output: str = ""
    """The last result, as text; empty where the list is."""


class Reduce(Processor[ListInput, ReduceConfig]):
    """Make one result of a list: a template, or another app of the account, joins element after element."""

    provider_slug: ClassVar[str] = "promptly"
    slug: ClassVar[str] = "reduce"
    Output: ClassVar[type[ProcessorModel]] = ReduceOutput
    references: ClassVar[Mapping[str, Literal["datasource", "app"]]] = other_apps.REFERENCES
    own_names: ClassVar[frozenset[str]] = frozenset({ACCUMULATED, ELEMENT})

    @classmethod
    def adapt(cls, config: JsonObject) -> JsonObject:
        """See `Processor.adapt`."""
        return other_apps.adapt(config)

    async def run(self, emit: Emit) -> None:
        """Emit the last result."""
        elements = self.input.elements()
        if not self.config.reducer_liquid_template:
            self.config.app()
        accumulated: Json = elements[0] if elements else ""
        budget = Budget()
        for element in elements[1:]:
            names = {ACCUMULATED: accumulated, ELEMENT: element}
            accumulated = await self._join(names, budget, emit)
        await emit_text(emit, "output", as_text(accumulated))

    async def _join(self, names: JsonObject, budget: Budget, emit: Emit) -> Json:
        template = self.config.reducer_liquid_template
        if template:
            return await fill(template, names, budget)
        inputs = await fill(self.config.input, names, budget)
        return result_of(await self.context.ports.apps.call(self.config.app(), inputs, used=emit.usage))
