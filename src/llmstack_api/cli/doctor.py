"""`llmstack-api doctor`: what is configured, what can be reached, and what to do about the rest."""

import asyncio
import http.client
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from llmstack_api import __version__, schema
from llmstack_api.db import SQLITE, open_database
from llmstack_api.errors import LLMStackError, ProviderNotConfiguredError, ProviderRefusedError, StartError
from llmstack_api.listening import address, bind
from llmstack_api.llm.call import Reader, call
from llmstack_api.llm.catalog import PROVIDERS, resolve
from llmstack_api.models import SCHEMA_REVISION
from llmstack_api.outbound import operator_client
from llmstack_api.settings import PREFIX, Settings
from llmstack_api.starting import refusing_to_start

TIMEOUT: Final = 10.0
"""Seconds that one check may take."""

LITTLE_SPACE: Final = 200_000_000
"""Bytes of free disk below which it is a problem."""

MAX_MODELS_BODY: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    kind: Literal["ok", "note", "problem"]
    subject: str
    text: str


def run(settings: Settings) -> int:
    """Print settings and findings; return 1 where there is a problem."""
    say = sys.stdout.write
    say(f"llmstack-api {__version__} on Python {platform.python_version()}\n\nSettings\n")
    for variable, value, source in _configured(settings):
        say(f"  {variable:28} {value}{source}\n")
    say("\nChecks\n")
    problems = 0
    for finding in asyncio.run(_findings(settings)):
        say(f"  {finding.kind:8} {finding.subject:16} {finding.text}\n")
        problems += finding.kind == "problem"
    say(
        f"\n{problems} {'problem' if problems == 1 else 'problems'} found.\n"
        if problems
        else "\nAll is well.\n"
    )
    return 1 if problems else 0


def _configured(settings: Settings) -> Iterator[tuple[str, str, str]]:
    for name in Settings.model_fields:
        value = getattr(settings, name)
        source = "" if name in settings.model_fields_set else " (default)"
        if isinstance(value, SecretStr):
            yield PREFIX + name.upper(), "set", ""
        elif value is None or value == "":
            yield PREFIX + name.upper(), "not set", ""
        else:
            yield PREFIX + name.upper(), _without_password(str(value)), source


def _without_password(text: str) -> str:
    """Leave out what an address may hold before its `@`."""
    before, mark, after = text.partition("://")
    return before + mark + after.rpartition("@")[2] if mark else text


async def _findings(settings: Settings) -> list[Finding]:
    return [
        *_variables(),
        *_data_directory(settings),
        await _database(settings),
        *[await _provider(settings, slug) for slug in PROVIDERS],
        await asyncio.to_thread(_port, settings),
    ]


def _variables() -> Iterator[Finding]:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for variable in sorted(os.environ):
        if variable.upper().startswith(PREFIX) and variable.upper() not in known:
            yield Finding("note", "environment", f"{variable} is no setting of this version: a misspelling?")


def _data_directory(settings: Settings) -> Iterator[Finding]:
    if not settings.database.startswith(SQLITE):
        return
    folder = settings.data_dir
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            free = shutil.disk_usage(place).free
    except OSError as error:
        yield Finding("problem", "data directory", f"{place}: {error.strerror}; set LLMSTACK_DATA_DIR")
        return
    room = f"{free / 1e9:.1f} GB free"
    if free < LITTLE_SPACE:
        yield Finding("problem", "data directory", f"{folder}: only {room}; make room")
    elif place == folder:
        yield Finding("ok", "data directory", f"{folder} can be written, {room}")
    else:
        yield Finding("ok", "data directory", f"{folder} is not there yet; 'serve' makes it, {room}")


def _is_to_be_made(settings: Settings) -> bool:
    """Tell whether the database is a file that does not exist; to connect would make it."""
    path = Path(settings.database.removeprefix(SQLITE))
    return settings.database.startswith(SQLITE) and not path.exists()


async def _database(settings: Settings) -> Finding:
    if _is_to_be_made(settings):
        return Finding("ok", "database", "SQLite, not there yet; 'serve' makes it")
    engine = "SQLite" if settings.database.startswith(SQLITE) else "PostgreSQL"
    db = open_database(settings.database, pool_size=1)
    try:
        with refusing_to_start(settings):
            async with asyncio.timeout(TIMEOUT):
                revision = await db.connect(schema.current_revision)
    except StartError as error:
        return Finding("problem", "database", str(error))
    except TimeoutError:
        return Finding("problem", "database", f"{engine} did not answer within {TIMEOUT:g} seconds")
    finally:
        await db.close()
    return _revision(engine, revision)


def _revision(engine: str, revision: str | None) -> Finding:
    known = schema.known_revisions()
    if revision == SCHEMA_REVISION:
        return Finding("ok", "database", f"{engine}, at revision {revision}, which is the newest")
    if revision is not None and revision not in known:
        return Finding(
            "problem", "database", f"{engine}, at revision {revision}, made by a newer version: install that"
        )
    behind = len(known) - (known.index(revision) + 1 if revision else 0)
    state = f"at revision {revision}" if revision else "empty"
    text = f"{engine}, {state}, {behind} behind {SCHEMA_REVISION}: run 'llmstack-api migrate'"
    return Finding("problem", "database", text)


async def _provider(settings: Settings, slug: str) -> Finding:
    subject = f"provider {slug}"
    try:
        endpoint = resolve(settings, slug)
    except ProviderNotConfiguredError as error:
        given = {f"{slug}_base_url", f"{slug}_api_key"} & settings.model_fields_set
        return Finding("problem" if given else "note", subject, str(error))
    place = _without_password(str(endpoint.base_url))
    headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}

    async def consume(reader: Reader) -> None:
        await reader.read_all(MAX_MODELS_BODY)

    try:
        async with asyncio.timeout(TIMEOUT), operator_client() as client:
            request = client.build_request("GET", endpoint.url("/models"), headers=headers)
            await call(client, request, endpoint=endpoint, idle_timeout=TIMEOUT, consume=consume)
    except ProviderRefusedError as error:
        variable = f"{PREFIX}{slug.upper()}"
        if "(HTTP 404)" in str(error):  # some servers have chat completions only
            return Finding(
                "note", subject, f"{place} answers, but has no /models: is {variable}_BASE_URL right?"
            )
        return Finding(
            "problem", subject, f"{place}: {error} Check {variable}_API_KEY and {variable}_BASE_URL."
        )
    except (LLMStackError, TimeoutError) as error:
        reason = str(error) or f"no answer within {TIMEOUT:g} seconds."
        return Finding("problem", subject, f"{place}: {reason} Is it running?")
    return Finding("ok", subject, f"{place} answers")


def _port(settings: Settings) -> Finding:
    subject = f"port {settings.port}"
    if settings.port and _is_ours(settings):
        return Finding("ok", subject, f"llmstack-api serves on {settings.host}")
    try:
        listeners = bind(settings)
    except StartError as error:
        return Finding("problem", subject, str(error))
    url = address(settings, listeners)
    for listener in listeners:
        listener.close()
    return Finding("ok", subject, f"free for {urlsplit(url).hostname}")


def _is_ours(settings: Settings) -> bool:
    """Ask what listens on our address whether it is this program."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 # read, not bound
    connection = http.client.HTTPConnection(host, settings.port, timeout=3)
    try:
        connection.request("GET", "/health/live")
        response = connection.getresponse()
        return response.status == http.HTTPStatus.OK and response.headers["x-request-id"] is not None
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
