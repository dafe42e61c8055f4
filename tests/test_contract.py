"""The run examples of the documents that the API implements, with their own client loops over `requests`."""

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest

from llmstack_api.settings import Settings
from tests.runs.streams import make_app
from tests.server import RunningServer

APP: dict[str, Any] = {
    "name": "Ask a file",
    "input_fields": [
        {"name": "file", "type": "file"},
        {"name": "question", "type": "text", "required": True},
    ],
    "processors": [
        {
            "provider_slug": "promptly",
            "processor_slug": "echo",
            "input": {"input_str": "{{_inputs0.question}} ({{_inputs0.file}})"},
        }
    ],
    "output_template": {"markdown": "{{_inputs1.output_str}}"},
}

STREAMING = """
import requests

PROMPTLY_TOKEN = '<promptly_token>'
url = 'http://localhost:3000/api/apps/<app_uuid>/run'

payload = {
    "input": {
        "file": "<file_value>",
        "question": "<question_value>"
    },
    "stream": True,
}
headers = {
    "Content-Type": "application/json",
    "Authorization": "Token " + PROMPTLY_TOKEN,
}

response = requests.request("POST", url, headers=headers, json=payload, stream=True)
for line in response.iter_lines():
    if line:
        print(line)
"""

BLOCKING = """
import requests

PROMPTLY_TOKEN = '<promptly_token>'
url = 'http://localhost:3000/api/apps/<app_uuid>/run'

payload = {
    "input": {
        "file": "<file_value>",
        "question": "<question_value>"
    },
    "stream": False,
}
headers = {
    "Content-Type": "application/json",
    "Authorization": "Token " + PROMPTLY_TOKEN,
}

response = requests.request("POST", url, headers=headers, json=payload)
print(response.content)
"""

OUTPUT = "What does it say? (data:text/plain;base64,aGVsbG8=)"


async def run_example(source: str, server: RunningServer, app: str, **replaced: str) -> list[bytes]:
    """Run a document's example against the server and return what it prints."""
    replaced = {
        "http://localhost:3000": server.url,
        "/api/apps/<app_uuid>": app,
        "<promptly_token>": await server.token(),
        "<file_value>": "data:text/plain;base64,aGVsbG8=",
        "<question_value>": "What does it say?",
        **replaced,
    }
    for placeholder, value in replaced.items():
        source = source.replace(placeholder, value)
    printed: list[bytes] = []
    await asyncio.to_thread(exec, source, {"print": printed.append})  # the example, as it stands
    return printed


@pytest.fixture
async def app(client: httpx.AsyncClient) -> str:
    return await make_app(client, APP)


async def test_the_blocking_example_prints_session_and_output(server: RunningServer, app: str) -> None:
    (content,) = await run_example(BLOCKING, server, app)
    answer = json.loads(content)

    assert isinstance(answer["session"]["id"], str)
    assert answer["output"] == {"output": OUTPUT}


async def test_the_streaming_example_prints_chunks_that_stitch_to_the_output(
    server: RunningServer, app: str
) -> None:
    lines = [json.loads(line) for line in await run_example(STREAMING, server, app)]

    assert list(lines[0]["session"]) == ["id"]
    assert len(lines) > 4
    assert "".join(line["output"] for line in lines[1:-1]) == OUTPUT
    assert lines[-1]["done"]["status"] == "succeeded"


async def test_the_session_example_goes_on_with_the_session_of_an_earlier_answer(
    server: RunningServer, app: str
) -> None:
    first = json.loads((await run_example(BLOCKING, server, app))[0])
    session_id = first["session"]["id"]
    again = json.loads((await run_example(BLOCKING.replace("/run'", f"/run/{session_id}'"), server, app))[0])

    assert again["session"] == {"id": session_id}


async def test_the_token_prefix_of_the_second_document_is_accepted(server: RunningServer, app: str) -> None:
    (content,) = await run_example(BLOCKING.replace('"Token "', '"Token: "'), server, app)

    assert json.loads(content)["output"] == {"output": OUTPUT}


def test_the_default_address_is_the_one_of_the_documents() -> None:
    assert Settings.model_fields["port"].default == 3000


# --- datasources -----------------------------------------------------------------------------------------


async def test_the_documents_datasource_requests_answer_as_it_says(client: httpx.AsyncClient) -> None:
    fields = {"uuid", "name", "type", "created_at", "updated_at"}
    made = await client.post("/api/datasources", json={"name": "<DATASOURCE_NAME>", "type": "mixed"})
    assert fields <= made.json().keys()
    listed = await client.get("/api/datasources")
    assert isinstance(listed.json(), list)
    assert [fields <= row.keys() for row in listed.json()] == [True]

    entries = f"/api/datasources/{made.json()['uuid']}/entries"
    text = base64.b64encode(b"Terns nest on the shore.").decode()
    metadata = {"key1": "value1", "key2": "value2"}
    uuids: list[str] = []
    for given in ({"content": "Gulls nest on the cliff."}, {"file": text}):
        body = {"entry_data": {"name": "<ENTRY_NAME>", **given}, "entry_metadata": metadata}
        added = await client.post(entries, json=body, params={"wait": 30}, timeout=40)
        assert added.json()["status"] == "READY"
        uuids.append(added.json()["uuid"])
    assert {row["uuid"] for row in (await client.get(entries)).json()} == set(uuids)

    key1 = {"type": "eq", "key": "md_key1", "value": "value1"}
    search = f"/api/datasources/{made.json()['uuid']}/search"
    found = (await client.post(search, json={"query": "nest", "filters": key1})).json()["results"]
    assert {hit["entry_uuid"] for hit in found} == set(uuids)
    assert all(hit["metadata"]["source"] and hit["metadata"]["md_key2"] == "value2" for hit in found)

    assert (await client.delete(f"{entries}/{uuids[0]}")).status_code == 204
    assert [row["uuid"] for row in (await client.get(entries)).json()] == uuids[1:]
    assert (await client.delete(f"/api/datasources/{made.json()['uuid']}")).status_code == 204
    assert (await client.get("/api/datasources")).json() == []
