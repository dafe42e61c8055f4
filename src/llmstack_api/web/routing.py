"""Routes of the API: scope first, then a bounded body, then FastAPI."""

import asyncio
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any, ClassVar, Protocol, TypeVar, cast

import anyio
from anyio import to_thread
from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import ConfigDict
from starlette.requests import ClientDisconnect
from starlette.types import Message

from llmstack_api.auth import Caller, Scope
from llmstack_api.engine.ports import Json
from llmstack_api.engine.strict import StrictModel
from llmstack_api.errors import (
    BodyTooLargeError,
    ForbiddenError,
    MalformedRequestError,
    RequestTimeoutError,
    UnsupportedMediaTypeError,
)
from llmstack_api.resources import Resources
from llmstack_api.web.json import parse_json

JSON = "application/json"
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_LARGE = 65_536
"""Bytes from which on a body is parsed in a thread, so that nobody waits for it."""

_DISCARD_TIMEOUT = 10.0
_DISCARD_SILENCE = 0.5
"""Seconds that the rest of a refused body is waited for, in all and for its next part."""

_CLIENT_LEFT = 499
"""Status in the access log of a request whose client left before its body was whole."""


class _Scoped(Protocol):
    needed_scopes: tuple[Scope, ...]


class BodyReader(Protocol):
    """Turns the bytes of a body into JSON values."""

    def __call__(self, body: bytes, /) -> Json:
        """Parse, bounded; raise a 4xx error."""
        ...


def needs(*scopes: Scope) -> Callable[[Endpoint], Endpoint]:
    """Say which scopes an endpoint takes; any one of them is enough."""

    def mark(endpoint: Endpoint) -> Endpoint:
        cast("_Scoped", endpoint).needed_scopes = scopes
        return endpoint

    return mark


def needed_scopes(route: APIRoute) -> tuple[Scope, ...]:
    """Return the scopes of a route: `read` for GET and `write` for the rest, where it says nothing."""
    default = (Scope.READ,) if "GET" in (route.methods or ()) else (Scope.WRITE,)
    return getattr(route.endpoint, "needed_scopes", default)


class RequestModel(StrictModel):
    """A request body."""

    model_config = ConfigDict(frozen=True)


class _ParsedRequest(Request):
    """A request whose body has been read and parsed."""

    def __init__(self, request: Request, raw: bytes, value: Json) -> None:
        scope = dict(request.scope)
        scope["headers"] = [
            *(header for header in request.scope["headers"] if header[0] != b"content-type"),
            (b"content-type", JSON.encode()),
        ]
        super().__init__(scope, request.receive, request._send)  # noqa: SLF001 # the same connection
        self._body = raw
        self._json = value


class ApiRoute(APIRoute):
    """A route that checks the scope before it reads the body, and reads the body itself."""

    readers: ClassVar[dict[str, BodyReader]] = {JSON: parse_json}
    """Content types that are read, and by what."""

    media_types: ClassVar[tuple[str, ...]] = ()
    """What the answer to another content type names, where that is more than the readers."""

    def get_route_handler(self) -> Handler:
        """Wrap FastAPI's handler."""
        handler = super().get_route_handler()
        scopes = frozenset(needed_scopes(self))

        async def handle(request: Request) -> Response:
            caller: Caller = request.state.caller
            if not scopes & caller.scopes:
                names = " or ".join(sorted(scopes))
                raise ForbiddenError(f"The token needs the scope {names}.")
            if self.body_field is None:
                return await handler(request)
            try:
                raw = await _read_body(request)
            except ClientDisconnect:
                return Response(status_code=_CLIENT_LEFT)
            read = self.reader(request)

            def parse() -> tuple[bytes, Json]:
                value = read(raw)
                return self.identity(raw, value), value

            identity, value = parse() if len(raw) < _LARGE else await to_thread.run_sync(parse)
            return await handler(_ParsedRequest(request, identity, value))

        return handle

    def identity(self, raw: bytes, value: Json) -> bytes:
        """Return what two requests that say the same have in common, for `Idempotency-Key`."""
        del value
        return raw

    def reader(self, request: Request) -> BodyReader:
        """Return what reads the body of a request.

        Raises:
            UnsupportedMediaTypeError: nothing here reads its content type.
        """
        given = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
        reader = self.readers.get(given)
        if reader is None and given.startswith("application/") and given.endswith("+json"):
            reader = parse_json
        if reader is None:
            known = " or ".join(self.media_types or self.readers)
            raise UnsupportedMediaTypeError(
                f"Send the body with 'Content-Type: {known}', not {given[:100]!r}."
            )
        return reader


def api_router(
    prefix: str, *, tags: list[str | Enum] | None = None, route_class: type[ApiRoute] = ApiRoute
) -> APIRouter:
    """Make a router whose routes are `ApiRoute`s."""
    return APIRouter(prefix=prefix, tags=tags, route_class=route_class, strict_content_type=False)


async def _read_body(request: Request) -> bytes:
    """Read the whole body within its bounds of size and time."""
    resources: Resources = request.app.state.resources
    limit, seconds = resources.settings.max_body_bytes, resources.settings.body_timeout
    length = request.headers.get("content-length", "")
    too_large = BodyTooLargeError(f"The body is larger than {limit} bytes.")
    if length.isascii() and length.isdigit() and int(length) > limit:
        if "expect" not in request.headers:
            await _discard(request, limit)
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size <= limit:
                    parts.append(part)
                elif size > 2 * limit:  # what comes before that is thrown away, see `_discard`
                    break
    except TimeoutError:
        if size <= limit:
            raise RequestTimeoutError(f"The body was not whole after {seconds:g} s.") from None
    if size > limit:
        raise too_large
    if not size:
        raise MalformedRequestError("The body is empty; send a JSON object.")
    return b"".join(parts)


async def _discard(request: Request, most: int) -> None:
    """Throw away what still comes of a body that is refused, within bounds.

    A client that sends all of it before it listens would otherwise see a reset and no answer.
    """
    with anyio.move_on_after(_DISCARD_TIMEOUT):
        while most > 0:
            message: Message = {}
            with anyio.move_on_after(_DISCARD_SILENCE):
                message = await request.receive()
            most -= len(message.get("body", b""))
            if not message.get("more_body"):
                return
