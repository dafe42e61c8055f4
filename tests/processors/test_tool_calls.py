"""Calls of tools, joined from whatever fragments a model makes of them."""

import pytest

from llmstack_api.errors import ProviderFailedError
from llmstack_api.processors.tool_calls import MAX_CALLS, ToolCalls


def test_fragments_are_joined_by_their_place() -> None:
    calls = ToolCalls()
    assert not calls
    calls.add({"index": 1, "id": "b", "function": {"name": "g"}})
    calls.add({"index": 0, "function": {"name": "f", "arguments": '{"x"'}})
    calls.add({"index": 0, "id": "a", "function": {"name": "", "arguments": ": 1}"}})
    assert calls
    assert calls.joined() == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
    ]


def test_the_calls_of_an_answer_are_bounded_all_together() -> None:
    calls = ToolCalls()
    half = {"name": "f", "arguments": "x" * (MAX_CALLS // 2)}
    calls.add({"index": 0, "function": half})
    with pytest.raises(ProviderFailedError, match="calls of more than 262,144 characters"):
        calls.add({"index": 1, "function": half})
