"""The three servers under test, each with the requests that make it give the same answer."""

import secrets
import sys
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson

from benchmarks.answers import Dialect
from benchmarks.load import connect, encode
from benchmarks.processes import Server, environment, free_port, running

Name = Literal["direct", "passthrough", "service"]
NAMES: tuple[Name, ...] = ("direct", "passthrough", "service")
ROOT = Path(__file__).parents[1]
_QUESTION = "What does the fake model say?"


@dataclass(frozen=True)
class Target:
    """A server under test; a key of the requests is (model, whether it streams)."""

    name: Name
    server: Server
    model_server: Server
    dialect: Dialect
    requests: Mapping[tuple[str, bool], bytes]


@dataclass(frozen=True)
class Lineup:
    """The servers of one comparison, and the starts of the service that came before."""

    targets: tuple[Target, ...]
    first_start: Server | None
    """The service's start on an empty database."""

    restarts: tuple[Server, ...]
    """Its starts on the database that was there, the last of them the one under test."""


@asynccontextmanager
async def lineup(
    only: Collection[Name], *, models: Collection[str], restarts: int, folder: Path
) -> AsyncGenerator[Lineup]:
    """Run the servers asked for, in the order of `NAMES`, until the block is left."""
    async with AsyncExitStack() as stack:
        model_server = await stack.enter_async_context(_model_server(folder))
        targets: list[Target] = []
        first_start: Server | None = None
        starts: list[Server] = []
        if "direct" in only:
            targets.append(Target("direct", model_server, model_server, "sse", _completions(models)))
        if "passthrough" in only:
            server = await stack.enter_async_context(_passthrough(model_server, folder=folder))
            targets.append(Target("passthrough", server, model_server, "sse", _completions(models)))
        if "service" in only:
            token = secrets.token_urlsafe(32)
            async with service(model_server.port, token=token, folder=folder) as first_start:
                requests = await _make_apps(first_start, models=models, token=token)
            for _ in range(restarts - 1):
                async with service(model_server.port, token=token, folder=folder) as server:
                    starts.append(server)
            server = await stack.enter_async_context(service(model_server.port, token=token, folder=folder))
            starts.append(server)
            targets.append(Target("service", server, model_server, "ndjson", requests))
        yield Lineup(tuple(targets), first_start, tuple(starts))


def _model_server(folder: Path) -> AbstractAsyncContextManager[Server]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.fake_model", str(port)]
    return running("model", command, port=port, folder=folder, env=environment(PYTHONPATH=str(ROOT)))


def _passthrough(model_server: Server, *, folder: Path) -> AbstractAsyncContextManager[Server]:
    port = free_port()
    command = [
        *(sys.executable, "-m", "uvicorn", "benchmarks.passthrough:app"),
        *("--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"),
    ]
    env = environment(PYTHONPATH=str(ROOT), UPSTREAM_BASE_URL=f"http://127.0.0.1:{model_server.port}/v1")
    return running("passthrough", command, port=port, folder=folder, env=env)


def service(model_port: int, *, token: str, folder: Path) -> AbstractAsyncContextManager[Server]:
    """Run this service in a folder, with a model server on a port of loopback."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("llmstack-api")), "serve"]
    env = environment(
        LLMSTACK_PORT=str(port),
        LLMSTACK_DATA_DIR=str(folder / "data"),
        LLMSTACK_BOOTSTRAP_TOKEN=token,
        LLMSTACK_OPENAI_BASE_URL=f"http://127.0.0.1:{model_port}/v1",
        LLMSTACK_OPENAI_API_KEY="sk-benchmark",
        LLMSTACK_LOG_LEVEL="warning",
    )
    return running("service", command, port=port, folder=folder, env=env)


def _completions(models: Collection[str]) -> dict[tuple[str, bool], bytes]:
    requests: dict[tuple[str, bool], bytes] = {}
    for model in models:
        body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": _QUESTION}]}
        requests[model, False] = encode("POST", "/v1/chat/completions", body=body)
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        requests[model, True] = encode("POST", "/v1/chat/completions", body=body)
    return requests


async def _make_apps(
    service: Server, *, models: Collection[str], token: str
) -> dict[tuple[str, bool], bytes]:
    requests: dict[tuple[str, bool], bytes] = {}
    connection = await connect(service.port)
    try:
        for model in models:
            create = encode("POST", "/api/apps", body=_definition(model), token=token)
            app = orjson.loads((await connection.request(create, patience=10)).body)
            for stream in (False, True):
                body = {"input": {"question": _QUESTION}, "stream": stream}
                requests[model, stream] = encode(
                    "POST", f"/api/apps/{app['uuid']}/run", body=body, token=token
                )
    finally:
        connection.close()
    return requests


def _definition(model: str) -> dict[str, object]:
    step = {
        "provider_slug": "openai",
        "processor_slug": "chatgpt",
        "input": {"messages": [{"role": "user", "content": "{{_inputs0.question}}"}]},
        "config": {"model": model},
    }
    return {
        "name": f"benchmark {model}",
        "input_fields": [{"name": "question", "required": True}],
        "processors": [step],
        "output": {"answer": "{{_inputs1.choices[0].content}}"},
    }
