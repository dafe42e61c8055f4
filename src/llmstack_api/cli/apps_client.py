"""What `llmstack-api apps` says to a server over HTTP, and how it tells what the server refuses."""

import json
import re
import ssl
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from typing import Any, Final, cast
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from llmstack_api import __version__
from llmstack_api.apps.yaml import load_yaml
from llmstack_api.engine.ports import Json
from llmstack_api.errors import LLMStackError, StartError
from llmstack_api.settings import PREFIX, HttpUrl

JSON: Final = "application/json"
YAML: Final = "application/yaml"
_PROBLEM: Final = "application/problem+json"

_CONNECT_TIMEOUT: Final = 10.0
_ANSWER_TIMEOUT: Final = 60.0
"""Seconds without a byte. A stream that has nothing to say sends a blank line every ten."""

_MAX_ANSWER: Final = 64 * 1024 * 1024
_PAGE: Final = 1000
_SHOWN: Final = 300
_NEXT: Final = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_HIDDEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What could move the cursor of a terminal, or turn the direction of what it shows."""


class AppsError(Exception):
    """What went wrong, in a sentence, and in further lines where there is more to say."""


class ServerAwayError(AppsError):
    """Nothing that would be asked of the server now would be answered."""


class CallSettings(BaseSettings):
    """Which server is spoken to, and as whom; from the environment and `.env`, as all settings."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    url: HttpUrl = "http://127.0.0.1:3000"
    token: SecretStr | None = None


def open_client() -> "Client":
    """Make a client from the settings.

    Raises:
        StartError: one of them is wrong or missing.
    """
    try:
        settings = CallSettings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise StartError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None
    if settings.token is None:
        raise StartError("LLMSTACK_TOKEN is not set; 'llmstack-api token create' makes a token")
    token = settings.token.get_secret_value().strip()
    if not token.isascii() or not token.isprintable():
        raise StartError("LLMSTACK_TOKEN: must be printable ASCII")
    try:
        return Client(settings.url, token)
    except ValueError as error:
        raise StartError(f"LLMSTACK_URL: {error}") from None


class Client:
    """Calls the API; a connection for each call, so that none can have gone stale."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._address = urlsplit(url)
        _ = self._address.port  # one that is none is told now
        self._headers = {"Authorization": f"Token {token}", "User-Agent": f"llmstack-api/{__version__}"}

    # --- apps

    def find_apps(self, name: str) -> list[dict[str, Any]]:
        """Return the apps of a name, newest first."""
        found: list[dict[str, Any]] = []
        path: str | None = f"/api/apps?{urlencode({'limit': _PAGE})}"
        while path is not None:
            with self._exchange("GET", path, accept=JSON) as response:
                apps = cast("list[dict[str, Any]]", self._json(response))
                following = _NEXT.search(response.headers.get("Link", ""))
            found += [app for app in apps if app["name"] == name]
            path = f"/api/apps?{urlsplit(following[1]).query}" if following else None
        return found

    def get_app(self, app: UUID) -> dict[str, Any]:
        """Return an app, its defaults filled in."""
        return self._call("GET", f"/api/apps/{app}")

    def definition_of(self, app: UUID, version: int) -> dict[str, Any]:
        """Return a version of an app as it was written."""
        with self._exchange("GET", f"/api/apps/{app}/versions/{version}", accept=YAML) as response:
            try:
                return cast("dict[str, Any]", load_yaml(self._read(response)))
            except LLMStackError as error:
                raise AppsError(f"{self.url} answered what is no app: {error}") from None

    def text_of(self, app: UUID) -> str:
        """Return an app as YAML, as it was written."""
        with self._exchange("GET", f"/api/apps/{app}", accept=YAML) as response:
            return self._read(response).decode()

    def create_app(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Save a new app."""
        return self._call("POST", "/api/apps", definition)

    def change_app(self, app: UUID, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change keys of an app."""
        return self._call("PATCH", f"/api/apps/{app}", changes)

    # --- runs

    @contextmanager
    def stream(
        self, app: UUID, given: Mapping[str, Any], *, session: str | None
    ) -> Generator[Iterator[dict[str, Any]]]:
        """Run an app and give the lines of its stream as they come; leaving the context ends the run."""
        path = f"/api/apps/{app}/run" + (f"/{quote(session, safe='')}" if session else "")
        with self._exchange("POST", path, {"input": given, "stream": True}, accept="*/*") as response:
            yield self._lines(response)

    def _lines(self, response: HTTPResponse) -> Iterator[dict[str, Any]]:
        while True:
            with self._listening():
                line = response.readline(_MAX_ANSWER)
            if not line:
                return
            if line.strip():
                yield self._parsed(line)

    # --- HTTP

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        with self._exchange(method, path, body, accept=JSON) as response:
            return self._json(response)

    @contextmanager
    def _exchange(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, accept: str
    ) -> Generator[HTTPResponse]:
        """Send a request and give the answer, unless it tells of an error.

        Raises:
            AppsError: no answer, or one that tells of an error.
        """
        headers = {**self._headers, "Accept": accept}
        content = None
        if body is not None:
            headers["Content-Type"] = JSON
            content = json.dumps(body).encode()
        with closing(self._connection()) as connection:
            try:
                connection.connect()
            except OSError as error:
                reason = error.strerror or str(error) or type(error).__name__
                raise ServerAwayError(
                    f"no server answers at {self.url} ({reason}); "
                    "start one with 'llmstack-api serve', or set LLMSTACK_URL"
                ) from None
            with self._listening():
                connection.sock.settimeout(_ANSWER_TIMEOUT)
                connection.request(method, self._address.path + path, content, headers)
                response = connection.getresponse()
            if not 200 <= response.status < 300:  # noqa: PLR2004 # the range of success
                raise self._refusal(response)
            yield response

    @contextmanager
    def _listening(self) -> Generator[None]:
        """Say what ends a connection that was there."""
        try:
            yield
        except TimeoutError:
            raise AppsError(f"{self.url} says nothing any more; the call was given up") from None
        except (OSError, HTTPException) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise AppsError(f"the connection to {self.url} broke off ({printable(reason)})") from None

    def _connection(self) -> HTTPConnection:
        host, port = self._address.hostname or "", self._address.port
        if self._address.scheme == "https":
            context = ssl.create_default_context()
            return HTTPSConnection(host, port, timeout=_CONNECT_TIMEOUT, context=context)
        return HTTPConnection(host, port, timeout=_CONNECT_TIMEOUT)

    def _refusal(self, response: HTTPResponse) -> AppsError:
        body = self._read(response)
        if response.status == 401:  # noqa: PLR2004 # the status of a bad token
            return ServerAwayError(f"{self.url} does not accept the token in LLMSTACK_TOKEN")
        if response.headers.get_content_type() == _PROBLEM:
            return AppsError(problem_text(self._parsed(body)))
        answer = printable(f"{response.status} {response.reason}")
        return AppsError(f"{self.url} answered {answer}; does LLMSTACK_URL name the server?")

    def _read(self, response: HTTPResponse) -> bytes:
        with self._listening():
            body = response.read(_MAX_ANSWER + 1)
            if len(body) > _MAX_ANSWER:
                raise AppsError(f"{self.url} answered more than {_MAX_ANSWER:,} bytes")
            if response.length:
                raise IncompleteRead(body, response.length)
        return body

    def _json(self, response: HTTPResponse) -> Json:
        return self._parsed(self._read(response))

    def _parsed(self, data: bytes) -> Json:
        try:
            return json.loads(data)
        except ValueError:
            raise AppsError(
                f"{self.url} answered what is no JSON; does LLMSTACK_URL name the server?"
            ) from None


def problem_text(problem: Mapping[str, Any]) -> str:
    """Say a problem (RFC 9457) in a sentence, and each of its faults in a line."""
    faults = cast("list[dict[str, str]]", problem.get("errors", []))
    detail = str(problem["detail"])
    if len(faults) == 1 and faults[0]["msg"] in detail:
        return printable(detail)
    head = str(problem["title"]) if faults else detail
    return "\n".join([printable(head), *(f"  {place_text(fault)}" for fault in faults)])


def place_text(fault: Mapping[str, str]) -> str:
    """Say a fault or a warning and its place in a line."""
    text = f"{fault['loc']}: {fault['msg']}" if fault["loc"] else fault["msg"]
    return printable(text[:_SHOWN])


def printable(text: str) -> str:
    """Replace what a terminal would obey rather than show."""
    return _HIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
