"""`llmstack-api demo`: a real server, the examples over HTTP, and what arrives, line by line."""

import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from subprocess import SubprocessError
from typing import Any, Final, NoReturn, cast

import yaml

from llmstack_api.cli.child import ChildFailedError, ChildServer, child_server, last_words, make_token
from llmstack_api.settings import Settings


class DemoFailedError(Exception):
    """What was shown is not what should have been."""


LIMIT: Final = 60.0
MODEL_LIMIT: Final = 300.0
"""Seconds after which the demo is given up; the second where a model is called."""

ANSWER_TIMEOUT: Final = 60.0
OWN_PROVIDERS: Final = frozenset({"promptly", "builtin"})
"""Providers whose processors need no model."""

CHAT: Final = "chat.yaml"
TURNS: Final = ("My name is Ada. What is a session?", "What is my name?")

FAILURES: Final = (
    DemoFailedError,
    ChildFailedError,
    OSError,
    HTTPException,
    SubprocessError,
    LookupError,
    ValueError,
)
"""What a server that does not do as it should leads to."""

_PACKAGE: Final = Path(__file__).parents[1]


def run(settings: Settings, *, model: str | None) -> int:
    """Show it; return 1, with the server's log, where anything goes wrong."""
    signal.signal(signal.SIGTERM, _stop)
    has_model = bool(settings.openai_base_url or settings.openai_api_key)
    with tempfile.TemporaryDirectory(prefix="llmstack-demo-") as name:
        folder = Path(name)
        try:
            with child_server(folder, settings, limit=MODEL_LIMIT if has_model else LIMIT) as server:
                _say("A server with an empty data directory\n  $ llmstack-api serve --port 0")
                _say(f"  {server.ready_line}\n")
                token = make_token(folder, settings, account="demo")
                _say(f"A token for it\n  $ llmstack-api token create --account demo\n  {token[:8]}...\n")
                _show(Client(server, token), model=model, has_model=has_model)
        except FAILURES as error:
            sys.stdout.flush()
            sys.stderr.write(f"\nllmstack-api: the demo failed: {error or type(error).__name__}\n")
            sys.stderr.write(f"The server's log:\n{last_words(folder)}\n")
            return 1
    _say("The server has ended, and its data is gone. To keep yours: llmstack-api serve")
    return 0


def _stop(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)  # on the way out the server is ended too


def examples_folder() -> Path:
    """Return the examples: inside the wheel, else at the root of the checkout."""
    packaged = _PACKAGE / "_examples"
    return packaged if packaged.is_dir() else _PACKAGE.parents[1] / "examples"


def stitch(lines: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Put a stream's chunks together: strings are concatenated, arrays appended, all else is whole."""
    output: dict[str, Any] = {}
    for line in lines:
        for key, value in line.items():
            if key in {"session", "run", "errors", "done"}:
                continue
            whole = isinstance(value, str | list) and key in output
            output[key] = output[key] + value if whole else value
    return output


def _show(client: "Client", *, model: str | None, has_model: bool) -> None:
    for file in sorted(examples_folder().glob("*.yaml")):
        text = file.read_text(encoding="utf-8")
        definition = cast("dict[str, Any]", yaml.safe_load(text))
        if all(step["provider_slug"] in OWN_PROVIDERS for step in definition["processors"]):
            app = client.make_app(file.name, text, definition)
            _run_both_ways(client, app, definition)
        elif file.name == CHAT and has_model:
            if model:
                for step in definition["processors"]:
                    step["config"]["model"] = model
                text = yaml.safe_dump(definition, sort_keys=False)
            app = client.make_app(file.name, text, definition)
            _talk(client, app)
    if not has_model:
        _say("With LLMSTACK_OPENAI_BASE_URL set, a chat with a model follows here, over two turns.\n")


def _run_both_ways(client: "Client", app: str, definition: dict[str, Any]) -> None:
    given = {item["name"]: item["default"] for item in definition["input_fields"] if "default" in item}
    lines = client.stream(f"/api/apps/{app}/run", given)
    streamed = stitch(lines)
    _say(f"  Stitched: {_dump(streamed)}\n")
    answer = client.block(f"/api/apps/{app}/run", given)
    if answer["output"] != streamed:
        raise DemoFailedError("the stitched stream is not the blocking answer's output")
    _say("  The stitched stream equals the blocking answer's output.\n")


def _talk(client: "Client", app: str) -> None:
    path = f"/api/apps/{app}/run"
    session = ""
    for turn in TURNS:
        lines = client.stream(f"{path}/{session}" if session else path, {"question": turn})
        session = lines[0]["session"]["id"]
        _say(f"  Answer: {stitch(lines)['answer']}\n")
    remembered = client.get(f"/api/apps/{app}/sessions/{session}")["messages"]
    count = sum(len(messages) for messages in remembered.values())
    if count < 2 * len(TURNS):
        raise DemoFailedError(f"the session remembers {count} messages, not those of {len(TURNS)} turns")
    _say(f"  The session remembers {count} messages: both turns.\n")


class Client:
    """Speaks to the server over HTTP and shows what is said."""

    def __init__(self, server: ChildServer, token: str) -> None:
        self._connection = HTTPConnection(server.host, server.port, timeout=ANSWER_TIMEOUT)
        self._headers = {"Authorization": f"Token {token}"}

    def make_app(self, name: str, text: str, definition: dict[str, Any]) -> str:
        """Save an app and return its id."""
        app = self._json("POST", "/api/apps", text.encode(), content_type="application/yaml", status=201)
        _say(f"{definition['name']}, from examples/{name}:\n  POST /api/apps  ->  201, uuid {app['uuid']}\n")
        return app["uuid"]

    def block(self, path: str, given: dict[str, Any]) -> dict[str, Any]:
        """Run and wait for the whole answer."""
        body = {"input": given, "stream": False}
        _say(f"  POST {path} {_dump(body)}")
        answer = self._json("POST", path, json.dumps(body).encode())
        _say(f"    {_dump(answer)}\n")
        return answer

    def stream(self, path: str, given: dict[str, Any]) -> list[dict[str, Any]]:
        """Run and print each line when it arrives."""
        body = {"input": given, "stream": True}
        _say(f"  POST {path} {_dump(body)}")
        began = time.perf_counter()
        response = self._request("POST", path, json.dumps(body).encode())
        lines: list[dict[str, Any]] = []
        for line in response:
            if line.strip():
                _say(f"    {1000 * (time.perf_counter() - began):6.1f} ms  {line.decode().rstrip()}")
                lines.append(json.loads(line))
        if not lines or lines[-1].get("done", {}).get("status") != "succeeded":
            raise DemoFailedError("the stream did not end with a run that succeeded")
        return lines

    def get(self, path: str) -> dict[str, Any]:
        """Fetch."""
        return self._json("GET", path)

    def _json(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        content_type: str = "application/json",
        status: int = 200,
    ) -> dict[str, Any]:
        return json.loads(self._request(method, path, body, content_type=content_type, status=status).read())

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        content_type: str = "application/json",
        status: int = 200,
    ) -> HTTPResponse:
        self._connection.request(method, path, body, {**self._headers, "Content-Type": content_type})
        response = self._connection.getresponse()
        if response.status != status:
            raise DemoFailedError(f"{method} {path} answered {response.status}: {response.read().decode()}")
        return response


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
