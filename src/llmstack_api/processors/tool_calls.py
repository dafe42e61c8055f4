"""Calls of tools as a model writes them: joined from fragments, bounded all together."""

from dataclasses import dataclass, field
from typing import Final

from llmstack_api.engine.ports import JsonObject
from llmstack_api.errors import ProviderFailedError

MAX_CALLS: Final = 256 * 1024
"""Most characters of the calls in one answer."""


@dataclass(slots=True)
class _Call:
    id: str = ""
    names: list[str] = field(default_factory=list[str])
    arguments: list[str] = field(default_factory=list[str])


class ToolCalls:
    """The calls of one answer."""

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, fragment: JsonObject) -> None:
        """Take a fragment, as a `ChatDelta` has it.

        Raises:
            ProviderFailedError: the model calls and calls.
        """
        call = self._calls.setdefault(fragment["index"], _Call())
        function: JsonObject = fragment.get("function") or {}
        name, arguments = function.get("name") or "", function.get("arguments") or ""
        call.id = fragment.get("id") or call.id
        call.names.append(name)
        call.arguments.append(arguments)
        self._size += len(name) + len(arguments)
        if self._size > MAX_CALLS:
            raise ProviderFailedError(f"The model wrote calls of more than {MAX_CALLS:,} characters.")

    def joined(self) -> list[JsonObject]:
        """Give the calls in order, in OpenAI's form."""
        return [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": "".join(call.names), "arguments": "".join(call.arguments)},
            }
            for _, call in sorted(self._calls.items())
        ]
