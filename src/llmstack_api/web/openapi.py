"""The OpenAPI document: what FastAPI derives from the routes, completed by what it cannot know."""

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import orjson
from anyio import to_thread
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from llmstack_api.engine.ports import Json, JsonObject
from llmstack_api.errors import (
    AddressRefusedError,
    AppNotFoundError,
    ConflictError,
    DatasourceNotFoundError,
    DrainingError,
    EmbeddingAwayError,
    EmbeddingRefusedError,
    EntryNotFoundError,
    IdempotencyInProgressError,
    IdempotencyMismatchError,
    InvalidDefinitionError,
    InvalidFilterError,
    LLMStackError,
    ProviderNotFoundError,
    RunError,
    RunNotFoundError,
    SecretsNotConfiguredError,
    SessionNotFoundError,
    TemplateNotFoundError,
    TokenNotFoundError,
    VectorStoreAwayError,
    VersionNotFoundError,
)
from llmstack_api.web import openapi_parts as parts
from llmstack_api.web.assets import Asset
from llmstack_api.web.problem_kinds import ProblemKind, problem_kinds
from llmstack_api.web.problems import MEDIA_TYPE, problems
from llmstack_api.web.routing import JSON, ApiRoute, needed_scopes
from llmstack_api.web.streaming import NDJSON

VERSION = "3.2.0"
"""The first to describe a stream of objects (`itemSchema`)."""

_SCHEMAS = "#/components/schemas/"
_FASTAPI_SUCCESS = "Successful Response"
_UNUSED_SCHEMAS = ("HTTPValidationError", "ValidationError")
"""FastAPI's own 422, which is a problem here."""


def install(app: FastAPI) -> None:
    """Serve the document at `/openapi.json`; it is built when first asked for."""
    app.openapi_version = VERSION
    build = cache(lambda: _document(app))
    written = cache(lambda: Asset.of(orjson.dumps(build()), JSON))
    app.openapi = build

    @app.api_route("/openapi.json", methods=["GET", "HEAD"], include_in_schema=False)
    async def get_document(request: Request) -> Response:
        return (await to_thread.run_sync(written)).respond(request, {"Cache-Control": "no-cache"})

    _ = get_document


def _document(app: FastAPI) -> JsonObject:
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version=VERSION,
        summary="Self-hosted server for LLM apps.",
        description=parts.DESCRIPTION,
        routes=app.routes,
        tags=parts.TAGS,
        servers=[{"url": "/"}],
    )
    components = cast("JsonObject", document.setdefault("components", {}))
    schemas = cast("JsonObject", components.setdefault("schemas", {}))
    for route, operation in _operations(app, document):
        _complete(route, operation, schemas)
    for name in _UNUSED_SCHEMAS:
        schemas.pop(name, None)
    schemas |= parts.SCHEMAS
    components["schemas"] = dict(sorted(schemas.items()))
    document["security"] = [{scheme: list[str]()} for scheme in parts.SECURITY_SCHEMES]
    components["securitySchemes"] = parts.SECURITY_SCHEMES
    components["headers"] = parts.HEADERS
    components["examples"] = {
        kind.slug: {"summary": kind.title, "value": kind.example} for kind in problem_kinds()
    }
    return document


def _operations(app: FastAPI, document: JsonObject) -> Iterator[tuple[RouteContext, JsonObject]]:
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                yield route, document["paths"][route.path_format][method.lower()]


def _complete(route: RouteContext, operation: JsonObject, schemas: JsonObject) -> None:
    operation["operationId"] = route.name
    _restore_examples(route, operation)
    _describe_access(route, operation)
    for parameter in operation.get("parameters", ()):
        _complete_parameter(parameter)
    if "requestBody" in operation:
        _name_schemas(operation["requestBody"], schemas)
        _add_examples(operation["requestBody"], schemas)
    responses = cast("dict[str, JsonObject]", operation["responses"])
    for status, response in problems(*_missing(route, operation)).items():
        responses[str(status)] = response
    for status, response in responses.items():
        if MEDIA_TYPE in response.get("content", {}):
            _complete_problem(route, operation, int(status), response)
        else:
            _add_examples(response, schemas)
            _complete_success(operation, response)
    operation["responses"] = dict(sorted(responses.items()))


def _describe_access(route: RouteContext, operation: JsonObject) -> None:
    original = cast("APIRoute", route.original_route)
    if not isinstance(original, ApiRoute):
        operation["security"] = []
        return
    scopes = needed_scopes(original)
    names = " or ".join(f"`{scope}`" for scope in scopes)
    operation["security"] = parts.security(scopes)
    operation["description"] = f"{operation['description'].rstrip()}\n\nScope: {names}."


def _complete_parameter(parameter: JsonObject) -> None:
    parameter.setdefault("description", parts.PARAMETERS.get(parameter["name"], ""))
    schema = parameter["schema"]
    said_already = ("title", "description")
    alternatives = [part for part in schema.get("anyOf", ()) if part != {"type": "null"}]
    if len(alternatives) == 1:  # a parameter left out is absent; there is no writing null
        schema = {key: value for key, value in schema.items() if key != "anyOf"} | alternatives[0]
    parameter["schema"] = {key: value for key, value in schema.items() if key not in said_already}


# --- problems --------------------------------------------------------------------------------------------


def _missing(route: RouteContext, operation: JsonObject) -> set[int]:
    """Return the statuses of problems that the operation can answer and its route does not name."""
    if not isinstance(route.original_route, ApiRoute):
        return set()
    places = {parameter["in"] for parameter in operation.get("parameters", ())}
    wanted = {401, 403, 500, 503}
    if "path" in places:
        wanted.add(404)
    if places & {"query", "header"}:
        wanted.add(422)
    if "requestBody" in operation:
        wanted |= {400, 408, 413, 415, 422}
    if route.methods != {"GET"}:
        wanted.add(507)
    if _is_idempotent(operation):
        wanted.add(409)
    # FastAPI adds its own 422 wherever anything is validated; a malformed path is a 404 here.
    if MEDIA_TYPE not in operation["responses"].get("422", {}).get("content", {}):
        operation["responses"].pop("422", None)
    return wanted - {int(status) for status in operation["responses"]}


def _complete_problem(route: RouteContext, operation: JsonObject, status: int, response: JsonObject) -> None:
    kinds = [kind for kind in problem_kinds() if kind.status == status and _answers(route, operation, kind)]
    response["content"][MEDIA_TYPE]["examples"] = {
        kind.slug: {"$ref": f"#/components/examples/{kind.slug}"} for kind in kinds
    }
    if status == 401:  # noqa: PLR2004 # unauthorized
        response["headers"] = parts.header_refs("WWW-Authenticate")
    elif status in (409, 503):
        response["headers"] = parts.header_refs("Retry-After")


def _answers(route: RouteContext, operation: JsonObject, kind: ProblemKind) -> bool:
    """Tell whether an operation can answer a kind of problem that has one of its statuses."""
    path = route.path_format or ""
    runs_an_app = NDJSON in operation["responses"].get("200", {}).get("content", {})
    idempotent = _is_idempotent(operation)
    searches = path.endswith("/search")
    particular: dict[type[LLMStackError], bool] = {
        IdempotencyInProgressError: idempotent,
        IdempotencyMismatchError: idempotent,
        ConflictError: not idempotent,
        InvalidDefinitionError: operation["tags"] == ["Apps"] and "requestBody" in operation,
        DrainingError: route.methods != {"GET"} or not isinstance(route.original_route, ApiRoute),
        AppNotFoundError: "{app_uuid}" in path,
        VersionNotFoundError: "{number}" in path,
        SessionNotFoundError: "{session_id}" in path and not runs_an_app,
        RunNotFoundError: "{run_id}" in path,
        TokenNotFoundError: "{token_uuid}" in path,
        DatasourceNotFoundError: "{datasource_uuid}" in path,
        EntryNotFoundError: "{entry_uuid}" in path or "{external_id}" in path,
        TemplateNotFoundError: path.endswith("/templates/{slug}"),
        ProviderNotFoundError: "{slug}" in path and _is_about_providers(operation),
        SecretsNotConfiguredError: "requestBody" in operation and _is_about_providers(operation),
        AddressRefusedError: runs_an_app or _takes_addresses(operation),
        InvalidFilterError: searches or _takes_filters(operation),
        VectorStoreAwayError: searches,
        EmbeddingAwayError: searches,
        EmbeddingRefusedError: searches,
    }
    return particular.get(kind.error, runs_an_app if issubclass(kind.error, RunError) else True)


def _takes_filters(operation: JsonObject) -> bool:
    return any(parameter["name"] == "filters" for parameter in operation.get("parameters", ()))


def _takes_addresses(operation: JsonObject) -> bool:
    return operation["tags"] in (["Entries"], ["Providers"]) and "requestBody" in operation


def _is_about_providers(operation: JsonObject) -> bool:
    return operation["tags"] == ["Providers"]


def _is_idempotent(operation: JsonObject) -> bool:
    return any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ()))


# --- answers and bodies ----------------------------------------------------------------------------------


def _complete_success(operation: JsonObject, response: JsonObject) -> None:
    if response["description"] == _FASTAPI_SUCCESS:
        response["description"] = "Done."
    headers = cast("JsonObject", response.setdefault("headers", {}))
    headers |= parts.header_refs("X-Request-Id")
    if _is_idempotent(operation):
        headers |= parts.IDEMPOTENT_HEADERS


def _restore_examples(route: RouteContext, operation: JsonObject) -> None:
    """Put the examples in as they were written: FastAPI takes the nulls out of them."""
    written: list[tuple[JsonObject, JsonObject]] = [
        (response, operation["responses"][str(status)]) for status, response in route.responses.items()
    ]
    if "requestBody" in operation:
        body = getattr(route.body_field.field_info, "openapi_examples", None)
        extra = cast("JsonObject", route.openapi_extra or {})
        requests = (extra.get("requestBody", {}), {"content": {JSON: {"examples": body}}} if body else {})
        written += [(request, operation["requestBody"]) for request in requests]
    for source, target in written:
        for media_type, content in cast("dict[str, JsonObject]", source.get("content", {})).items():
            given = {key: content[key] for key in ("example", "examples") if key in content}
            target["content"][media_type].update(copy.deepcopy(given))


def _name_schemas(holder: JsonObject, schemas: JsonObject) -> None:
    """Move a schema that stands in a body under its title to the others."""
    for content in cast("dict[str, JsonObject]", holder["content"]).values():
        schema = cast("JsonObject", content["schema"])
        if "properties" in schema:
            for part in schema["properties"].values():
                if part.get("default") == "":  # the empty string means absent, so it is no value to take
                    del part["default"]
            schemas[schema["title"]] = schema
            content["schema"] = {"$ref": _SCHEMAS + schema["title"]}


def _add_examples(holder: JsonObject, schemas: JsonObject) -> None:
    """Put an example beside each schema that has none, made from what its properties say."""
    for content in cast("dict[str, JsonObject]", holder.get("content", {})).values():
        schema = cast("JsonObject", content.get("schema", {}))
        schema.pop("title", None)
        if "example" in content or "examples" in content:
            continue
        reference = str(schema.get("$ref", ""))
        content["example"] = _example(schemas[reference.removeprefix(_SCHEMAS)] if reference else schema)


def _example(schema: JsonObject) -> JsonObject:
    properties = cast("dict[str, dict[str, Any]]", schema.get("properties", {}))
    found = ((name, _value(part)) for name, part in properties.items())
    return {name: value[0] for name, value in found if value}


def _value(schema: JsonObject) -> list[Json]:
    return list(schema.get("examples", ()))[:1] or [schema[key] for key in ("const",) if key in schema]
