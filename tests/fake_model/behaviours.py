"""What the server does at `/chat/completions` and `/completions`, by model name: `kind[:value][:key=value]...`.

Every kind that answers echoes the last message of the user, word by word, as often as `n` says. Kinds:

- `echo` and any unknown name; `count:N[:batch=B]` N tokens at full speed, B of them a write (default 1);
  `slow:R[:count=N]` R tokens a second; `delay:S` waits S seconds before it answers; `empty` says nothing.
- `tools:NAME{json};NAME{json}|NAME{json}` calls tools of these names with these arguments, offered or not: those
  joined by `;` at once in one answer, those after a `|` when their results are there. After the last round it
  answers with the results since the user's last message, joined by a blank; so too where the request offers no
  tools. `tools-forever:NAME{json}` calls as long as tools are offered. Options, after the last call: `say=TEXT`
  (text before the calls), `args=cut` (arguments that are no JSON), `usage=no`.
- `reasoning`, `tools` (calls the first tool or function, echoes once a result is there), `tools:unasked` (one
  that nobody offered), `choices:N` (N of them whatever `n` says), `json[:bad]` (an object), `surrogate`
  (lone surrogates and a NUL), `refusal`.
- `usage=no`, an option of every kind that answers, leaves the usage out.
- Wire: `plain-json` (to a stream request too), `crlf` (and comments, several data lines), `trickle` (a byte a
  write), `gzip`, `no-usage`, `no-done` (a finish reason only), `no-finish` (`[DONE]` only), `linger` (never
  ends after `[DONE]`), `comments[:S]` (only comments, for S seconds).
- Faults: `status:C[:retry-after=S][:times=N]` (N refusals in a row, then an answer, and anew), `redirect`,
  `html`, `nothing` (an empty body), `cut-error` (a 404 whose body breaks off), `drop[:N]` (a reset after N
  tokens), `drop-before[:times=N]`, `cut` (a good end, but neither finish nor `[DONE]`), `malformed`,
  `error-event`, `not-http`, `flood[:lines]` (an event without end), `big-json:N` (N bytes).
- Silence: `hang` (before the headers), `hang-headers` (after them), `hang-mid` (after two tokens),
  `hang-end[:drop]` (after the finish reason; or a reset there).

At `/completions` the prompt stands for the message; kinds that are about roles, tools or reasoning mean nothing there.
Other operations have docstrings of their own: `embeddings`, `media` (images, speech, transcription, the list of
models) and `anthropic` (`/messages`). Answers to 400, 401 and 403 repeat the key they were called with, as
real servers do.
"""

import asyncio
from dataclasses import replace
from time import monotonic
from typing import Any

import orjson

from tests.fake_model import answers
from tests.fake_model.faults import FAULTS
from tests.fake_model.scripts import JSON, SSE, Behaviour, Script, ToolCall, begin, respond, send_chunk
from tests.fake_model.wire import Exchange


async def play(exchange: Exchange, script: Script) -> None:
    """Answer."""
    await BEHAVIOURS.get(script.kind, echo)(exchange, script)


BURST = 64
"""Tokens after which a server at full speed looks whether its client is still there."""


async def echo(exchange: Exchange, script: Script) -> None:
    texts = answers.words(answers.last_user_text(script.body))
    deltas: list[dict[str, Any]] = [{"content": text} for text in texts]
    await respond(exchange, script, deltas=deltas)


async def count(exchange: Exchange, script: Script) -> None:
    number, batch = script.number(500), int(script.options.get("batch", "1"))
    if not script.stream:
        text = "".join(f"word{index} " for index in range(number))
        return await respond(exchange, script, deltas=[{"content": text}])
    if script.is_text:
        return await respond(
            exchange, script, deltas=[{"content": f"word{index} "} for index in range(number)]
        )
    events = answers.counted(script.model, number)
    exchange.start(headers=SSE)
    for start in range(0, number, batch):
        frames = events[start : start + batch]
        exchange.raw(b"".join([b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames]))
        await exchange.drain()
        if start % BURST < batch:
            await asyncio.sleep(0)
    send_chunk(exchange, script, {}, finish="stop")
    if answers.wants_usage(script.body) and script.options.get("usage") != "no":
        usage = answers.usage_of(script.body, number)
        exchange.send(answers.event(answers.usage_chunk(script.model, usage)))
    exchange.send(answers.DONE)
    return exchange.end()


async def slow(exchange: Exchange, script: Script) -> None:
    texts = answers.words(answers.last_user_text(script.body))
    if number := int(script.options.get("count", "0")):
        texts = [f"word{index} " for index in range(number)]
    pause = 1 / float(script.value or 20)
    begin(exchange, script, tokens=0)
    due = monotonic()
    for text in texts:
        due += pause
        await asyncio.sleep(max(0.0, due - monotonic()))
        send_chunk(exchange, script, {"content": text})
        await exchange.drain()
    send_chunk(exchange, script, {}, finish="stop")
    usage = answers.usage_of(script.body, len(texts))
    exchange.send(answers.event(answers.usage_chunk(script.model, usage)) + answers.DONE)
    exchange.end()


async def delay(exchange: Exchange, script: Script) -> None:
    await asyncio.sleep(float(script.value or 1))
    await echo(exchange, script)


async def empty(exchange: Exchange, script: Script) -> None:
    await respond(exchange, script, deltas=[])


async def reasoning(exchange: Exchange, script: Script) -> None:
    text = answers.last_user_text(script.body)
    deltas: list[dict[str, Any]] = [{"reasoning_content": "Let me "}, {"reasoning_content": "think."}]
    deltas += [{"content": word} for word in answers.words(text)]
    await respond(
        exchange, script, deltas=deltas, message={"content": text, "reasoning_content": "Let me think."}
    )


async def refusal(exchange: Exchange, script: Script) -> None:
    message = {"content": None, "refusal": "I cannot help with that."}
    await respond(
        exchange, script, deltas=[{"refusal": "I cannot "}, {"refusal": "help with that."}], message=message
    )


async def tools(exchange: Exchange, script: Script) -> None:
    if script.rounds:
        return await scripted_tools(exchange, script)
    asked = script.body.get("tools")
    functions = [tool["function"] for tool in asked] if asked else script.body.get("functions")
    messages = answers.messages_of(script.body)
    if script.value == "unasked":
        asked, functions = True, [{"name": "unasked"}]
    if not functions or messages[-1].get("role") in {"tool", "function"}:
        return await echo(exchange, script)
    name = functions[0]["name"]
    arguments = orjson.dumps({"input": answers.last_user_text(script.body)}).decode()
    head, tail = arguments[:5], arguments[5:]
    whole: dict[str, Any] = {"name": name, "arguments": arguments}
    if not asked:
        deltas = [
            {"function_call": {"name": name, "arguments": head}},
            {"function_call": {"arguments": tail}},
        ]
        message: dict[str, Any] = {"content": None, "function_call": whole}
        return await respond(exchange, script, deltas=deltas, message=message, finish="function_call")
    call: dict[str, Any] = {"index": 0, "id": "call_1", "type": "function"}
    deltas = [
        {"tool_calls": [call | {"function": {"name": name, "arguments": head}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": tail}}]},
    ]
    message = {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": whole}]}
    return await respond(exchange, script, deltas=deltas, message=message, finish="tool_calls")


async def scripted_tools(exchange: Exchange, script: Script) -> None:
    calls = calls_due(script)
    if not calls:
        texts = answers.words(" ".join(answers.tool_results(script.body)))
        return await respond(exchange, script, deltas=[{"content": text} for text in texts])
    said = script.options.get("say", "")
    number = answers.tool_rounds(script.body) + 1
    deltas: list[dict[str, Any]] = [{"content": said}] if said else []
    whole: list[dict[str, Any]] = []
    for index, call in enumerate(calls):
        named = {"id": f"call_{number}_{index + 1}", "type": "function"}
        function = {"name": call.name, "arguments": call.arguments}
        whole.append(named | {"function": function})
        deltas.append({"tool_calls": [{"index": index} | named | {"function": function | {"arguments": ""}}]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
            for piece in (call.arguments[:4], call.arguments[4:])
            if piece
        ]
    message = {"content": said or None, "tool_calls": whole}
    return await respond(exchange, script, deltas=deltas, message=message, finish="tool_calls")


def calls_due(script: Script) -> tuple[ToolCall, ...]:
    """Give the calls of this round; none where it is time to answer."""
    number = answers.tool_rounds(script.body)
    offered = bool(script.body.get("tools")) and script.body.get("tool_choice") != "none"
    if not offered:
        return ()
    if script.kind == "tools-forever":
        calls = script.rounds[number % len(script.rounds)]
    else:
        calls = script.rounds[number] if number < len(script.rounds) else ()
    if script.options.get("args") == "cut":
        return tuple(ToolCall(call.name, call.arguments[:-1]) for call in calls)
    return calls


async def choices(exchange: Exchange, script: Script) -> None:
    await echo(exchange, replace(script, body=script.body | {"n": script.number(2)}))


async def json_answer(exchange: Exchange, script: Script) -> None:
    text = orjson.dumps({"answer": answers.last_user_text(script.body)}).decode()
    if script.value == "bad":
        text = text[:-1]
    await respond(exchange, script, deltas=[{"content": text[:4]}, {"content": text[4:]}])


async def surrogate(exchange: Exchange, script: Script) -> None:
    content = rb'"a\ud83db\udc00c\ud83d\ude00\\ud800\u0000"'
    if not script.stream:
        data = orjson.dumps(answers.completion(script.model, [{"content": "@"}], usage=None)).replace(
            b'"@"', content
        )
        exchange.start(headers=JSON, length=len(data))
        exchange.send(data)
        return exchange.end()
    exchange.start(headers=SSE)
    exchange.send(answers.event(answers.chunk(script.model, delta={"content": "@"})).replace(b'"@"', content))
    send_chunk(exchange, script, {}, finish="stop")
    exchange.send(answers.DONE)
    return exchange.end()


BEHAVIOURS: dict[str, Behaviour] = {
    "count": count,
    "slow": slow,
    "delay": delay,
    "empty": empty,
    "reasoning": reasoning,
    "refusal": refusal,
    "tools": tools,
    "tools-forever": scripted_tools,
    "choices": choices,
    "json": json_answer,
    "surrogate": surrogate,
    **FAULTS,
}
