"""The tools of an agent, whoever has them, and the calls that a model makes of them."""

import asyncio
import re
import time
from collections.abc import Sequence
from typing import Final

from llmstack_api.engine.jsontext import read_json
from llmstack_api.engine.ports import Json, JsonObject, Toolbox, ToolSpec
from llmstack_api.engine.toolbox import cut
from llmstack_api.errors import LLMStackError, OutputTooLargeError, ProcessorInputError, ToolServerError

CALLS_AT_ONCE: Final = 16
"""Tool calls of one step that are going at a time; the others wait."""

DEFAULT_TIMEOUT: Final = 60.0
"""Seconds that a tool of an MCP server may take where nothing else is said."""

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]")
_NAME_LENGTH: Final = 64


class Tools:
    """All tools of an agent, whoever has them."""

    def __init__(self, timeout: float | None) -> None:
        self.specs: list[ToolSpec] = []
        self._timeout = timeout
        self._places: dict[str, tuple[Toolbox, str, bool]] = {}
        self._turns = asyncio.Semaphore(CALLS_AT_ONCE)

    def add(self, toolbox: Toolbox, *, prefix: str, bounded: bool) -> None:
        """Add tools, by names that none has yet; `bounded`: each of them ends in time by itself."""
        for spec in toolbox.specs:
            name = self._free_name(prefix + spec.name)
            self._places[name] = (toolbox, spec.name, bounded)
            self.specs.append(ToolSpec(name=name, description=spec.description, parameters=spec.parameters))

    def _free_name(self, wanted: str) -> str:
        name = _NOT_IN_NAMES.sub("_", wanted)[:_NAME_LENGTH]
        number = 1
        while name in self._places:
            number += 1
            name = f"{_NOT_IN_NAMES.sub('_', wanted)[: _NAME_LENGTH - 4]}_{number}"
        return name

    async def call_all(self, calls: Sequence[JsonObject], began: float) -> list[JsonObject]:
        """Do the calls side by side; return their records in order. What fails is told, not raised.

        Raises:
            OutputTooLargeError: the run's own bound.
        """
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._call(call, began)) for call in calls]
        except ExceptionGroup as failures:
            # One task's failure cancels the others, so that this is the first of them.
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _call(self, call: JsonObject, began: float) -> JsonObject:
        async with self._turns:
            started = _elapsed(began)
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            result = error = None
            try:
                arguments = _arguments(arguments.strip())
                result = await self._told(name, arguments)
            except OutputTooLargeError:
                raise
            except LLMStackError as failure:
                error = cut(f"Error: {failure}")
        return {
            "id": call["id"],
            "name": name,
            "arguments": arguments,
            "result": result,
            "error": error,
            "started_ms": started,
            "finished_ms": _elapsed(began),
        }

    async def _told(self, name: str, arguments: JsonObject) -> str:
        if name not in self._places:
            known = ", ".join(self._places) or "none"
            raise ProcessorInputError(f"There is no tool {name[:_NAME_LENGTH]!r}; there are: {known}.")
        toolbox, own_name, bounded = self._places[name]
        if bounded:
            return cut(await toolbox.call(own_name, arguments))
        deadline = asyncio.timeout(self._timeout or DEFAULT_TIMEOUT)
        try:
            async with deadline:
                return cut(await toolbox.call(own_name, arguments))
        except TimeoutError:
            if not deadline.expired():
                raise
            raise ToolServerError(f"The tool {name!r} took too long.") from None


def _arguments(text: str) -> JsonObject:
    try:
        arguments: Json = read_json(text) if text else {}
    except ValueError as error:
        raise ProcessorInputError(f"The arguments are no JSON that can be read: {error}.") from None
    if not isinstance(arguments, dict):
        raise ProcessorInputError("The arguments are no JSON object.")
    return arguments  # pyright: ignore[reportUnknownVariableType] # JSON


def _elapsed(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 3)
