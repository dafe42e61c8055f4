"""Agents over HTTP: tools side by side, steps, memory, and the bounds of all that."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from llmstack_api.settings import Settings
from tests.fake_mcp.real import mcp_server
from tests.fake_model import FakeModel
from tests.runs.agents import ECHO_TOOL, agent, ask, follow, hanging, serving, steps_of
from tests.runs.streams import last_run, make_app

ALL = {"content": "{{agent.content}}", "steps": "{{agent.steps}}"}


@pytest.fixture
async def client(sqlite_settings: Settings, fake_model: FakeModel) -> AsyncGenerator[httpx.AsyncClient]:
    async with serving(sqlite_settings, fake_model) as opened:
        yield opened


def calls(*each: tuple[str, Any]) -> str:
    return "tools:" + ";".join(f"{name}{json.dumps(arguments)}" for name, arguments in each)


async def test_a_good_a_hanging_and_an_unknown_tool_are_called_side_by_side_and_all_are_answered(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    model = calls(("echo", {"input_str": "hello"}), ("hang", {"system_message": "x"}), ("nobody", {}))
    app = await make_app(client, agent(model, ECHO_TOOL, hanging(0.5), output=ALL))

    answer = await ask(client, app)

    first, second = answer["output"]["steps"]
    good, slow, unknown = first["tool_calls"]
    assert (good["name"], good["arguments"], good["result"]) == (
        "echo",
        {"input_str": "hello"},
        "heard: hello",
    )
    assert slow["error"] == "Error: The step took longer than 0.5 s."
    assert unknown["error"] == "Error: There is no tool 'nobody'; there are: echo, hang."
    assert max(call["started_ms"] for call in (good, slow, unknown)) < slow["finished_ms"]
    assert max(good["finished_ms"], unknown["finished_ms"]) < slow["finished_ms"]
    assert second["tool_calls"] == []
    for told in ("heard: hello", "longer than 0.5 s", "no tool 'nobody'"):
        assert told in answer["output"]["content"]
    assert await steps_of(client, answer["run"]["id"]) == [first, second]
    await fake_model.until(lambda: fake_model.open_calls == 0)


async def test_the_model_sees_the_tools_by_id_description_and_the_input_that_is_left_open(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, agent("echo", ECHO_TOOL))
    await ask(client, app)

    (tool,) = fake_model.last.body["tools"]
    assert tool["type"] == "function"
    assert tool["function"]["name"] == "echo"
    assert tool["function"]["description"] == "Echo: Repeats a text"
    assert list(tool["function"]["parameters"]["properties"]) == ["input_str"]  # `stream` is fixed
    assert fake_model.last.body["messages"][-1] == {"role": "user", "content": "go"}


async def test_what_an_agent_streams_stitches_to_what_it_answers(client: httpx.AsyncClient) -> None:
    model = calls(("echo", {"input_str": "one"})) + "|" + 'echo{"input_str": "two"}:say=Wait'
    app = await make_app(client, agent(model, ECHO_TOOL, output=ALL))

    lines, stitched = await follow(client, app)
    blocking = (await ask(client, app))["output"]

    assert stitched["content"] == blocking["content"]
    assert blocking["content"].startswith("Wait\n\nWait\n\nheard: one")
    assert [step["number"] for step in stitched["steps"]] == [1, 2, 3]
    assert sum("steps" in line for line in lines) == 3  # each as it ends
    assert lines[-1]["done"]["status"] == "succeeded"


async def test_a_model_that_calls_tools_for_ever_stops_at_max_steps_where_it_has_no_tools(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, agent('tools-forever:echo{"input_str": "x"}', ECHO_TOOL, max_steps=3))
    answer = await ask(client, app)

    assert len(fake_model.requests) == 3
    assert "tools" not in fake_model.last.body
    assert "no more tools" in fake_model.last.body["messages"][0]["content"]
    assert answer["output"]["output"].endswith("heard: x heard: x")
    assert len(await steps_of(client, answer["run"]["id"])) == 3


async def test_arguments_that_are_no_json_are_told_to_the_model(client: httpx.AsyncClient) -> None:
    app = await make_app(client, agent('tools:echo{"input_str": "x"}:args=cut', ECHO_TOOL, output=ALL))
    answer = await ask(client, app)

    (call,) = answer["output"]["steps"][0]["tool_calls"]
    assert call["error"].startswith("Error: The arguments are no JSON")
    assert isinstance(call["arguments"], str)


async def test_arguments_that_are_nested_without_end_are_told_to_the_model(client: httpx.AsyncClient) -> None:
    nested = "[" * 250 + "]" * 250
    app = await make_app(client, agent(f'tools:echo{{"input_str": {nested}}}', ECHO_TOOL, output=ALL))
    answer = await ask(client, app)

    (call,) = answer["output"]["steps"][0]["tool_calls"]
    assert "nested deeper" in call["error"]
    assert await steps_of(client, answer["run"]["id"]) == answer["output"]["steps"]


async def test_arguments_that_a_tool_does_not_take_are_told_to_the_model(client: httpx.AsyncClient) -> None:
    app = await make_app(client, agent('tools:echo{"text": "x"}', ECHO_TOOL, output=ALL))
    answer = await ask(client, app)

    (call,) = answer["output"]["steps"][0]["tool_calls"]
    assert call["error"] == "Error: processors[0].input.text: Extra inputs are not permitted"


async def test_what_a_tool_makes_counts_as_output_of_the_run(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    model = calls(*2 * [("echo", {"input_str": 300 * "x"})])
    async with serving(sqlite_settings, fake_model, max_output_chars=500) as client:
        app = await make_app(client, agent(model, ECHO_TOOL))
        answer = await client.post(f"{app}/run", json={"input": {"task": "go"}})
    assert (answer.status_code, answer.json()["type"]) == (502, "/docs/problems#output-too-large")
    assert answer.json()["processor"] == "agent"


async def test_a_model_server_that_sends_no_usage_is_no_error(client: httpx.AsyncClient) -> None:
    app = await make_app(client, agent('tools:echo{"input_str": "x"}:usage=no', ECHO_TOOL))
    answer = await ask(client, app)

    assert answer["output"] == {"output": "heard: x"}
    assert answer["usage"] == {"input_tokens": None, "output_tokens": None}


async def test_the_tokens_of_all_steps_and_of_tools_are_added_up(client: httpx.AsyncClient) -> None:
    tool = hanging(5) | {"config": {"model": "echo"}, "output_template": {"markdown": "{{text}}"}}
    app = await make_app(client, agent('tools:hang{"system_message": "hi"}', tool, output=ALL))
    answer = await ask(client, app)

    of_steps = sum(step["usage"]["output_tokens"] for step in answer["output"]["steps"])
    assert answer["usage"]["output_tokens"] > of_steps > 0


async def test_the_tokens_of_a_tool_that_fails_count_too(client: httpx.AsyncClient) -> None:
    config = {"model": "echo", "response_schema": {"type": "object"}}
    app = await make_app(
        client, agent('tools:hang{"system_message": "no JSON"}', hanging(5) | {"config": config}, output=ALL)
    )
    answer = await ask(client, app)

    first, second = answer["output"]["steps"]
    assert "not the JSON" in first["tool_calls"][0]["error"]
    of_steps = sum(step["usage"]["output_tokens"] for step in (first, second))
    assert answer["usage"]["output_tokens"] > of_steps


async def test_an_agent_remembers_what_was_asked_and_answered(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, agent('tools:echo{"input_str": "x"}', ECHO_TOOL))
    await ask(client, app, "first", session="s")
    await ask(client, app, "second", session="s")

    said = [(message["role"], message["content"]) for message in fake_model.requests[2].body["messages"]]
    assert said[1:] == [("user", "first"), ("assistant", "heard: x"), ("user", "second")]


async def test_an_agent_that_said_nothing_leaves_no_empty_answer_in_its_memory(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, agent("empty"))
    assert (await ask(client, app, "first", session="s"))["output"] == {"output": ""}
    await ask(client, app, "second", session="s")

    assert [message["role"] for message in fake_model.last.body["messages"]] == ["system", "user"]


@pytest.mark.parametrize(
    ("fixed", "sent"),
    [
        ({"input_str": "{{_inputs0.task}} and {{task}}"}, "go and go"),
        ({"input_str": "<{{stream}}> of {{_inputs0.task}}"}, "<true> of go"),
    ],
)
async def test_input_that_a_definition_fixes_is_not_the_models(
    client: httpx.AsyncClient, fake_model: FakeModel, fixed: dict[str, str], sent: str
) -> None:
    tool = ECHO_TOOL | {"input": fixed, "output_template": {}}
    model = 'tools:echo{"stream": true}' if "stream" in fixed["input_str"] else "tools:echo{}"
    app = await make_app(client, agent(model, tool))
    answer = await ask(client, app)

    (offered,) = fake_model.requests[0].body["tools"]
    assert list(offered["function"]["parameters"]["properties"]) == ["stream"]
    assert json.loads(answer["output"]["output"]) == {"output_str": sent}


async def test_a_failing_model_fails_the_run_and_leaves_the_steps_in_its_record(
    client: httpx.AsyncClient, fake_model: FakeModel
) -> None:
    app = await make_app(client, agent("echo", ECHO_TOOL))
    fake_model.script('tools:echo{"input_str": "x"}', "drop:3")
    answer = await client.post(f"{app}/run", json={"input": {"task": "go"}})

    assert answer.status_code == 502
    assert answer.json()["processor"] == "agent"
    (step,) = await steps_of(client, answer.json()["run_id"])
    assert step["tool_calls"][0]["result"] == "heard: x"


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_client_that_leaves_ends_the_calls_of_model_and_tools(
    client: httpx.AsyncClient, fake_model: FakeModel, *, streamed: bool
) -> None:
    app = await make_app(client, agent('tools:hang{"system_message": "x"}', hanging(60)))
    with pytest.raises(httpx.ReadTimeout):
        async with client.stream(
            "POST", f"{app}/run", json={"input": {"task": "go"}, "stream": streamed}, timeout=0.5
        ) as answer:
            await answer.aread()

    await fake_model.until_aborted()
    record = await last_run(client)
    assert record["status"] == "cancelled"
    (step,) = record["steps"]
    assert step["status"] == "cancelled"


async def test_an_agent_without_tools_is_a_chat(client: httpx.AsyncClient, fake_model: FakeModel) -> None:
    app = await make_app(client, agent("echo"))
    answer = await ask(client, app, "hello you")

    assert answer["output"] == {"output": "hello you"}
    assert "tools" not in fake_model.last.body


# --- tools of MCP servers


async def test_the_tools_of_a_server_come_to_those_of_the_app(
    sqlite_settings: Settings, fake_model: FakeModel
) -> None:
    settings = sqlite_settings.model_copy(update={"egress_allow": "127.0.0.1"})
    async with mcp_server() as tools, serving(settings, fake_model) as client:
        model = calls(("remote_add", {"a": 2, "b": 3}), ("echo", {"input_str": "hello"}))
        servers = [{"name": "remote", "url": tools.url}]
        app = await make_app(client, agent(model, ECHO_TOOL, output=ALL, mcp_servers=servers))
        answer = await ask(client, app)

        offered = {tool["function"]["name"] for tool in fake_model.last.body["tools"]}
        assert {"echo", "remote_add"} <= offered
        added, heard = answer["output"]["steps"][0]["tool_calls"]
        assert (added["result"], heard["result"]) == ("5", "heard: hello")
        await tools.until(lambda: tools.connections == 0)


async def test_a_server_of_tools_that_is_away_fails_the_run(
    sqlite_settings: Settings, fake_model: FakeModel, unused_tcp_port: int
) -> None:
    settings = sqlite_settings.model_copy(update={"egress_allow": "127.0.0.1"})
    async with serving(settings, fake_model) as client:
        servers = [{"url": f"http://127.0.0.1:{unused_tcp_port}/mcp"}]
        app = await make_app(client, agent("echo", mcp_servers=servers))
        answer = await client.post(f"{app}/run", json={"input": {"task": "go"}})

    assert answer.status_code == 502
    assert answer.json()["type"].endswith("tool-server-failed")
    assert fake_model.requests == []


async def test_a_server_of_tools_at_a_private_address_is_refused_at_save(client: httpx.AsyncClient) -> None:
    servers = [{"url": "http://169.254.169.254/mcp"}]
    answer = await client.post("/api/apps", json=agent("echo", mcp_servers=servers))

    assert [error["loc"] for error in answer.json()["errors"]] == ["config.mcp_servers[0].url"]
