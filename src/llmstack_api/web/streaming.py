"""A streamed answer: NDJSON or server-sent events, one write for all that is ready, cut when the client leaves."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Protocol

import anyio
import orjson
from fastapi import Response
from sse_starlette import ServerSentEvent
from starlette.types import Receive, Scope, Send

from llmstack_api.engine.ports import JsonObject
from llmstack_api.web.accept import prefers

NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"


class StreamSource(Protocol):
    """What a stream is made of."""

    @property
    def head(self) -> JsonObject:
        """The first line, sent at once."""
        ...

    async def take(self) -> JsonObject | None:
        """Wait for chunks by key; empty when poked, None at the end."""
        ...

    def poke(self) -> None:
        """Make a waiting `take` return."""
        ...

    async def tail(self) -> tuple[list[JsonObject], JsonObject]:
        """Wait until everything is stored; return the errors and what `done` says."""
        ...


class Encoding(Protocol):
    """How the parts of a stream are written."""

    media_type: str
    heartbeat: bytes

    def head(self, value: JsonObject) -> bytes:
        """Write the first line."""
        ...

    def chunk(self, value: JsonObject) -> bytes:
        """Write chunks by key."""
        ...

    def errors(self, values: list[JsonObject]) -> bytes:
        """Write what went wrong."""
        ...

    def done(self, value: JsonObject) -> bytes:
        """Write the last line."""
        ...


def dump_line(value: object) -> bytes:
    """Write JSON that no client splits within: the line separators of Unicode are escaped."""
    data = orjson.dumps(value)
    if data.isascii():
        return data
    return (
        data.replace(b"\xe2\x80\xa8", rb"\u2028")
        .replace(b"\xe2\x80\xa9", rb"\u2029")
        .replace(b"\xc2\x85", rb"\u0085")
    )


class JsonLines:
    """One JSON object a line; a blank line as heartbeat."""

    media_type = NDJSON
    heartbeat = b"\n"

    def head(self, value: JsonObject) -> bytes:
        """See `Encoding`."""
        return dump_line(value) + b"\n"

    chunk = head

    def errors(self, values: list[JsonObject]) -> bytes:
        """See `Encoding`."""
        return self.head({"errors": values})

    def done(self, value: JsonObject) -> bytes:
        """See `Encoding`."""
        return self.head({"done": value})


class ServerSentEvents:
    """Events `session`, `chunk`, `error` and `done` with the same JSON; a comment as heartbeat."""

    media_type = EVENT_STREAM
    heartbeat = ServerSentEvent(comment="ping", sep="\n").encode()

    def __init__(self) -> None:
        self._sequence = 0

    def head(self, value: JsonObject) -> bytes:
        """See `Encoding`."""
        return self._event("session", value)

    def chunk(self, value: JsonObject) -> bytes:
        """See `Encoding`."""
        return self._event("chunk", value)

    def errors(self, values: list[JsonObject]) -> bytes:
        """See `Encoding`."""
        return self._event("error", {"errors": values})

    def done(self, value: JsonObject) -> bytes:
        """See `Encoding`."""
        return self._event("done", {"done": value})

    def _event(self, event: str, value: JsonObject) -> bytes:
        self._sequence += 1
        data = dump_line(value).decode()
        return ServerSentEvent(data, event=event, id=str(self._sequence), sep="\n").encode()


def encoding_for(accept: str) -> Encoding:
    """Choose server-sent events where the client asks for them, else NDJSON."""
    return ServerSentEvents() if prefers(accept, (EVENT_STREAM,)) else JsonLines()


def stream_headers(encoding: Encoding) -> dict[str, str]:
    """Return the headers of a stream, which keep proxies from holding it back."""
    return {
        "content-type": encoding.media_type,
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
    }


class StreamedAnswer(Response):
    """Sends a source as it comes; leaves the source's context, whatever happens, in the task that sends."""

    def __init__(
        self,
        source: AbstractAsyncContextManager[StreamSource],
        encoding: Encoding,
        *,
        heartbeat: float,
        stall: float,
    ) -> None:
        """Times in seconds: `heartbeat` of silence before a blank line, `stall` of a write before it is cut."""
        self.status_code = 200
        self.background = None
        self.body = b""
        self.init_headers(stream_headers(encoding))
        del self.headers["content-length"]
        self._source = source
        self._encoding = encoding
        self._heartbeat = heartbeat
        self._stall = stall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        del scope
        async with self._source as source, anyio.create_task_group() as group:
            leave = group.cancel_scope.cancel
            group.start_soon(_watch, receive, leave)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            with _Pulse(self._heartbeat, self._stall, source.poke, leave).beating() as pulse:

                async def write(data: bytes) -> None:
                    pulse.writing = True
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                    pulse.wrote()

                await self._write_all(source, write)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            leave()

    async def _write_all(self, source: StreamSource, write: Callable[[bytes], Awaitable[None]]) -> None:
        encoding = self._encoding
        await write(encoding.head(source.head))
        while (chunks := await source.take()) is not None:
            await write(encoding.chunk(chunks) if chunks else encoding.heartbeat)
        errors, done = await source.tail()
        if errors:
            await write(encoding.errors(errors))
        await write(encoding.done(done))


async def client_left(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _watch(receive: Receive, leave: Callable[[], None]) -> None:
    await client_left(receive)
    leave()


class _Pulse:
    """One timer a stream: asks for a heartbeat after silence, and cuts a client that takes nothing."""

    def __init__(
        self, heartbeat: float, stall: float, poke: Callable[[], None], leave: Callable[[], None]
    ) -> None:
        self._heartbeat = heartbeat
        self._stall = stall
        self._poke = poke
        self._leave = leave
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self.writing = False

    def wrote(self) -> None:
        """A write has been taken by the connection."""
        self.writing = False
        self._last = self._loop.time()

    @contextmanager
    def beating(self) -> Generator["_Pulse"]:
        """Run the timer."""
        handle = self._loop.call_later(self._heartbeat, self._beat)
        self._cancel = handle.cancel
        try:
            yield self
        finally:
            self._cancel()

    def _beat(self) -> None:
        silence = self._loop.time() - self._last
        if self.writing:
            if silence >= self._stall:
                self._leave()
                return
        elif silence >= self._heartbeat:
            self._poke()
        if self.writing:
            wait = min(self._heartbeat, self._stall - silence)
        else:
            wait = self._heartbeat - silence if silence < self._heartbeat else self._heartbeat
        self._cancel = self._loop.call_later(wait, self._beat).cancel
