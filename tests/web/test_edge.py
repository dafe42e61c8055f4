"""The edge: tokens, request ids, headers, bounded bodies, and a problem for every error."""

import asyncio
import contextlib
import http.client
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from llmstack_api.auth import Scope
from tests.runs.streams import ECHO, make_app
from tests.server import RunningServer

LIMIT = 1_000_000
"""`max_body_bytes` of the `server` fixture."""


def assert_problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    problem = answer.json()
    assert answer.status_code == problem["status"] == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"].endswith(f"#{slug}")
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    return problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Token {}"),
        ("Authorization", "token {}"),
        ("Authorization", "Token: {}"),
        ("Authorization", "Bearer {}"),
        ("Token", "{}"),
    ],
)
async def test_a_token_is_taken_in_every_documented_form(
    server: RunningServer, name: str, value: str
) -> None:
    headers = {name: value.format(await server.token())}
    async with httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.get("/api/apps", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Token"},
        {"Authorization": "Token nonsense"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": "Token lls_" + "a" * 38},
        {"Authorization": "Token " + "x" * 5000},
        {"Token": "lls_x"},
        {"Authorization": b"Token \xff\xfe"},
    ],
)
@pytest.mark.parametrize("path", ["/api/apps", "/api/none", "/", "/none"])
async def test_without_a_valid_token_everything_is_a_401(
    server: RunningServer, headers: Any, path: str
) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.get(path, headers=headers)

    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Token"


async def test_a_401_comes_before_the_body_is_read(server: RunningServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
    writer.write(
        b"POST /api/apps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n{"
    )
    async with asyncio.timeout(2):
        assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    writer.close()


async def test_a_token_without_the_scope_is_a_403_before_the_body_is_looked_at(server: RunningServer) -> None:
    async with server.client(scopes=[Scope.READ]) as client:
        answer = await client.post(
            "/api/apps", content=b"{nonsense", headers={"Content-Type": "application/json"}
        )

    assert "write" in assert_problem(answer, 403, "forbidden")["detail"]


async def test_health_is_open_and_names_nothing(server: RunningServer) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        live, ready = await client.get("/health/live"), await client.get("/health/ready")

    assert (live.status_code, live.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ok"})


async def test_while_draining_reads_go_on_and_new_work_is_refused(
    server: RunningServer, client: httpx.AsyncClient
) -> None:
    app = await make_app(client, ECHO)
    server.resources.draining = True
    refused = await client.post(f"{app}/run", json={})

    assert_problem(refused, 503, "draining")
    assert refused.headers["retry-after"]
    assert (await client.get("/api/apps")).status_code == 200
    assert_problem(await client.get("/health/ready"), 503, "draining")
    assert (await client.get("/health/live")).status_code == 200


@pytest.mark.parametrize(
    ("given", "kept"),
    [("Abc-1.2:3_4", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("ä", False)],
)
async def test_a_request_id_is_kept_where_it_is_safe(
    client: httpx.AsyncClient, given: str, *, kept: bool
) -> None:
    answer = await client.get("/api/apps", headers=[(b"X-Request-Id", given.encode())])

    assert (answer.headers["x-request-id"] == given) == kept
    assert answer.headers["cache-control"] == "no-store"


async def test_unknown_paths_and_methods_are_problems(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/api/none"), 404, "not-found")
    assert_problem(await client.get("/api/apps/"), 404, "not-found")
    answer = await client.put("/api/runs")
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET"
    assert (await client.put("/api/apps")).headers["allow"] == "GET, POST"
    assert (await client.put("/api/apps/x")).headers["allow"] == "DELETE, GET, PATCH"


BAD_BODIES: list[tuple[bytes, int, str]] = [
    (b"", 400, "malformed-request"),
    (b"{", 400, "malformed-request"),
    (b'{"input": NaN}', 400, "malformed-request"),
    (b'{"input": {"question": 1e999}}', 400, "malformed-request"),
    (b"[" * 10_000 + b"]" * 10_000, 400, "malformed-request"),
    (b'{"input": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, 400, "malformed-request"),
    (b'{"input": {"question": ' + b"[" * 900 + b"]" * 900 + b"}}", 422, "invalid-input"),
    (b"\xff\xfe{}", 400, "malformed-request"),
    (b"[]", 422, "invalid-input"),
    (b'"text"', 422, "invalid-input"),
    (b"null", 422, "invalid-input"),
    (b'{"input": {"question": "a\\u0000b"}}', 422, "invalid-input"),
    (b'{"input": {"qu\\u0000estion": "x"}}', 422, "invalid-input"),
    (b'{"input": {"question": "\\ud800"}}', 0, ""),
    (b'{"input": {"question": "\xed\xa0\x80"}}', 422, "invalid-input"),
    (b'{"input": {"question": 123456789012345678901234567890}}', 0, ""),
]


@pytest.mark.parametrize(
    ("body", "status", "slug"), BAD_BODIES, ids=[repr(body[:40]) for body, _, _ in BAD_BODIES]
)
async def test_a_body_that_is_bad_is_a_4xx_and_the_next_request_is_served(
    client: httpx.AsyncClient, body: bytes, status: int, slug: str
) -> None:
    app = await make_app(client, ECHO)
    for path in (f"{app}/run", "/api/apps"):
        answer = await client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500
        if path.endswith("run") and status:
            assert_problem(answer, status, slug)
    assert (await client.post(f"{app}/run", json={})).status_code == 200
    assert len((await client.get("/api/runs")).json()) == 1


async def test_a_body_may_be_as_large_as_the_limit_and_not_a_byte_larger(client: httpx.AsyncClient) -> None:
    app = await make_app(client, ECHO)
    frame = len(json.dumps({"input": {"question": ""}}))
    for size, status in ((LIMIT, 200), (LIMIT + 1, 413)):
        body = json.dumps({"input": {"question": "x" * (size - frame)}}).encode()
        assert len(body) == size

        async def dripped(body: bytes = body) -> AsyncGenerator[bytes]:
            for start in range(0, len(body), 300_000):
                yield body[start : start + 300_000]

        for content in (body, dripped()):
            answer = await client.post(
                f"{app}/run", content=content, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == status
            if status == 413:
                assert_problem(answer, 413, "body-too-large")


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
@pytest.mark.parametrize("size", [LIMIT + 1, 2 * LIMIT - 1])
async def test_a_client_that_sends_all_before_it_listens_gets_the_413(
    server: RunningServer, size: int, connection: str
) -> None:
    headers = {"Token": await server.token(), "Content-Type": "application/json", "Connection": connection}
    port = int(server.url.rsplit(":", 1)[1])

    def post() -> int:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as client:
            client.request("POST", "/api/tokens", b"x" * size, headers)
            return client.getresponse().status

    assert await asyncio.to_thread(post) == 413


async def test_a_body_that_was_announced_too_large_is_not_waited_for_long(server: RunningServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
    head = f"POST /api/apps HTTP/1.1\r\nHost: x\r\nToken: {await server.token()}\r\nContent-Length: 99000000\r\n\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.close()


async def test_a_body_that_is_not_whole_in_time_is_a_408(server: RunningServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
    head = (
        f"POST /api/apps HTTP/1.1\r\nHost: x\r\nToken: {await server.token()}\r\nContent-Length: 900\r\n\r\n"
    )
    writer.write(head.encode())
    async with asyncio.timeout(5):
        answer = (await reader.read()).decode()
        while "request-timeout" not in answer:
            answer += (await reader.read()).decode()
    writer.close()

    assert answer.startswith("HTTP/1.1 408")
    assert "connection: close" in answer.lower()


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "x"]
)
async def test_another_content_type_is_a_415_that_says_what_is_read(
    client: httpx.AsyncClient, media_type: str
) -> None:
    app = await make_app(client, ECHO)
    answer = await client.post(f"{app}/run", content=b"{}", headers={"Content-Type": media_type})

    assert "application/json" in assert_problem(answer, 415, "unsupported-media-type")["detail"]


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=utf-8", "application/vnd.x+json", None]
)
async def test_json_is_read_under_its_names_and_without_any(
    client: httpx.AsyncClient, media_type: str | None
) -> None:
    app = await make_app(client, ECHO)
    headers = {"Content-Type": media_type} if media_type else {}
    answer = await client.post(f"{app}/run", content=b'{"input": {"question": "hi"}}', headers=headers)

    assert answer.json()["output"]["answer"] == "hi"


async def test_a_crash_is_a_problem_that_tells_nothing(
    server: RunningServer, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await make_app(client, ECHO)
    monkeypatch.delattr(server.app.state, "executor")
    answer = await client.post(f"{app}/run", json={})

    problem = assert_problem(answer, 500, "internal-error")
    assert "executor" not in str(problem)
