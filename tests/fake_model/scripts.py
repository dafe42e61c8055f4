"""A model name read as a script, and the moves all behaviours are made of."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from tests.fake_model import answers
from tests.fake_model.wire import Exchange

SSE = {"content-type": "text/event-stream; charset=utf-8"}
JSON = {"content-type": "application/json"}


_TOOL: Final = re.compile(r"(?P<before>[|;])?(?P<name>[^{|;:]*)(?=\{)")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, and its arguments as JSON."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A parsed model name, and the request it came with."""

    kind: str
    value: str
    options: dict[str, str]
    body: dict[str, Any]
    stream: bool = field(default=False)
    rounds: tuple[tuple[ToolCall, ...], ...] = ()
    """Calls of tools, by the rounds in which they are made."""

    @property
    def model(self) -> str:
        """The name as it was asked for."""
        return str(self.body.get("model", ""))

    @property
    def is_text(self) -> bool:
        """A text is to be completed, and not a conversation."""
        return "prompt" in self.body

    def number(self, default: int) -> int:
        """Read the value as a number."""
        return int(self.value) if self.value else default


def parse(name: str, body: dict[str, Any]) -> Script:
    """Read a model name."""
    rounds: tuple[tuple[ToolCall, ...], ...] = ()
    if name.startswith("tools") and "{" in name:
        kind, _, calls = name.partition(":")
        rounds, rest = _parse_calls(calls)
        name = kind + rest
    kind, *parts = name.split(":")
    options = dict(part.split("=", 1) for part in parts if "=" in part)
    value = next((part for part in parts if "=" not in part), "")
    return Script(
        kind=kind,
        value=value,
        options=options,
        body=body,
        stream=bool(body.get("stream")),
        rounds=rounds,
    )


def _parse_calls(text: str) -> tuple[tuple[tuple[ToolCall, ...], ...], str]:
    """Read `NAME{json};NAME{json}|NAME{json}`: `;` between the calls of a round, `|` between rounds."""
    rounds: list[list[ToolCall]] = [[]]
    place = 0
    while match := _TOOL.match(text, place):
        if match["before"] == "|":
            rounds.append([])
        _, place = json.JSONDecoder().raw_decode(text, match.end())
        rounds[-1].append(ToolCall(match["name"], text[match.end() : place]))
    return tuple(map(tuple, rounds)), text[place:]


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
    usage = usage and script.options.get("usage") != "no"
    counts = answers.usage_of(script.body, len(deltas) * len(copies)) if usage else None
    if not script.stream:
        text = "".join(delta.get("content", "") for delta in deltas)
        if script.is_text:
            reply = answers.text_completion(
                script.model, [text] * len(copies), usage=counts, finish=finish or "stop"
            )
            return reply_json(exchange, reply)
        whole = message or {"content": text}
        reply = answers.completion(script.model, [whole] * len(copies), usage=counts, finish=finish or "stop")
        return reply_json(exchange, reply)
    exchange.start(headers=SSE)
    for index in copies if not script.is_text else ():
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
    if script.is_text:
        text = delta.get("content", "")
        chunk = answers.text_chunk(script.model, text=text, finish=finish, index=index)
    else:
        chunk = answers.chunk(script.model, delta=delta, finish=finish, index=index)
    exchange.send(answers.event(chunk))


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
