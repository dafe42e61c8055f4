"""`llmstack-api doctor`: what is configured, what can be reached, and what to do about the rest."""

import asyncio
import http.client
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from llmstack_api import __version__, schema
from llmstack_api.cli import doctor_datasources
from llmstack_api.cli.findings import TIMEOUT, Finding, folder_finding, without_password
from llmstack_api.db import SQLITE, open_database
from llmstack_api.egress import Egress
from llmstack_api.errors import StartError
from llmstack_api.known_providers import PROVIDERS
from llmstack_api.listening import address, bind
from llmstack_api.llm.catalog import Models, open_models
from llmstack_api.models import SCHEMA_REVISION
from llmstack_api.settings import PREFIX, Settings
from llmstack_api.starting import refusing_to_start

WIDTH: Final = len(PREFIX) + max(map(len, Settings.model_fields))
"""Characters of the longest setting's name."""

LITTLE_SPACE: Final = 200_000_000
"""Bytes of free disk below which it is a problem."""


def run(settings: Settings) -> int:
    """Print settings and findings; return 1 where there is a problem."""
    say = sys.stdout.write
    say(f"llmstack-api {__version__} on Python {platform.python_version()}\n\nSettings\n")
    for variable, value, source in _configured(settings):
        say(f"  {variable:{WIDTH}} {value}{source}\n")
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
            yield PREFIX + name.upper(), without_password(str(value)), source


async def _findings(settings: Settings) -> list[Finding]:
    return [
        *_variables(),
        *_data_directory(settings),
        await _database(settings),
        await doctor_datasources.vector_store(settings),
        await doctor_datasources.embedding(settings),
        doctor_datasources.worker(settings),
        await doctor_datasources.reading(),
        *await _providers(settings),
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
    yield folder_finding("data directory", settings.data_dir, least=LITTLE_SPACE)


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
                whole = revision != SCHEMA_REVISION or await schema.is_current(db)
    except StartError as error:
        return Finding("problem", "database", str(error))
    except TimeoutError:
        return Finding("problem", "database", f"{engine} did not answer within {TIMEOUT:g} seconds")
    finally:
        await db.close()
    if not whole:
        return Finding(
            "problem", "database", f"{engine}, without the tables of the jobs: run 'llmstack-api migrate'"
        )
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


async def _providers(settings: Settings) -> list[Finding]:
    async with open_models(settings, Egress()) as models:
        return [await _provider(models, settings, slug) for slug in PROVIDERS if _is_told(settings, slug)]


def _is_told(settings: Settings, slug: str) -> bool:
    """Tell whether a provider is worth a line: the one that examples ask, and those that somebody set."""
    return slug == "openai" or bool({f"{slug}_base_url", f"{slug}_api_key"} & settings.model_fields_set)


async def _provider(models: Models, settings: Settings, slug: str) -> Finding:
    subject, variable = f"provider {slug}", f"{PREFIX}{slug.upper()}"
    result = await models.check(slug)
    if result.verdict == "unconfigured":
        given = {f"{slug}_base_url", f"{slug}_api_key"} & settings.model_fields_set
        return Finding("problem" if given else "note", subject, result.detail)
    place = without_password(str(models.target(slug, None).endpoint.base_url))
    match result.verdict:
        case "answers":
            return Finding("ok", subject, f"{place} answers")
        case "unlisted":
            return Finding("note", subject, f"{place}: {result.detail} Is {variable}_BASE_URL right?")
        case "refused":
            return Finding(
                "problem",
                subject,
                f"{place}: {result.detail} Check {variable}_API_KEY and {variable}_BASE_URL.",
            )
        case "away":
            return Finding("problem", subject, f"{place}: {result.detail} Is it running?")


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
