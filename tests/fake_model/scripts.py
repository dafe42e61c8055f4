"""A model name read as a script, and the moves all behaviours are made of."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.fake_model import answers
from tests.fake_model.wire import Exchange

SSE = {"content-type": "text/event-stream; charset=utf-8"}
JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A parsed model name, and the request it came with."""

    kind: str
    value: str
    options: dict[str, str]
    body: dict[str, Any]
    stream: bool = field(default=False)

    @property
    def model(self) -> str:
        """The name as it was asked for."""
        return str(self.body.get("model", ""))

    def number(self, default: int) -> int:
        """Read the value as a number."""
        return int(self.value) if self.value else default


def parse(name: str, body: dict[str, Any]) -> Script:
    """Read a model name."""
    kind, *parts = name.split(":")
    options = dict(part.split("=", 1) for part in parts if "=" in part)
    value = next((part for part in parts if "=" not in part), "")
    return Script(kind=kind, value=value, options=options, body=body, stream=bool(body.get("stream")))


async def respond(
    exchange: Exchange,
    script: Script,
    *,
    deltas: list[dict[str, Any]],
    message: dict[str, Any] | None = None,
    finish: str | None = "stop",
    done: bytes = answers.DONE,
    usage: bool = True,
) -> None:
    """Answer in the form that was asked for."""
    copies = range(int(script.body.get("n") or 1))
    counts = answers.usage_of(script.body, len(deltas) * len(copies)) if usage else None
    if not script.stream:
        whole = message or {"content": "".join(delta.get("content", "") for delta in deltas)}
        reply = answers.completion(script.model, [whole] * len(copies), usage=counts, finish=finish or "stop")
        return reply_json(exchange, reply)
    exchange.start(headers=SSE)
    for index in copies:
        send_chunk(exchange, script, {"role": "assistant", "content": ""}, index=index)
    for delta in deltas:
        for index in copies:
            send_chunk(exchange, script, delta, index=index)
        await exchange.drain()
    for index in copies if finish else ():
        send_chunk(exchange, script, {}, index=index, finish=finish)
    if counts and answers.wants_usage(script.body):
        exchange.send(answers.event(answers.usage_chunk(script.model, counts)))
    if done:
        exchange.send(done)
    return exchange.end()


def send_chunk(
    exchange: Exchange, script: Script, delta: dict[str, Any], *, index: int = 0, finish: str | None = None
) -> None:
    exchange.send(answers.event(answers.chunk(script.model, delta=delta, finish=finish, index=index)))


def reply_json(
    exchange: Exchange, reply: Any, *, status: int = 200, headers: dict[str, str] | None = None
) -> None:
    data = orjson.dumps(reply)
    exchange.start(status, headers=JSON | (headers or {}), length=len(data))
    exchange.send(data)
    exchange.end()


def begin(exchange: Exchange, script: Script, *, tokens: int) -> None:
    """Send the head of a stream and its first tokens."""
    exchange.start(headers=SSE)
    for number in range(tokens):
        send_chunk(exchange, script, {"content": f"word{number} "})


async def for_ever() -> None:
    await asyncio.get_running_loop().create_future()


Behaviour = Callable[[Exchange, Script], Awaitable[None]]
