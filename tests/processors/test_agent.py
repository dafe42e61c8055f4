"""The agent before models that tests make up: what it sends back of the calls that they write."""

from collections.abc import Sequence

import pytest

from llmstack_api.engine.ports import ChatDelta, ChatRequest, DeltaReceiver, JsonObject, ToolSpec, Usage
from llmstack_api.engine.processor import StepContext, StepMemory
from llmstack_api.processors.agent import Agent, AgentConfig, AgentInput
from tests.ports import make_ports
from tests.processors.steps import Emitted


class Calling:
    """A model that calls tools, once for each of the ids in a step, and then is done."""

    def __init__(self, *steps: Sequence[str]) -> None:
        self._steps = list(steps)
        self.sent: Sequence[JsonObject] = ()

    async def chat(self, request: ChatRequest, receive: DeltaReceiver) -> Usage:
        self.sent = list(request.messages)
        ids = self._steps.pop(0) if self._steps else ()
        for index, key in enumerate(ids):
            fragment = {"index": index, "id": key, "function": {"name": "note", "arguments": ""}}
            await receive([ChatDelta(tool_calls=[fragment])])
        return Usage()

    def default_model(self, provider: str) -> str:
        return provider


class Notes:
    """A tool without arguments."""

    specs: Sequence[ToolSpec] = (ToolSpec(name="note", description="", parameters={"type": "object"}),)

    async def call(self, name: str, arguments: JsonObject) -> str:
        assert (name, arguments) == ("note", {})
        return "noted"


@pytest.mark.parametrize(
    ("steps", "ids"),
    [
        pytest.param([("a", "b")], ["a", "b"], id="as they are"),
        pytest.param([("", ""), ("",)], ["call_1_1", "call_1_2", "call_2_1"], id="none"),
        pytest.param([("x", "x")], ["x", "call_1_2"], id="twice the same"),
    ],
)
async def test_each_result_goes_back_under_an_id_of_its_own(
    steps: list[Sequence[str]], ids: list[str]
) -> None:
    model, emitted = Calling(*steps), Emitted()
    context = StepContext(step_id="agent", ports=make_ports(chat=model), memory=StepMemory(), tools=Notes())

    await Agent(AgentInput(), AgentConfig(user_message="go"), context).run(emitted)

    asked = [call for message in model.sent for call in message.get("tool_calls", ())]
    assert [call["id"] for call in asked] == ids
    assert [call["function"]["arguments"] for call in asked] == ["{}"] * len(ids)
    told = [message for message in model.sent if message["role"] == "tool"]
    assert [(message["tool_call_id"], message["content"]) for message in told] == [
        (key, "noted") for key in ids
    ]
