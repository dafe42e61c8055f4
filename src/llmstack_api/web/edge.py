"""The outermost layer: request ids, tokens, safe headers, the access log, and a problem for whatever is raised."""

import re
import time
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmstack_api.errors import DrainingError, LLMStackError, UnauthorizedError
from llmstack_api.models import new_id
from llmstack_api.resources import Resources
from llmstack_api.web.problems import problem

log = structlog.get_logger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_OPEN = ("/docs", "/health/")
_SCHEMES = ("token", "token:", "bearer")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Edge:
    """Pure ASGI: adds nothing to a streamed chunk."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(new_id())
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        under_api = f"{scope['path']}/".startswith("/api/")
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                out = MutableHeaders(scope=message)
                out["X-Request-Id"] = request_id
                out["X-Content-Type-Options"] = "nosniff"
                if under_api:
                    out.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self._serve(scope, receive, send_with_headers, headers)
        except Exception as error:
            log.exception("request_crashed", error=type(error).__name__)
            if status:
                raise
            await problem(LLMStackError("The server failed; its log says more."), scope)(
                scope, receive, send_with_headers
            )
        finally:
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=round((time.perf_counter() - began) * 1000, 2),
            )
            structlog.contextvars.unbind_contextvars("request_id")

    async def _serve(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        path = scope["path"]
        if path == "/openapi.json" or path.startswith(_OPEN):
            await self.app(scope, receive, send)
            return
        resources: Resources = scope["app"].state.resources
        try:
            scope["state"]["caller"] = await _authenticated(headers, resources)
            if resources.draining and scope["method"] not in _SAFE_METHODS:
                raise DrainingError("The server is shutting down; try again shortly.")
        except LLMStackError as error:
            await problem(error, scope)(scope, receive, send)
            return
        await self.app(scope, receive, send)


async def _authenticated(headers: Headers, resources: Resources) -> object:
    secret = _secret(headers)
    caller = await resources.authenticator.caller(secret) if secret else None
    if caller is None:
        raise UnauthorizedError(
            "Send a valid token in the header 'Authorization: Token <token>'. The documentation is at /docs."
        )
    return caller


def _secret(headers: Headers) -> str | None:
    """Take the token from `Authorization: Token|Token:|Bearer <token>` or `Token: <token>`."""
    scheme, _, secret = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() not in _SCHEMES:
        secret = headers.get("token", "")
    return secret.strip() or None
