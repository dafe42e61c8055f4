"""Behaviours that test a client: odd wires, faults and silences."""

import asyncio
import gzip
from time import monotonic

import orjson

from tests.fake_model import answers
from tests.fake_model.scripts import (
    JSON,
    SSE,
    Behaviour,
    Script,
    begin,
    for_ever,
    reply_json,
    respond,
    send_chunk,
)
from tests.fake_model.wire import Exchange


async def plain_json(exchange: Exchange, script: Script) -> None:
    text = answers.last_user_text(script.body)
    usage = answers.usage_of(script.body, len(answers.words(text)))
    messages: list[answers.Json] = [] if script.value == "none" else [{"content": text}]
    reply_json(exchange, answers.completion(script.model, messages, usage=usage))


async def crlf(exchange: Exchange, script: Script) -> None:
    exchange.start(headers=SSE)
    exchange.send(b"\xef\xbb\xbf: hello\r\n\r\nretry: 100\r\n")
    for word in answers.words(answers.last_user_text(script.body)):
        data = orjson.dumps(answers.chunk(script.model, delta={"content": word}))
        head, tail = data.split(b",", 1)
        exchange.send(b"id: 7\r\nevent: message\r\ndata:" + head + b",\r")
        exchange.send(b"\ndata: " + tail + b"\r\n: still here\r\n\r\n")
    exchange.send(answers.event(answers.chunk(script.model, delta={}, finish="stop")).replace(b"\n", b"\r"))
    exchange.send(b"data: [DONE]\r\n")
    exchange.end()


async def trickle(exchange: Exchange, script: Script) -> None:
    exchange.start(headers=SSE)
    data = b"".join(
        answers.event(answers.chunk("m", delta={"content": word}))
        for word in answers.words(answers.last_user_text(script.body))
    )
    for byte in data + answers.event(answers.chunk("m", delta={}, finish="stop")) + answers.DONE:
        exchange.send(bytes((byte,)))
        await asyncio.sleep(0)
    exchange.end()


async def gzipped(exchange: Exchange, script: Script) -> None:
    text = answers.last_user_text(script.body)
    data = gzip.compress(orjson.dumps(answers.completion(script.model, [{"content": text}], usage=None)))
    exchange.start(headers=JSON | {"content-encoding": "gzip"}, length=len(data))
    exchange.send(data)
    exchange.end()


async def no_usage(exchange: Exchange, script: Script) -> None:
    deltas = [{"content": word} for word in answers.words(answers.last_user_text(script.body))]
    await respond(exchange, script, deltas=deltas, usage=False)


async def no_done(exchange: Exchange, script: Script) -> None:
    await respond(exchange, script, deltas=[{"content": "whole"}], done=b"")


async def no_finish(exchange: Exchange, script: Script) -> None:
    await respond(exchange, script, deltas=[{"content": "whole"}], finish=None)


async def hang_end(exchange: Exchange, script: Script) -> None:
    begin(exchange, script, tokens=2)
    send_chunk(exchange, script, {}, finish="stop")
    if script.value == "drop":
        await asyncio.sleep(0.05)
        return exchange.abort()
    return await for_ever()


async def linger(exchange: Exchange, script: Script) -> None:
    begin(exchange, script, tokens=2)
    send_chunk(exchange, script, {}, finish="stop")
    exchange.send(answers.DONE)
    await for_ever()


async def comments(exchange: Exchange, script: Script) -> None:
    exchange.start(headers=SSE)
    until = monotonic() + float(script.value or 1)
    while monotonic() < until:
        exchange.send(b": keep-alive\n\n")
        await asyncio.sleep(0.05)
    send_chunk(exchange, script, {"content": "late"}, finish="stop")
    exchange.send(answers.DONE)
    exchange.end()


async def status(exchange: Exchange, script: Script) -> None:
    code = script.number(500)
    headers = {"retry-after": script.options["retry-after"]} if "retry-after" in script.options else {}
    message = f"Status {code} as asked."
    if code in {400, 401, 403}:
        message = f"Incorrect API key provided: {exchange.received.headers.get('authorization', 'none')}."
    reply_json(exchange, answers.error(message, code=str(code)), status=code, headers=headers)


async def redirect(exchange: Exchange, script: Script) -> None:
    del script
    exchange.start(302, headers={"location": "/v1/elsewhere"}, length=0)
    exchange.end()


async def html(exchange: Exchange, script: Script) -> None:
    del script
    page = b"<!doctype html>\n<html><body>\n\n<h1>Welcome to nginx!</h1></body></html>\n"
    exchange.start(headers={"content-type": "text/html"}, length=len(page))
    exchange.send(page)
    exchange.end()


async def nothing(exchange: Exchange, script: Script) -> None:
    del script
    exchange.start(headers=SSE)
    exchange.end()


async def cut_error(exchange: Exchange, script: Script) -> None:
    del script
    exchange.start(404, headers=JSON, length=1000)
    exchange.send(b'{"error": ')
    exchange.close()


async def drop(exchange: Exchange, script: Script) -> None:
    begin(exchange, script, tokens=script.number(3))
    # A reset overtakes what the other side has not read yet.
    await asyncio.sleep(0.05)
    exchange.abort()


async def drop_before(exchange: Exchange, script: Script) -> None:
    del script
    exchange.abort()


async def cut(exchange: Exchange, script: Script) -> None:
    await respond(exchange, script, deltas=[{"content": "half an "}], finish=None, done=b"", usage=False)


async def malformed(exchange: Exchange, script: Script) -> None:
    exchange.start(headers=SSE)
    good = [answers.event(answers.chunk(script.model, delta={"content": word})) for word in ("good ", "too ")]
    exchange.send(b"".join([*good, b'data: {"choices": [{"delta"\n\n', answers.DONE]))
    exchange.end()


async def error_event(exchange: Exchange, script: Script) -> None:
    begin(exchange, script, tokens=2)
    exchange.send(answers.event(answers.error("The model ran out of memory.")))
    exchange.end()


async def not_http(exchange: Exchange, script: Script) -> None:
    del script
    exchange.raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    exchange.close()


async def flood(exchange: Exchange, script: Script) -> None:
    begin(exchange, script, tokens=1)
    while True:
        exchange.send(b"data: " + b"x" * 65_536 if not script.value else b"data: x\n" * 8192)
        await exchange.drain()
        await asyncio.sleep(0)


async def big_json(exchange: Exchange, script: Script) -> None:
    reply_json(exchange, answers.completion("m", [{"content": "x" * script.number(1_000_000)}], usage=None))


async def hang(exchange: Exchange, script: Script) -> None:
    del exchange, script
    await for_ever()


async def hang_headers(exchange: Exchange, script: Script) -> None:
    begin(exchange, script, tokens=0)
    await for_ever()


async def hang_mid(exchange: Exchange, script: Script) -> None:
    begin(exchange, script, tokens=2)
    await for_ever()


FAULTS: dict[str, Behaviour] = {
    "plain-json": plain_json,
    "crlf": crlf,
    "trickle": trickle,
    "gzip": gzipped,
    "no-usage": no_usage,
    "no-done": no_done,
    "no-finish": no_finish,
    "linger": linger,
    "hang-end": hang_end,
    "comments": comments,
    "status": status,
    "redirect": redirect,
    "html": html,
    "nothing": nothing,
    "cut-error": cut_error,
    "drop": drop,
    "drop-before": drop_before,
    "cut": cut,
    "malformed": malformed,
    "error-event": error_event,
    "not-http": not_http,
    "flood": flood,
    "big-json": big_json,
    "hang": hang,
    "hang-headers": hang_headers,
    "hang-mid": hang_mid,
}
