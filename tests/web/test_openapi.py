import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from openapi_schema_validator import OAS32Validator
from openapi_spec_validator import OpenAPIV32SpecValidator

from llmstack_api.app import create_app
from llmstack_api.settings import Settings
from llmstack_api.web.problem_kinds import problem_kinds
from llmstack_api.web.problems import MEDIA_TYPE
from tests.web.snapshots import check_snapshot

Operation = dict[str, Any]

UNDOCUMENTED = {"/openapi.json", "/docs", "/docs/problems", "/docs/static/{version}/{name}"}
"""Pages for people and the document itself."""

STREAMS = {"application/x-ndjson", "text/event-stream"}


@cache
def app() -> FastAPI:
    return create_app(Settings.load(_env_file=None))


def document() -> dict[str, Any]:
    return app().openapi()


def operations() -> Iterator[tuple[str, Operation]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def resolve(value: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference."""
    while "$ref" in value:
        found: Any = document()
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value


def examples(content: dict[str, Any]) -> list[Any]:
    """All examples of a media type."""
    several = [resolve(example)["value"] for example in content.get("examples", {}).values()]
    return several + ([content["example"]] if "example" in content else [])


def faults(schema: dict[str, Any], value: object) -> list[str]:
    validator = OAS32Validator({**schema, "components": document()["components"]})
    return [error.message for error in validator.iter_errors(value)]  # pyright: ignore[reportUnknownMemberType] # untyped


def test_the_document_is_valid() -> None:
    assert document()["openapi"] == "3.2.0"
    errors = list(OpenAPIV32SpecValidator(document()).iter_errors())  # type: ignore[arg-type] # a plain dict will do
    assert errors == []


def test_the_snapshot_shows_what_changes() -> None:
    check_snapshot("tests/openapi.json", json.dumps(document(), indent=1, ensure_ascii=False) + "\n")


def test_every_route_is_in_the_document_or_known_not_to_be() -> None:
    served = {
        (method, route.path_format)
        for route in iter_route_contexts(app().routes)
        for method in route.methods or ()
        if route.path_format not in UNDOCUMENTED and method != "HEAD"  # as GET, without the body
    }
    assert served == {tuple(name.split(" ")) for name, _ in operations()}


def test_every_operation_says_what_it_does() -> None:
    ids = [operation["operationId"] for _, operation in operations()]
    assert len(set(ids)) == len(ids)
    tags = [tag["name"] for tag in document()["tags"]]
    assert all(tag["description"] for tag in document()["tags"])
    for name, operation in operations():
        assert operation["summary"], name
        assert operation["description"], name
        assert len(operation["operationId"]) <= 24, name
        assert len(operation["tags"]) == 1, name
        assert operation["tags"][0] in tags, name
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (name, parameter["name"])


def test_every_body_and_every_answer_has_examples_that_fit_their_schemas() -> None:
    for name, operation in operations():
        bodies = {"body": operation["requestBody"]} if "requestBody" in operation else {}
        for place, holder in (bodies | operation["responses"]).items():
            assert place == "body" or holder["description"] not in ("", "Successful Response"), (name, place)
            for media_type, content in holder.get("content", {}).items():
                assert examples(content), (name, place, media_type)
                for example in examples(content):
                    if media_type not in STREAMS:
                        assert faults(content["schema"], example) == [], (name, place, media_type)


def test_the_streamed_examples_fit_their_schema_and_stitch_to_the_blocking_one() -> None:
    content = document()["paths"]["/api/apps/{app_uuid}/run"]["post"]["responses"]["200"]["content"]
    blocking = content["application/json"]["example"]
    lines = content["application/x-ndjson"]["example"].splitlines()
    events = content["text/event-stream"]["example"].splitlines()
    assert [line.removeprefix("data: ") for line in events if line.startswith("data: ")] == lines
    values = [json.loads(line) for line in lines]
    for media_type in STREAMS:
        for value in values:
            assert faults(content[media_type]["itemSchema"], value) == []
    stitched: dict[str, Any] = {}
    for value in values[1:-1]:
        for key, chunk in value.items():
            stitched[key] = stitched[key] + chunk if key in stitched else chunk
    assert stitched == blocking["output"]
    assert values[0]["session"] == blocking["session"]
    assert values[-1]["done"]["usage"] == blocking["usage"]


def test_every_operation_says_which_scopes_its_token_needs() -> None:
    schemes = set(document()["components"]["securitySchemes"])
    assert {name for requirement in document()["security"] for name in requirement} == schemes
    needed: dict[str, set[str]] = {}
    for name, operation in operations():
        scopes = {scope for item in operation["security"] for scopes in item.values() for scope in scopes}
        assert all(f"`{scope}`" in operation["description"].rpartition("Scope: ")[2] for scope in scopes), (
            name
        )
        assert {scheme for item in operation["security"] for scheme in item} in (schemes, set()), name
        needed[name] = scopes
    assert needed["POST /api/apps/{app_uuid}/run"] == {"run"}
    assert needed["GET /api/runs"] == {"run", "read"}
    assert needed["GET /api/apps"] == {"read"}
    assert needed["POST /api/apps"] == {"write"}
    assert needed["POST /api/tokens"] == {"admin"}
    assert {name for name, scopes in needed.items() if not scopes} == {
        "GET /health/live",
        "GET /health/ready",
    }


def test_every_problem_an_operation_can_answer_is_documented_as_one() -> None:
    for name, operation in operations():
        responses = operation["responses"]
        problems = {status for status in responses if status >= "400"}
        assert all(list(responses[status]["content"]) == [MEDIA_TYPE] for status in problems), name
        if name.split(" ")[1].startswith("/api/"):
            assert problems >= {"401", "403", "500", "503"}, name
        if "requestBody" in operation:
            assert problems >= {"400", "408", "413", "415", "422", "507"}, name
        if "{" in name:
            assert "404" in problems, name
        for status in problems:
            for slug, example in responses[status]["content"][MEDIA_TYPE]["examples"].items():
                value = resolve(example)["value"]
                assert (value["status"], value["type"]) == (int(status), f"/docs/problems#{slug}"), name


def test_every_problem_of_an_endpoint_is_an_example_somewhere() -> None:
    shown = {
        slug
        for _, operation in operations()
        for response in operation["responses"].values()
        for slug in response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", ())
    }
    assert {kind.slug for kind in problem_kinds()} - shown == {"method-not-allowed"}


def test_nothing_of_fastapis_own_errors_is_left() -> None:
    text = json.dumps(document())
    assert "HTTPValidationError" not in text
    assert "ValidationError" not in document()["components"]["schemas"]
    assert {"Problem", "StreamLine"} <= document()["components"]["schemas"].keys()


def test_common_headers_are_described_once() -> None:
    for name, operation in operations():
        for status, response in operation["responses"].items():
            if status < "400":
                assert response["headers"]["X-Request-Id"] == {"$ref": "#/components/headers/X-Request-Id"}, (
                    name
                )
    assert document()["components"]["headers"]["X-Request-Id"]["description"]


def test_the_run_endpoints_show_code() -> None:
    for path in ("/api/apps/{app_uuid}/run", "/api/apps/{app_uuid}/run/{session_id}"):
        samples = document()["paths"][path]["post"]["x-codeSamples"]
        assert [sample["label"] for sample in samples] == [
            "curl",
            "Python",
            "curl with a file",
            "requests with a file",
        ]
        for sample in samples:
            assert sample["lang"] in ("Shell", "Python")
            if sample["lang"] == "Python":
                compile(sample["source"], "sample", "exec")


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_the_document_is_open_and_cached_by_its_etag(encoding: str) -> None:
    transport = httpx.ASGITransport(app())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/openapi.json", headers={"Accept-Encoding": encoding})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers.get("content-encoding", "identity") == encoding
        assert answer.json() == json.loads(json.dumps(document()))
        again = await client.get("/openapi.json", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
