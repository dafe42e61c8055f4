"""What tests of the app endpoints send, and how they read the answers."""

from pathlib import Path
from typing import Any

import httpx

from tests.apps.definitions import ECHO

APPS = "/api/apps"
ECHO_YAML = """\
# An echo.
name: Echo
input_fields:
  - name: question
processors:
  - provider_slug: promptly
    processor_slug: echo
    input: {input_str: "{{_inputs0.question}}"}
output: {answer: "{{_inputs1.output_str}}"}
"""
CHATBOT = (Path(__file__).parent / "website_chatbot.yaml").read_bytes()


async def create(client: httpx.AsyncClient, definition: Any = None, **headers: str) -> dict[str, Any]:
    answer = await client.post(APPS, json=ECHO if definition is None else definition, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def create_yaml(
    client: httpx.AsyncClient, text: str | bytes, kind: str = "application/yaml"
) -> dict[str, Any]:
    answer = await client.post(APPS, content=text, headers={"Content-Type": kind})
    assert answer.status_code == 201, answer.text
    return answer.json()


def path(app: dict[str, Any]) -> str:
    return f"{APPS}/{app['uuid']}"


def locs(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["loc"] for error in answer.json()["errors"]]


def without_id(answer: httpx.Response) -> dict[str, Any]:
    return {key: value for key, value in answer.json().items() if key != "request_id"}
