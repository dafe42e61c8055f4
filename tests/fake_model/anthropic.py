"""What `/messages` answers, in Anthropic's own wire form, by the name of the model: `kind[:value][:key=value]...`.

It refuses (400) what the real one refuses: no `anthropic-version`, no `max_tokens`, no message, a first message of the
assistant, an empty text, a result of a tool that the message before did not call, tools in the messages and
none in the request. Kinds:

- `echo` and any unknown name; `count:N` N tokens; `empty` says nothing; `delay:S`; `thinking` (thinks first);
  `json[:bad]` (an object: `{"answer": ECHO}`), by the tool that `tool_choice` forces where one is; `tools:...` and
  `tools-forever:...` as in `behaviours`; `limit` and `refusal` (that stop reason); `pings` (one after each word).
- Wire: `plain-json` (to a stream request too), `no-stop` (no `message_stop`), `usage=no`.
- Faults: those that `media` shares, refusals in Anthropic's form (`status:529`, ...); `error-event[:TYPE]` (after two
  tokens), `drop[:N]`, `cut` (a good end without any stop), `malformed`, `hang-mid`, `hang-end`, `not-an-answer`.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from tests.fake_model import answers
from tests.fake_model.behaviours import calls_due
from tests.fake_model.faults import FAULTS
from tests.fake_model.scripts import SSE, Script, ToolCall, for_ever, reply_json
from tests.fake_model.wire import Exchange

Json = dict[str, Any]
_SHARED: Final = frozenset(
    {"redirect", "html", "nothing", "cut-error", "drop-before", "not-http", "gzip", "hang"}
)
_ERRORS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


@dataclass(frozen=True, slots=True)
class Block:
    """A block of an answer: what it begins with, and the deltas that follow."""

    start: Json
    deltas: tuple[Json, ...]

    def whole(self) -> Json:
        """Give it as an answer in one piece has it."""
        block = dict(self.start)
        for delta in self.deltas:
            for name in ("text", "thinking", "signature"):
                if name in delta:
                    block[name] = block[name] + delta[name]
        if block["type"] == "tool_use":
            block["input"] = orjson.loads("".join(delta["partial_json"] for delta in self.deltas))
        return block


async def play(exchange: Exchange, script: Script) -> None:
    """Answer."""
    if script.kind in _SHARED:
        return await FAULTS[script.kind](exchange, script)
    if script.kind == "status":
        return refuse(exchange, script)
    if wrong := mistake(exchange):
        return reply_json(exchange, error(wrong, _ERRORS[400]), status=400)
    if script.kind == "delay":
        await asyncio.sleep(float(script.value or 1))
    script = replace(script, body=as_chat(script.body) | {"model": script.model})
    if script.kind == "not-an-answer":
        return reply_json(exchange, {"completion": "Hello"})
    blocks, reason = content_of(script, exchange.received.body)
    usage = {"input_tokens": answers.usage_of(script.body, 0)["prompt_tokens"], "output_tokens": 1}
    if not script.stream or script.kind == "plain-json":
        counted = usage | {"output_tokens": sum(len(block.deltas) for block in blocks)}
        reply = envelope(script, usage=counted) | {
            "content": [block.whole() for block in blocks],
            "stop_reason": reason,
        }
        return reply_json(exchange, reply)
    return await _stream(exchange, script, blocks=blocks, reason=reason, usage=usage)


# --- what is said ----------------------------------------------------------------------------------------


def content_of(script: Script, body: Json) -> tuple[list[Block], str]:
    """Give the blocks of an answer and why it stops."""
    text = answers.last_user_text(script.body)
    blocks = [text_block(answers.words(text))] if text else []
    choice: Json = body.get("tool_choice") or {}
    reason = {"limit": "max_tokens", "refusal": "refusal"}.get(script.kind, "end_turn")
    if script.kind == "count":
        blocks = [text_block([f"word{number} " for number in range(script.number(500))])]
    elif script.kind == "empty":
        blocks = []
    elif script.kind == "thinking":
        thoughts = [{"type": "thinking_delta", "thinking": words} for words in ("Let me ", "think.")]
        signed = {"type": "signature_delta", "signature": "c2lnbmVk"}
        start = {"type": "thinking", "thinking": "", "signature": ""}
        blocks.insert(0, Block(start, (*thoughts, signed)))
    elif script.kind == "json":
        written = orjson.dumps({"answer": text}).decode()
        if choice.get("type") == "tool":
            return [tool_block("toolu_0", ToolCall(choice["name"], written))], "tool_use"
        blocks = [text_block([written[:4], written[4 : -1 if script.value == "bad" else None]])]
    elif script.rounds:
        calls = calls_due(script)
        if calls:
            said = script.options.get("say", "")
            number = answers.tool_rounds(script.body) + 1
            blocks = [text_block([said])] if said else []
            blocks += [tool_block(f"toolu_{number}_{place + 1}", call) for place, call in enumerate(calls)]
            return blocks, "tool_use"
        blocks = [text_block(answers.words(" ".join(answers.tool_results(script.body))))]
    return blocks, reason


def text_block(words: list[str]) -> Block:
    return Block({"type": "text", "text": ""}, tuple({"type": "text_delta", "text": word} for word in words))


def tool_block(name: str, call: ToolCall) -> Block:
    pieces = ("", call.arguments[:4], call.arguments[4:])
    start: Json = {"type": "tool_use", "id": name, "name": call.name, "input": {}}
    return Block(start, tuple({"type": "input_json_delta", "partial_json": piece} for piece in pieces))


def as_chat(body: Json) -> Json:
    """Give a request as OpenAI's wire form has it, as far as scripts look at it."""
    messages: list[Json] = []
    for message in body["messages"]:
        texts = [block for block in blocks_of(message) if block["type"] == "text"]
        calls = [block for block in blocks_of(message) if block["type"] == "tool_use"]
        messages += [
            {"role": "tool", "content": "".join(part["text"] for part in blocks_of(block))}
            for block in blocks_of(message)
            if block["type"] == "tool_result"
        ]
        if texts or calls:
            messages.append({"role": message["role"], "content": texts, "tool_calls": calls})
    choice: Json = body.get("tool_choice") or {}
    return {"messages": messages, "tools": body.get("tools"), "tool_choice": choice.get("type")}


def blocks_of(message: Json) -> list[Json]:
    """Give the content of a message, or of a result, as blocks."""
    content = message.get("content", [])
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


# --- how it is said --------------------------------------------------------------------------------------


async def _stream(
    exchange: Exchange, script: Script, *, blocks: list[Block], reason: str, usage: Json
) -> None:
    exchange.start(headers=SSE)
    send(exchange, {"type": "message_start", "message": envelope(script, usage=usage)})
    faults = {"error-event", "drop", "cut", "malformed", "hang-mid"}
    if script.kind in faults:
        blocks = [text_block(["word0 ", "word1 "])]
    for index, block in enumerate(blocks):
        send(exchange, {"type": "content_block_start", "index": index, "content_block": block.start})
        if index == 0:
            send(exchange, {"type": "ping"})
        for delta in block.deltas:
            send(exchange, {"type": "content_block_delta", "index": index, "delta": delta})
            if script.kind == "pings":
                send(exchange, {"type": "ping"})
            await exchange.drain()
        if script.kind in faults:
            return await _fail(exchange, script)
        send(exchange, {"type": "content_block_stop", "index": index})
    count = sum(len(block.deltas) for block in blocks)
    stop: Json = {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}}
    if script.options.get("usage") != "no":
        stop["usage"] = {"output_tokens": count}
    send(exchange, stop)
    if script.kind == "hang-end":
        await for_ever()
    if script.kind != "no-stop":
        send(exchange, {"type": "message_stop"})
    return exchange.end()


async def _fail(exchange: Exchange, script: Script) -> None:
    if script.kind == "hang-mid":
        await for_ever()
    elif script.kind == "drop":
        await asyncio.sleep(0.05)  # a reset overtakes what the other side has not read yet
        return exchange.abort()
    elif script.kind == "error-event":
        kind = script.value or "api_error"
        message = "Overloaded" if kind == "overloaded_error" else "Internal server error"
        send(exchange, error(message, kind))
    elif script.kind == "malformed":
        exchange.send(b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta"\n\n')
    return exchange.end()


def send(exchange: Exchange, event: Json) -> None:
    """Send an event, named as its type."""
    exchange.send(b"event: " + event["type"].encode() + b"\n" + answers.event(event))


def envelope(script: Script, *, usage: Json) -> Json:
    """Give an answer without its content."""
    message: Json = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": script.model,
        "stop_reason": None,
        "stop_sequence": None,
    }
    return message if script.options.get("usage") == "no" else message | {"usage": usage}


# --- what is refused -------------------------------------------------------------------------------------


def refuse(exchange: Exchange, script: Script) -> None:
    """Answer with a status, and the key in it, as careless servers do."""
    code = script.number(500)
    headers = {"retry-after": script.options["retry-after"]} if "retry-after" in script.options else {}
    key = exchange.received.headers.get("x-api-key", "none")
    said = f"invalid x-api-key: {key}" if code in {400, 401, 403} else f"Status {code} as asked."
    reply_json(exchange, error(said, _ERRORS.get(code, "api_error")), status=code, headers=headers)


def error(message: str, kind: str) -> Json:
    """Build an error, for a body or an event."""
    return {"type": "error", "error": {"type": kind, "message": message}}


def mistake(exchange: Exchange) -> str | None:
    """Say what is wrong with a request."""
    headers, body = exchange.received.headers, exchange.received.body
    if "anthropic-version" not in headers:
        return "anthropic-version: header is required"
    if not isinstance(body.get("max_tokens"), int):
        return "max_tokens: Field required"
    if not body["messages"]:
        return "messages: at least one message is required"
    if body["messages"][0]["role"] != "user":
        return "messages: first message must use the user role"
    return next(_wrong_messages(body), None)


def _wrong_messages(body: Json) -> Iterator[str]:
    called: set[str] = set()
    for place, message in enumerate(body["messages"]):
        blocks = blocks_of(message)
        if not blocks:
            yield f"messages.{place}: all messages must have non-empty content"
        if place and message["role"] == body["messages"][place - 1]["role"]:
            yield f"messages.{place}: roles must alternate"
        for block in blocks:
            if block["type"] == "text" and not block["text"].strip():
                yield f"messages.{place}: text content blocks must contain non-whitespace text"
            if block["type"] == "tool_result" and block["tool_use_id"] not in called:
                yield f"messages.{place}: unexpected `tool_use_id` found in `tool_result` blocks"
            if block["type"] == "tool_use" and not body.get("tools"):
                yield "Requests which include `tool_use` or `tool_result` blocks must define tools"
        results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if called - results:
            yield f"messages.{place}: `tool_use` ids were found without `tool_result` blocks"
        called = {block["id"] for block in blocks if block["type"] == "tool_use"}
