"""The HTTP of the MCP SDK, whose client is not ours, sent through our guarded one.

Nothing is raised into the SDK, whose task groups would fall: what fails is answered as a JSON-RPC error.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from http import HTTPStatus
from typing import Final, Never, TypeVar, cast

import anyio
import httpx
import httpx2
import orjson

from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.errors import AddressRefusedError
from llmstack_api.outbound import body_of

FAILED: Final = -32_050
"""JSON-RPC code of a failure that we tell; `REFUSED`: the address may not be reached."""

REFUSED: Final = -32_051

MAX_ANSWER: Final = 4 * 1024 * 1024
"""Bytes of the answer to one call, events about its progress included."""

MAX_LISTING: Final = 1024 * 1024
"""Bytes of the answer to anything else: the SDK's reading of many tools holds up the loop."""

PROBE_TIMEOUT: Final = 4.0
"""Seconds for the question whether a server speaks the newest protocol, which old ones may leave unanswered."""

AGREED_TIMEOUT: Final = 5.0
"""Seconds for a notification that has to arrive before anything else is asked."""

PARTING_TIMEOUT: Final = 1.0
"""Seconds for the word that a call is given up, or that we leave."""

END_TIMEOUT: Final = 0.1
"""Seconds that the end of the events may come after the answer; else the connection is closed."""

MAX_RESUMPTIONS: Final = 32
"""How often, in a connection, an answer that broke off is asked for again."""

MAX_REPLIES: Final = 64
"""Replies, in a connection, to what the server asks of us; all are refusals but for pings."""

MAX_REDIRECTS: Final = 3

SESSION_ID: Final = "mcp-session-id"
_SESSION_ID: Final = re.compile(r"[!-~]{1,1024}")
_OWN_HEADERS: Final = frozenset(
    {b"accept-encoding", b"connection", b"content-length", b"host", b"user-agent"}
)
_KEEPS_METHOD: Final = frozenset({307, 308})

T = TypeVar("T")


@asynccontextmanager
async def open_client(client: httpx.AsyncClient) -> AsyncGenerator[httpx2.AsyncClient]:
    """Open a client for the SDK that sends through one of ours; words of parting go out by the way."""
    async with asyncio.TaskGroup() as partings:
        transport = Bridge(client, partings)
        async with httpx2.AsyncClient(
            transport=transport, trust_env=False, timeout=None, max_redirects=MAX_REDIRECTS
        ) as opened:
            yield opened


class _GivenUpError(Exception):
    """Nobody waits for the answer any more."""


class _Asked:
    """A request until its answer is read; it may be given up meanwhile."""

    def __init__(self, most: int) -> None:
        self.most = most
        """Bytes that the answer may have."""
        self._given_up = False
        self._scope: anyio.CancelScope | None = None

    def give_up(self) -> None:
        self._given_up = True
        if self._scope is not None:
            self._scope.cancel()

    async def wait(self, action: Callable[[], Awaitable[T]], seconds: float | None = None) -> T | None:
        """Do something; None where that takes too long."""
        if not self._given_up:
            with anyio.move_on_after(seconds) as self._scope:
                return await action()
        if self._given_up:
            raise _GivenUpError
        return None


_current: ContextVar[_Asked] = ContextVar("_current")
"""The request that the running task is about; a resumption does not name it."""


class Bridge(httpx2.AsyncBaseTransport):
    """Sends the SDK's requests through a client of ours, and bounds what comes back."""

    def __init__(self, client: httpx.AsyncClient, partings: asyncio.TaskGroup) -> None:
        self._client = client
        self._partings = partings
        self._asked: dict[Json, _Asked] = {}
        self._resumptions = 0
        self._replies = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request of the SDK."""
        if request.method == "GET":
            return await self._resume(request)
        if request.method != "POST":
            await self._tell(request, PARTING_TIMEOUT)
            return httpx2.Response(200)
        message: JsonObject = json.loads(await request.aread())
        method = message.get("method")
        if method == "notifications/cancelled":
            # The SDK waits for nothing that it calls off, so neither must the next message wait for this one.
            self._give_up(message)
            self._partings.create_task(self._tell(request, PARTING_TIMEOUT))
        elif method is None:
            self._replies += 1
            if self._replies <= MAX_REPLIES:
                await self._tell(request, PARTING_TIMEOUT)
        elif "id" not in message:
            await self._tell(request, AGREED_TIMEOUT)
        else:
            key = message["id"]
            asked = self._asked[key] = _Asked(MAX_ANSWER if method == "tools/call" else MAX_LISTING)
            _current.set(asked)
            return await self._ask(
                request, asked, key=key, seconds=PROBE_TIMEOUT if method == "server/discover" else None
            )
        return httpx2.Response(202)

    async def _resume(self, request: httpx2.Request) -> httpx2.Response:
        """Ask on for an answer that broke off; a stream of what else the server would say is not opened."""
        self._resumptions += "last-event-id" in request.headers
        if "last-event-id" not in request.headers or self._resumptions > MAX_RESUMPTIONS:
            return httpx2.Response(405)
        return await self._ask(request, _current.get(), key=None)

    def _give_up(self, message: JsonObject) -> None:
        asked = self._asked.get(message["params"]["requestId"])
        if asked is not None:
            asked.give_up()

    async def _tell(self, request: httpx2.Request, seconds: float) -> None:
        """Send what needs no answer; what comes of it shows in the next request, if there is one."""
        with anyio.move_on_after(seconds):
            try:
                response = await self._send(request)
            except (AddressRefusedError, httpx.TransportError):
                return
            await response.aclose()

    async def _send(self, request: httpx2.Request) -> httpx.Response:
        headers = [(name, value) for name, value in request.headers.raw if name.lower() not in _OWN_HEADERS]
        ours = self._client.build_request(
            request.method,
            str(request.url),
            headers=[*headers, (b"accept-encoding", b"identity")],
            content=await request.aread(),
        )
        return await self._client.send(ours, stream=True)

    async def _ask(
        self, request: httpx2.Request, asked: _Asked, *, key: Json, seconds: float | None = None
    ) -> httpx2.Response:
        try:
            response = await asked.wait(lambda: self._send(request), seconds)
        except _GivenUpError:
            return await _rest()
        except AddressRefusedError as error:
            return _failure(key, str(error), REFUSED)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return _failure(key, "cannot be reached")
        except httpx.TransportError:
            return _failure(key, "broke the connection, or does not speak HTTP")
        if response is None:
            return _failure(key, "did not answer in time")
        streams = response.status_code == HTTPStatus.OK and _is_of(response, "text/event-stream")
        if streams and not _is_compressed(response):
            return httpx2.Response(200, headers=_kept(response), stream=_Events(response, asked, key))
        try:
            return await _answer(response, asked, key)
        except _GivenUpError:
            await response.aclose()
            return await _rest()
        finally:
            await response.aclose()


async def _rest() -> Never:
    """Wait until we leave: an answer that nobody waits for would end the SDK's session if it came while we do."""
    while True:
        await anyio.sleep_forever()


class _Events(httpx2.AsyncByteStream):
    """An answer that comes as events; where it breaks off, it ends, and the SDK asks on or says so."""

    def __init__(self, response: httpx.Response, asked: _Asked, key: Json) -> None:
        self._response = response
        self._asked = asked
        self._key = key

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body = body_of(self._response)
        taken = 0
        try:
            while data := await self._asked.wait(body.read):
                taken += len(data)
                if taken > self._asked.most:
                    yield b"\n\ndata: %b\n\n" % _error(self._key, _too_large(self._asked), FAILED)
                    return
                yield data
        except _GivenUpError:
            await self._response.aclose()
            await _rest()
        except httpx.TransportError:
            return

    async def aclose(self) -> None:
        try:
            await self._asked.wait(self._read_on, END_TIMEOUT)
        except (_GivenUpError, httpx.TransportError):
            return
        finally:
            await self._response.aclose()

    async def _read_on(self) -> None:
        """Read what follows the answer: mostly the end, after which the connection can be used again."""
        body = body_of(self._response)
        while not body.at_end and await body.read():
            continue


async def _answer(response: httpx.Response, asked: _Asked, key: Json) -> httpx2.Response:
    """Give an answer that comes in one piece."""
    status = response.status_code
    if response.has_redirect_location:
        return _redirect(response, key)
    if _is_compressed(response):
        return _failure(key, "sends its answers compressed without being asked to")
    body, taken = body_of(response), bytearray()
    try:
        while data := await asked.wait(body.read):
            taken += data
            if len(taken) > asked.most:
                return _failure(key, _too_large(asked))
    except httpx.TransportError:
        return _failure(key, "broke off in the middle of an answer")
    if status >= HTTPStatus.BAD_REQUEST and not (_is_of(response, "application/json") and _is_error(taken)):
        return _failure(key, f"answered {status} {response.reason_phrase}".rstrip())
    return httpx2.Response(status, headers=_kept(response), content=bytes(taken))


def _kept(response: httpx.Response) -> dict[str, str]:
    """Give the headers that the SDK reads."""
    headers = {"content-type": response.headers.get("content-type", "")}
    if (session := response.headers.get(SESSION_ID)) and _SESSION_ID.fullmatch(session):
        headers[SESSION_ID] = session
    return headers


def _too_large(asked: _Asked) -> str:
    return f"answered with more than {asked.most} bytes"


def _redirect(response: httpx.Response, key: Json) -> httpx2.Response:
    """Let the SDK follow a redirect that keeps to the server; its own words about others would name the address."""
    asked = response.request.url
    try:
        there = asked.join(response.headers["location"])
    except httpx.InvalidURL:
        there = None
    if (
        there is None
        or response.status_code not in _KEEPS_METHOD
        or (there.scheme, there.netloc) != (asked.scheme, asked.netloc)
    ):
        return _failure(key, "redirects to another address, which is not followed")
    return httpx2.Response(response.status_code, headers={"location": str(there)})


def _is_of(response: httpx.Response, kind: str) -> bool:
    return response.headers.get("content-type", "").lower().startswith(kind)


def _is_compressed(response: httpx.Response) -> bool:
    """Tell whether an answer is compressed, which it was asked not to be: its size would not be bounded."""
    return response.headers.get("content-encoding", "identity").lower() != "identity"


def _is_error(body: bytearray) -> bool:
    """Tell whether an answer is an error of JSON-RPC, whose text says more than a status."""
    try:
        message: Json = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(message, dict) and isinstance(cast("JsonObject", message).get("error"), dict)


def _failure(key: Json, detail: str, code: int = FAILED) -> httpx2.Response:
    """Answer what the SDK takes for the server's error."""
    return httpx2.Response(
        502, headers={"content-type": "application/json"}, content=_error(key, detail, code)
    )


def _error(key: Json, detail: str, code: int) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": key, "error": {"code": code, "message": detail}})
