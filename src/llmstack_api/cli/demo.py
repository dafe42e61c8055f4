"""`llmstack-api demo`: a real server, the examples over HTTP, and what arrives, line by line."""

import signal
import sys
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager
from http.client import HTTPException
from pathlib import Path
from subprocess import SubprocessError
from typing import Any, Final, NoReturn
from uuid import UUID

from llmstack_api.apps.templates import examples_folder, find_template
from llmstack_api.apps.yaml import dump_yaml
from llmstack_api.cli.apps_run import stitch
from llmstack_api.cli.child import ChildFailedError, child_server, last_words, make_token
from llmstack_api.cli.demo_client import Client, DemoFailedError, dump, say
from llmstack_api.cli.demo_datasource import show_datasource
from llmstack_api.errors import StartError
from llmstack_api.settings import Settings

LIMIT: Final = 60.0
MODEL_LIMIT: Final = 300.0
"""Seconds after which the demo is given up; the second where a model is called."""

ECHO: Final = "echo"
CHAT: Final = "chat"
ANSWERS: Final = "answers-from-documents"
HANDBOOK: Final = "handbook"
QUESTION: Final = "How long may I keep a tool?"
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


def run(settings: Settings, *, model: str | None) -> int:
    """Show it; return 1, with the server's log, where anything goes wrong."""
    signal.signal(signal.SIGTERM, _stop)
    has_model = bool(settings.openai_base_url or settings.openai_api_key)
    with _temporary_folder() as folder:
        try:
            with child_server(folder, settings, limit=MODEL_LIMIT if has_model else LIMIT) as server:
                say("A server with an empty data directory\n  $ llmstack-api serve --port 0")
                say(f"  {server.ready_line}\n")
                token = make_token(folder, settings, account="demo")
                say(f"A token for it\n  $ llmstack-api token create --account demo\n  {token[:8]}...\n")
                with closing(Client(server, token)) as client:
                    _show(client, model=model, has_model=has_model)
                    _answer(client, show_datasource(client, examples_folder() / HANDBOOK))
        except FAILURES as error:
            sys.stdout.flush()
            sys.stderr.write(f"\nllmstack-api: the demo failed: {error or type(error).__name__}\n")
            sys.stderr.write(f"The server's log:\n{last_words(folder)}\n")
            return 1
    say("The server has ended, and its data is gone. To keep yours: llmstack-api serve")
    return 0


@contextmanager
def _temporary_folder() -> Generator[Path]:
    """Make the folder that all of the demo's data goes to, and remove it."""
    try:
        made = tempfile.TemporaryDirectory(prefix="llmstack-demo-")
    except OSError as error:
        raise StartError(
            f"the demo needs a folder for its data: set TMPDIR to one that can be written ({error.strerror})"
        ) from error
    with made as name:
        yield Path(name)


def _stop(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)  # on the way out the server is ended too


def _show(client: Client, *, model: str | None, has_model: bool) -> None:
    app, definition = _make(client, ECHO)
    _run_both_ways(client, app, _defaults(definition))
    if has_model:
        app, _ = _make(client, CHAT, model=model)
        _talk(client, app)
    else:
        say("With LLMSTACK_OPENAI_BASE_URL set, a chat with a model follows here, over two turns.\n")


def _answer(client: Client, datasource: str) -> None:
    """Answer from the handbook, without a model."""
    app, _ = _make(client, ANSWERS, datasource=datasource)
    _run_both_ways(client, app, {"question": QUESTION})


def _make(
    client: Client, slug: str, *, model: str | None = None, datasource: str | None = None
) -> tuple[str, dict[str, Any]]:
    """Save an example as an app; return its id and definition."""
    template = find_template(slug, datasource=UUID(datasource) if datasource else None)
    text, definition = template.text, template.definition
    if model:
        steps = [{**step, "config": {**step["config"], "model": model}} for step in definition["processors"]]
        definition = {**definition, "processors": steps}
        text = dump_yaml(definition)
    return client.make_app(f"{slug}.yaml", text, definition), definition


def _defaults(definition: dict[str, Any]) -> dict[str, Any]:
    return {item["name"]: item["default"] for item in definition["input_fields"] if "default" in item}


def _run_both_ways(client: Client, app: str, given: dict[str, Any]) -> None:
    lines = client.stream(f"/api/apps/{app}/run", given)
    streamed = stitch(lines)
    say(f"  Stitched: {dump(streamed)}\n")
    answer = client.block(f"/api/apps/{app}/run", given)
    if answer["output"] != streamed:
        raise DemoFailedError("the stitched stream is not the blocking answer's output")
    say("  The stitched stream equals the blocking answer's output.\n")


def _talk(client: Client, app: str) -> None:
    path = f"/api/apps/{app}/run"
    session = ""
    for turn in TURNS:
        lines = client.stream(f"{path}/{session}" if session else path, {"question": turn})
        session = lines[0]["session"]["id"]
        say(f"  Answer: {stitch(lines)['answer']}\n")
    remembered = client.get(f"/api/apps/{app}/sessions/{session}")["messages"]
    count = sum(len(messages) for messages in remembered.values())
    if count < 2 * len(TURNS):
        raise DemoFailedError(f"the session remembers {count} messages, not those of {len(TURNS)} turns")
    say(f"  The session remembers {count} messages: both turns.\n")
