"""Agents that tests make, and how their answers are read."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from pydantic import SecretStr

from llmstack_api.settings import Settings
from tests.conftest import PROVIDER_KEY
from tests.fake_model import FakeModel
from tests.runs.streams import stitch
from tests.server import running_server

ECHO_TOOL: dict[str, Any] = {
    "id": "echo",
    "name": "Echo",
    "description": "Repeats a text",
    "provider_slug": "promptly",
    "processor_slug": "echo",
    "input": {"input_str": "", "stream": False},
    "output_template": {"markdown": "heard: {{output_str}}"},
}


def agent(model: str, *tools: dict[str, Any], output: Any = None, **config: Any) -> dict[str, Any]:
    """A definition of an agent."""
    definition: dict[str, Any] = {
        "name": "Agent",
        "type_slug": "agent",
        "input_fields": [{"name": "task", "type": "text", "required": True}],
        "config": {"model": model, **config},
        "processors": list(tools),
    }
    return definition | ({"output": output} if output else {})


def hanging(timeout: float) -> dict[str, Any]:
    """A tool that never answers, and may take so long."""
    return {
        "id": "hang",
        "provider_slug": "openai",
        "processor_slug": "chatgpt",
        "input": {"messages": [{"role": "user", "content": "{{system_message}}"}]},
        "config": {"model": "hang"},
        "timeout": timeout,
    }


@asynccontextmanager
async def serving(settings: Settings, model: FakeModel, **more: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of a server that asks the fake model."""
    given: dict[str, Any] = {
        "openai_base_url": model.base_url,
        "openai_api_key": SecretStr(PROVIDER_KEY),
        "model_idle_timeout": 5.0,
    }
    async with running_server(settings.model_copy(update=given | more)) as server, server.client() as client:
        yield client


async def ask(client: httpx.AsyncClient, app: str, task: str = "go", *, session: str = "") -> dict[str, Any]:
    """Run blocking; the run has to succeed."""
    path = f"{app}/run/{session}" if session else f"{app}/run"
    answer = await client.post(path, json={"input": {"task": task}})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def follow(client: httpx.AsyncClient, app: str, task: str = "go") -> tuple[list[Any], Any]:
    """Run streamed; return the lines and what they stitch to."""
    answer = await client.post(f"{app}/run", json={"input": {"task": task}, "stream": True})
    lines = [httpx.Response(200, content=line).json() for line in answer.content.split(b"\n") if line]
    return lines, stitch(lines)


async def steps_of(client: httpx.AsyncClient, run: str) -> list[dict[str, Any]]:
    """Return the steps that the run's record has of its agent."""
    (step,) = (await client.get(f"/api/runs/{run}")).json()["steps"]
    assert step["processor"] == "builtin/agent"
    return step["steps"]
