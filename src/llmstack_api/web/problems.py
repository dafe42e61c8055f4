"""Errors as `application/problem+json` (RFC 9457): the one place where they become HTTP."""

import math
from collections.abc import Mapping
from typing import Any, cast

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from llmstack_api.engine.definition import known_keys, message, place
from llmstack_api.engine.ports import JsonObject
from llmstack_api.errors import (
    Fault,
    InvalidInputError,
    LLMStackError,
    MalformedRequestError,
    MethodNotAllowedError,
    NotFoundError,
    RunError,
    UnauthorizedError,
)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "/docs/problems#"
"""Where each type is explained; the slug follows."""

_CLOSES = frozenset({408})
"""Statuses after which a connection cannot be used again."""


def request_id(scope: Mapping[str, Any]) -> str:
    """Return the id that the edge gave this request."""
    return cast("str", scope["state"]["request_id"])


def problem(error: LLMStackError, scope: Mapping[str, Any], **extra: str | None) -> Response:
    """Make the answer that tells of an error."""
    body: JsonObject = {
        "type": TYPE_PREFIX + error.slug,
        "title": error.title,
        "status": error.status,
        "detail": str(error),
        "request_id": request_id(scope),
    }
    processor = error.processor if isinstance(error, RunError) else None
    faults = error.faults
    if error.status == InvalidInputError.status and not faults:
        faults = (Fault(processor or "", str(error)),)
    if faults:
        body["errors"] = [{"loc": fault.loc, "msg": fault.msg} for fault in faults]
    if processor is not None:
        body["processor"] = processor
    body.update({key: value for key, value in extra.items() if value is not None})
    headers: dict[str, str] = {}
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = "Token"
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if error.status in _CLOSES:
        headers["Connection"] = "close"
    return Response(orjson.dumps(body), error.status, headers, MEDIA_TYPE)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document the errors an endpoint answers, for OpenAPI."""
    return {
        status: {
            "description": _MEANINGS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


_MEANINGS = {
    400: "The body is malformed.",
    401: "No valid token.",
    403: "The token lacks the scope.",
    404: "No such thing in this account.",
    408: "The body did not arrive in time.",
    409: "Not possible now.",
    413: "The body is too large.",
    415: "The content type is not read here.",
    422: "Something in the request is wrong; `errors` names each.",
    424: "The model provider is not configured, or refused us.",
    500: "The server or a processor failed.",
    502: "The model provider failed.",
    503: "Away, busy or shutting down; see Retry-After.",
    504: "The model provider, a step or the run took too long.",
    507: "The storage is full.",
}

PROBLEM_SCHEMA: JsonObject = {
    "title": "Problem",
    "description": "RFC 9457 problem details.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "Ends in the error's slug."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What went wrong, for a person."},
        "request_id": {"type": "string", "description": "The same as in the X-Request-Id header."},
        "errors": {
            "type": "array",
            "description": "Every fault, on 422.",
            "items": {
                "type": "object",
                "required": ["loc", "msg"],
                "properties": {"loc": {"type": "string"}, "msg": {"type": "string"}},
            },
        },
        "processor": {"type": "string", "description": "The step that failed, on a failed run."},
        "run_id": {"type": "string", "description": "The recorded run, on a failed run."},
    },
}


def install(app: FastAPI) -> None:
    """Answer every error that an endpoint or the router raises with a problem."""
    app.add_exception_handler(LLMStackError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _starlette)


async def _known(request: Request, error: Exception) -> Response:
    return problem(cast("LLMStackError", error), request.scope)


async def _invalid(request: Request, error: Exception) -> Response:
    items = cast("RequestValidationError", error).errors()
    if any(item["loc"][0] == "path" for item in items):
        return problem(NotFoundError("There is nothing at this address."), request.scope)
    faults = tuple(
        Fault(_loc(item["loc"]), message(item, _known_keys(request, item["loc"]))) for item in items
    )
    first = faults[0]
    detail = f"{first.loc}: {first.msg}" if first.loc else first.msg
    return problem(InvalidInputError(detail, faults=faults), request.scope)


def _loc(loc: tuple[str | int, ...]) -> str:
    return place(loc[1:] if loc[0] == "body" else loc)


def _known_keys(request: Request, loc: tuple[str | int, ...]) -> list[str] | None:
    """Name the keys that the request's model, or the one inside it where the fault lies, takes."""
    body_field = getattr(request.scope.get("route"), "body_field", None)
    model = getattr(getattr(body_field, "field_info", None), "annotation", None)
    if loc[0] != "body" or not (isinstance(model, type) and issubclass(model, BaseModel)):
        return None
    return known_keys(model, loc[1:])


def _methods_at(request: Request) -> list[str]:
    """Return the methods of every route at a path; the router knows those of the first alone."""
    return sorted(
        method
        for route in iter_route_contexts(request.app.routes)
        if compile_path(route.path_format or "")[0].match(request.url.path)
        for method in route.methods or ()
    )


async def _starlette(request: Request, error: Exception) -> Response:
    status = cast("HTTPException", error).status_code
    if status == NotFoundError.status:
        return problem(NotFoundError("There is nothing at this address."), request.scope)
    if status == MethodNotAllowedError.status:
        answer = problem(MethodNotAllowedError(f"{request.method} is not possible here."), request.scope)
        answer.headers["Allow"] = ", ".join(_methods_at(request))
        return answer
    return problem(MalformedRequestError("The request could not be read."), request.scope)
