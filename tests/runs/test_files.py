"""Runs with files: data URIs in JSON, forms of several clients, and what is kept of them."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

from llmstack_api.engine.ports import File
from llmstack_api.engine.sent import FormText, SentFile
from llmstack_api.runs.requests import read_run_form
from llmstack_api.settings import Settings
from tests.apps.calls import locs
from tests.runs.streams import last_run, make_app, stitch
from tests.server import RunningServer, running_server

ECHO_FILE: dict[str, Any] = {
    "name": "Echo a file",
    "input_fields": [
        {
            "name": "file",
            "type": "file",
            "required": True,
            "accept": ["text/*", ".bin"],
            "max_bytes": 100_000,
        },
        {"name": "question", "type": "text"},
        {"name": "number", "type": "number"},
        {"name": "sure", "type": "boolean"},
        {"name": "which", "type": "select", "options": [{"value": "a"}, {"value": 1}]},
        {"name": "task", "type": "multi"},
    ],
    "output": {
        key: f"{{{{_inputs0.{key}}}}}" for key in ("file", "question", "number", "sure", "which", "task")
    },
}
TEXT = "Größe\r\n--b".encode()
URI = f"data:text/plain;name=gr%C3%B6%C3%9Fe.txt;base64,{base64.b64encode(TEXT).decode()}"
FACTS = {
    "name": "größe.txt",
    "media_type": "text/plain",
    "size": len(TEXT),
    "sha256": hashlib.sha256(TEXT).hexdigest(),
}

WRONG: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({}, {}, "input.file", "required"),
    ({"file": "hello"}, {}, "input.file", "must be a data URI"),
    ({}, {"file": ("", b"")}, "input.file", "required"),
    ({}, {"file": ("a.txt", b"")}, "input.file", "the file is empty"),
    ({}, {"file": ("a.pdf", b"a", "application/pdf")}, "input.file", "must be a file of text/* or .bin; it"),
    ({}, {"file": ("a.txt", b"a" * 100_001)}, "input.file", "at most 100,000 bytes; it has 100,001"),
    ({"file": URI, "nobody": "a"}, {}, "input.nobody", "no such input; the app has file, question"),
    ({"file": URI, "number": "many"}, {}, "input.number", "must be a number"),
    ({"file": URI, "number": "9" * 30}, {}, "input.number", "is an integer beyond 64 bits"),
    ({"file": URI, "question": b"\xff"}, {}, "input.question", "is no UTF-8"),
    ({"file": URI, "task": "[" * 70 + "]" * 70}, {}, "input.task", "nested deeper"),
    ({"file": URI, "task": f"[{'0,' * 300_000}0]"}, {}, "input.task", "too much JSON for a form"),
    ({"file": URI, "stream": "yes"}, {}, "stream", "must be true or false"),
    ({"file": URI, "session_id": "a b"}, {}, "session_id", "pattern"),
    ({"file": URI, "input": "[]"}, {}, "input", "must be a JSON object"),
    ({"file": URI, "input": "{"}, {}, "input", "it is no JSON"),
    ({"file": URI, "input": '{"file": ""}'}, {}, "input.file", "is there twice"),
    ({"file": URI}, {"question": ("q.txt", b"a")}, "input.question", "takes no file"),
]
"""Texts and files of a form, and what is said of it."""


@pytest.fixture
async def server(sqlite_settings: Settings) -> AsyncGenerator[RunningServer]:
    """The application over SQLite: for files the engine makes no difference."""
    async with running_server(sqlite_settings.model_copy(update={"max_body_bytes": 1_000_000})) as running:
        yield running


@pytest.fixture
async def app(client: httpx.AsyncClient) -> str:
    return await make_app(client, ECHO_FILE)


async def test_a_data_uri_reaches_the_app_as_it_was_sent_and_the_record_without_its_data(
    client: httpx.AsyncClient, app: str
) -> None:
    large = f"data:text/plain;name=large.txt;base64,{base64.b64encode(b'x' * 90_000).decode()}"
    for uri, facts in ((URI, FACTS), (large, {"name": "large.txt", "size": 90_000})):
        answer = await client.post(f"{app}/run", json={"input": {"file": uri, "question": "?"}})

        assert answer.json()["output"]["file"] == uri
        recorded = (await last_run(client))["input"]
        assert recorded["question"] == "?"
        assert recorded["file"].items() >= facts.items()


async def test_a_form_does_what_the_same_input_as_json_does(client: httpx.AsyncClient, app: str) -> None:
    fields = {"question": "{{ 7 }} 5", "number": "1.5", "sure": "true", "which": "1", "task": '{"a": [1]}'}
    form = await client.post(f"{app}/run", data=fields, files={"file": ("größe.txt", TEXT, "text/plain")})
    values = {"question": "{{ 7 }} 5", "number": 1.5, "sure": True, "which": 1, "task": {"a": [1]}}
    as_json = await client.post(f"{app}/run", json={"input": {**values, "file": URI}})

    assert form.status_code == 200, form.text
    assert form.json()["output"] == as_json.json()["output"] == {**values, "file": URI}
    assert (await last_run(client))["input"] == {**values, "file": FACTS}


async def test_a_form_streams_and_goes_on_with_a_session(client: httpx.AsyncClient, app: str) -> None:
    files = {"file": ("a.bin", b"\x00\xff", "application/octet-stream")}
    parts = {"stream": "true", "session_id": "visitor-42", "input": '{"question": "of json"}'}
    answer = await client.post(f"{app}/run", data=parts, files=files)
    lines = [json.loads(line) for line in answer.text.splitlines() if line]

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert lines[0]["session"] == {"id": "visitor-42"}
    output = stitch(lines)
    assert output["file"] == "data:application/octet-stream;name=a.bin;base64,AP8="
    assert output["question"] == "of json"
    in_path = await client.post(f"{app}/run/visitor-42", data={"stream": ""}, files=files)
    assert in_path.json()["session"] == {"id": "visitor-42"}


async def test_what_is_wrong_in_a_form_is_named(client: httpx.AsyncClient, app: str) -> None:
    for data, files, loc, said in WRONG:
        some = {"which": (None, b"a")} if "task" in data else files or {"task": (None, b"a")}
        answer = await client.post(f"{app}/run", data=data, files=some)

        assert locs(answer) == [loc], answer.text
        assert said in answer.json()["detail"]


async def test_an_input_field_with_a_reserved_name_is_given_inside_the_part_input(
    client: httpx.AsyncClient,
) -> None:
    names = ["input", "stream", "session_id"]
    app = await make_app(
        client,
        {
            "name": "Reserved",
            "input_fields": [{"name": name} for name in names],
            "output": {"all": "{{_inputs0.input}} {{_inputs0.stream}} {{_inputs0.session_id}}"},
        },
    )
    given = json.dumps({name: name.upper() for name in names})
    answer = await client.post(f"{app}/run", files={"input": (None, given, "application/json")})

    assert answer.json()["output"] == {"all": "INPUT STREAM SESSION_ID"}


def test_a_part_is_a_file_by_its_file_name_or_a_type_that_is_no_texts() -> None:
    parts: dict[str, Any] = {
        "named": ("a.txt", b"a"),
        "typed": (None, b"a", "application/pdf"),
        "text": (None, b"a", "text/plain; charset=utf-8"),
        "json": (None, b"[1]", "application/json"),
        "uri": (None, URI),
        "none": (None, b""),
    }
    request = httpx.Request("POST", "http://x.test", files=parts)
    unchosen = request.read().replace(b'name="none"', b'name="none"; filename=""')
    values = read_run_form(request.headers["content-type"], unchosen)["input"]

    assert values == {
        "named": SentFile.of(File(b"a", "a.txt", "text/plain")),
        "typed": SentFile.of(File(b"a", None, "application/pdf")),
        "text": FormText("a"),
        "json": FormText("[1]", [1]),
        "uri": SentFile.read(URI),
    }


async def test_a_body_that_is_no_form_is_malformed(client: httpx.AsyncClient, app: str) -> None:
    for content_type, body in (
        ("multipart/form-data", b"--b--\r\n"),
        ("multipart/form-data; boundary=b", b"hello"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\na'),
    ):
        answer = await client.post(f"{app}/run", content=body, headers={"Content-Type": content_type})
        assert answer.status_code == 400, answer.text
        assert answer.json()["type"].endswith("#malformed-request")
    other = await client.post(f"{app}/run", content=b"a=b", headers={"Content-Type": "text/plain"})
    assert other.status_code == 415
    assert "multipart/form-data" in other.json()["detail"]


async def test_a_form_is_done_once_a_key_whatever_its_boundary(client: httpx.AsyncClient, app: str) -> None:
    async def send(question: str, text: bytes, name: str = "a.txt") -> httpx.Response:
        return await client.post(
            f"{app}/run",
            data={"question": question},
            files={"file": (name, text, "text/plain")},
            headers={"Idempotency-Key": "order-17"},
        )

    first = await send("a", TEXT)
    again = await send("a", TEXT)

    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    for other in (await send("b", TEXT), await send("a", b"other"), await send("a", TEXT, "b.txt")):
        assert other.status_code == 422
        assert other.json()["type"].endswith("#idempotency-mismatch")


async def test_requests_and_curl_send_files_as_their_users_expect(
    server: RunningServer, app: str, tmp_path: Path
) -> None:
    token = await server.token()
    report = tmp_path / "größe.txt"
    report.write_bytes(TEXT)
    url = f"{server.url}{app}/run"

    def of_requests() -> Any:
        with report.open("rb") as file:
            return requests.post(
                url,
                headers={"Authorization": f"Token {token}"},
                data={"question": "What?", "sure": True, "number": 5},
                files={"file": file},
                timeout=10,
            ).json()

    answer = await asyncio.to_thread(of_requests)
    assert answer["output"]["file"] == URI.replace("text/plain", "application/octet-stream")
    assert (answer["output"]["sure"], answer["output"]["number"]) == (True, 5)

    curl = await asyncio.create_subprocess_exec(
        *("curl", "-sN", url, "-H", f"Authorization: Token {token}"),
        *("-F", f"file=@{report}", "-F", "question=What?", "-F", "stream=true"),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(10):
        printed, _ = await curl.communicate()
    lines = [json.loads(line) for line in printed.splitlines() if line]
    assert stitch(lines)["file"] == URI
    assert lines[-1]["done"]["status"] == "succeeded"


async def test_the_schema_of_an_app_says_which_files_it_takes(client: httpx.AsyncClient, app: str) -> None:
    schema = (await client.get(f"{app}/schema")).json()["input"]["properties"]

    assert schema["file"]["format"] == "data-url"
    assert schema["file"]["x-accept"] == ["text/*", ".bin"]
    assert schema["file"]["x-max-bytes"] == 100_000


async def test_upstreams_own_file_fields_load(client: httpx.AsyncClient) -> None:
    task = {
        "name": "task",
        "type": "multi",
        "allowFiles": True,
        "filesAccept": "image/*",
        "placeholder": "Type",
    }
    answer = await client.post(
        "/api/apps",
        json={
            "name": "Upstream",
            "input_fields": [
                task,
                {"name": "file", "type": "file", "accept": "*", "maxSize": 5},
                {"name": "q", "accept": ".csv"},
            ],
            "output_template": {"markdown": "{{_inputs0.task.text}}"},
        },
    )

    assert answer.status_code == 201, answer.text
    assert [warning["loc"] for warning in answer.json()["warnings"]] == [
        "input_fields[0].allowFiles",
        "input_fields[0].placeholder",
        "input_fields[2].accept",
    ]
    run = f"/api/apps/{answer.json()['uuid']}/run"
    files = [
        {"data": "data:image/png;name=a.png;base64,AAAA", "name": "a.png", "size": 3, "type": "image/png"}
    ]
    done = await client.post(run, json={"input": {"task": {"text": "Look", "files": files}}})
    assert done.json()["output"] == {"output": "Look"}
    refused = await client.post(run, json={"input": {"file": "data:text/plain;base64,aGVsbG8h"}})
    assert locs(refused) == ["input.file"]


async def test_a_default_that_the_field_does_not_take_is_refused_at_save(client: httpx.AsyncClient) -> None:
    fields = [{"name": "file", "type": "file", "accept": ["image/*"], "default": URI}]
    answer = await client.post("/api/apps", json={"name": "A", "input_fields": fields, "output": {"a": "b"}})

    assert locs(answer) == ["input_fields[0].default"]
