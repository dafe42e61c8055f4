"""A model server that costs next to nothing: OpenAI's chat completions with every byte encoded beforehand.

The `model` of a request says how it answers:

- `full:COUNT` and `short:COUNT`: COUNT tokens as fast as the socket takes them;
- `paced:RATE:COUNT`: COUNT tokens, RATE a second, on a fixed schedule (a late one does not delay the next).

Each token is one server-sent event, one HTTP chunk and one write, and the loop turns once between two writes
of a stream; so what a reader finds in one read depends on how fast it reads, as with a real server.
"""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import cast

import httptools
import orjson
import uvloop

MAX_TOKENS = 100_000
_VOCABULARY = 1000
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


class UnknownModelError(ValueError):
    """The request's model is none of those that this server speaks."""


@dataclass(frozen=True)
class Script:
    """What a model name asks for; a `rate` of None is full speed."""

    count: int
    rate: float | None


def words(count: int) -> str:
    """Return the text that an answer of so many tokens has."""
    return "".join(_word(number) for number in range(count))


def script_of(model: str) -> Script:
    """Parse a model name; raise `UnknownModelError`."""
    match model.split(":"):
        case ["full" | "short", count] if count.isdecimal():
            script = Script(int(count), None)
        case ["paced", rate, count] if rate.isdecimal() and count.isdecimal() and int(rate):
            script = Script(int(count), float(rate))
        case _:
            raise UnknownModelError(model)
    if script.count > MAX_TOKENS:
        raise UnknownModelError(model)
    return script


def _word(number: int) -> str:
    return f"w{number % _VOCABULARY:03d},"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(
    delta: dict[str, str], *, finish_reason: str | None = None, usage: dict[str, int] | None = None
) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    body = {
        "id": "chatcmpl-benchmark000000000000000000",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "benchmark",
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
        "choices": [] if usage else [choice],
        "usage": usage,
    }
    return _chunk(b"data: " + orjson.dumps(body) + b"\n\n")


def _usage(count: int) -> dict[str, int]:
    return {"prompt_tokens": 8, "completion_tokens": count, "total_tokens": 8 + count}


_TOKENS = tuple(_event({"content": _word(number)}) for number in range(_VOCABULARY))
_FIRST = _event({"role": "assistant", "content": ""})
_FINISH = _event({}, finish_reason="stop")
_DONE = _chunk(b"data: [DONE]\n\n")
_END = b"0\r\n\r\n"


@cache
def _tail(count: int, *, usage: bool) -> tuple[bytes, ...]:
    counted = (_event({}, usage=_usage(count)),) if usage else ()
    return (_FINISH, *counted, _DONE, _END)


@cache
def _whole(count: int) -> bytes:
    message = {"role": "assistant", "content": words(count), "refusal": None}
    body = {
        "id": "chatcmpl-benchmark000000000000000000",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "benchmark",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": _usage(count),
    }
    return _json("200 OK", orjson.dumps(body))


def _json(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _problem(status: str, message: str) -> bytes:
    return _json(status, orjson.dumps({"error": {"message": message, "type": "invalid_request_error"}}))


class _ModelProtocol(asyncio.Protocol):
    """One kept-alive connection; a client sends its next request when the last answer is whole."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._body = bytearray()
        self._writes: Iterator[bytes] = iter(())
        self._rate: float | None = None
        self._due = 0.0
        self._left = 0
        self._paused = False
        self._waiting = False
        self._handle: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._handle:
            self._handle.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.write(_problem("400 Bad Request", "not HTTP"))
            self._transport.close()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._waiting:
            self._waiting = False
            self._write_next()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = bytes(self._body), bytearray()
        if self._parser.get_method() == b"GET":
            self._transport.write(_json("200 OK", b"{}"))
            return
        try:
            request = orjson.loads(body)
            script = script_of(request["model"])
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, UnknownModelError) as error:
            self._transport.write(_problem("404 Not Found", f"no such model: {error}"))
            return
        if request.get("stream"):
            options: dict[str, object] = request.get("stream_options") or {}
            self._stream(script, usage=bool(options.get("include_usage")))
        else:
            delay = script.count / script.rate if script.rate else 0.0
            self._handle = self._loop.call_later(delay, self._transport.write, _whole(script.count))

    def _stream(self, script: Script, *, usage: bool) -> None:
        self._writes = _answer(script.count, usage=usage)
        self._rate, self._left = script.rate, script.count
        self._due = self._loop.time()
        self._transport.write(_STREAM_HEAD + _FIRST)
        self._handle = self._loop.call_soon(self._write_next)

    def _write_next(self) -> None:
        if self._paused:
            self._waiting = True
            return
        data = next(self._writes, None)
        if data is None:
            self._handle = None
            return
        self._transport.write(data)
        self._left -= 1
        if self._rate and self._left > 0:
            self._due += 1 / self._rate
            self._handle = self._loop.call_at(self._due, self._write_next)
        else:
            self._handle = self._loop.call_soon(self._write_next)


def _answer(count: int, *, usage: bool) -> Iterator[bytes]:
    for number in range(count):
        yield _TOKENS[number % _VOCABULARY]
    yield from _tail(count, usage=usage)


async def serve(port: int) -> None:
    """Serve on loopback until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _ModelProtocol(loop), "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
