"""The demo's side of the wire: requests over HTTP, and what is said about them."""

import json
import sys
import time
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from llmstack_api.cli.child import ChildServer

ANSWER_TIMEOUT: Final = 60.0


class DemoFailedError(Exception):
    """What was shown is not what should have been."""


class Client:
    """Speaks to the server over HTTP and shows what is said."""

    def __init__(self, server: ChildServer, token: str) -> None:
        self._connection = HTTPConnection(server.host, server.port, timeout=ANSWER_TIMEOUT)
        self._headers = {"Authorization": f"Token {token}"}

    def make_app(self, name: str, text: str, definition: dict[str, Any]) -> str:
        """Save an app and return its id."""
        app = self._json("POST", "/api/apps", text.encode(), content_type="application/yaml", status=201)
        say(f"{definition['name']}, from examples/{name}:\n  POST /api/apps  ->  201, uuid {app['uuid']}\n")
        return app["uuid"]

    def block(self, path: str, given: dict[str, Any]) -> dict[str, Any]:
        """Run and wait for the whole answer."""
        body = {"input": given, "stream": False}
        say(f"  POST {path} {dump(body)}")
        answer = self._json("POST", path, json.dumps(body).encode())
        say(f"    {dump(answer)}\n")
        return answer

    def stream(self, path: str, given: dict[str, Any]) -> list[dict[str, Any]]:
        """Run and print each line when it arrives."""
        body = {"input": given, "stream": True}
        say(f"  POST {path} {dump(body)}")
        began = time.perf_counter()
        response = self._request("POST", path, json.dumps(body).encode())
        lines: list[dict[str, Any]] = []
        for line in response:
            if line.strip():
                say(f"    {1000 * (time.perf_counter() - began):6.1f} ms  {line.decode().rstrip()}")
                lines.append(json.loads(line))
        if not lines or lines[-1].get("done", {}).get("status") != "succeeded":
            raise DemoFailedError("the stream did not end with a run that succeeded")
        return lines

    def get(self, path: str) -> dict[str, Any]:
        """Fetch."""
        return self._json("GET", path)

    def post(self, path: str, body: dict[str, Any], *, status: int = 200) -> dict[str, Any]:
        """Send JSON, without a word."""
        return self._json("POST", path, json.dumps(body).encode(), status=status)

    def upload(self, path: str, file: Path, metadata: dict[str, Any]) -> dict[str, Any]:
        """Send a file as a form, with its metadata, and return the entry once it is done."""
        boundary = uuid4().hex
        head = f"--{boundary}\r\nContent-Disposition: form-data; name="
        body = (
            f'{head}"entry_metadata"\r\n\r\n{dump(metadata)}\r\n{head}"file"; filename="{file.name}"\r\n\r\n'
        ).encode()
        body += file.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        return self._json(
            "POST", path, body, content_type=f"multipart/form-data; boundary={boundary}", status=201
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

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


def dump(value: object) -> str:
    """Write JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
