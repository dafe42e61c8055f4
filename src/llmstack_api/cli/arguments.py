"""What the commands take, and their help."""

import argparse
import json
import re
import textwrap
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NoReturn, cast
from uuid import UUID

from llmstack_api import __version__
from llmstack_api.settings import describe

USAGE_EXIT: Final = 2

SCOPES: Final = ("run", "read", "write", "admin")
"""The names of `auth.Scope`, here so that `--help` need not import the database."""

_MAX_NAME: Final = 200
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([smhdw])")
_LONGEST: Final = timedelta(days=3653)
_WIDTH: Final = 88


class _Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is."""
        self.exit(USAGE_EXIT, f"llmstack-api: {message} (see '{self.prog} --help')\n")


def parse(arguments: Sequence[str] | None) -> dict[str, Any]:
    """Return the options given, with the name of the command under `command`; exit where they are wrong."""
    parser = _Parser(
        prog="llmstack-api",
        description="Self-hosted server for LLM apps: defined as reviewed text, run over HTTP, streamed.",
        epilog="Settings come from the environment and from a file .env here; 'serve --help' lists them.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"llmstack-api {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)

    serve = commands.add_parser(
        "serve",
        **_help(
            "serve the API", "Serves until SIGTERM, then lets running work end. Options override settings."
        ),
        epilog=_settings_help(),
    )
    serve.add_argument("--host", help="address to listen on (LLMSTACK_HOST)")
    serve.add_argument("--port", type=int, help="port to listen on; 0 takes a free one (LLMSTACK_PORT)")

    commands.add_parser(
        "worker",
        **_help(
            "do the work of entries without serving",
            "Ingests, embeds and deletes until SIGTERM. Needs PostgreSQL and a Qdrant server, which it shares "
            "with the servers; any number of workers may run.",
        ),
    )

    commands.add_parser(
        "migrate",
        **_help(
            "bring the database to the newest revision",
            "Applies the migrations that are missing. With SQLite, 'serve' does so itself.",
        ),
    )

    token = commands.add_parser(
        "token",
        **_help("make, list and revoke tokens", "Works on the database, whether a server is running or not."),
    )
    actions = token.add_subparsers(title="commands", metavar="COMMAND", dest="action", required=True)
    create = actions.add_parser(
        "create",
        **_help(
            "make a token",
            "Prints the token alone on standard output, once. The account is made if need be.",
        ),
    )
    create.add_argument("--account", required=True, type=_name, help="account the token acts for")
    create.add_argument("--name", default="cli", type=_name, help="what the token is for (default: cli)")
    create.add_argument(
        "--scopes",
        default=SCOPES,
        type=_scopes,
        help=f"comma-separated, of {', '.join(SCOPES)} (default: all)",
    )
    create.add_argument(
        "--expires-in", type=_duration, metavar="DURATION", help="such as 12h, 30d or 8w (default: never)"
    )
    listing = actions.add_parser("list", **_help("list tokens", "Lists the tokens that are not revoked."))
    listing.add_argument("--account", type=_name, help="only this account's")
    revoke = actions.add_parser(
        "revoke", **_help("revoke a token", "The token is refused from then on, by running servers too.")
    )
    revoke.add_argument("token_id", type=_uuid, metavar="ID", help="the ID that 'token list' shows")

    apps = commands.add_parser(
        "apps",
        **_help(
            "keep apps as files, and run them",
            "Speaks to the server at LLMSTACK_URL (default: http://127.0.0.1:3000) with the token in "
            "LLMSTACK_TOKEN.",
        ),
    )
    _add_apps(apps)

    demo = commands.add_parser(
        "demo",
        **_help(
            "start a server, run the examples and search files over HTTP, show what arrives",
            "Uses a free port and a temporary directory, and needs no model. With LLMSTACK_OPENAI_BASE_URL "
            "or LLMSTACK_OPENAI_API_KEY set it runs a chat too.",
        ),
    )
    demo.add_argument("--model", help="model of the chat, in place of the one the example names")

    commands.add_parser(
        "doctor",
        **_help(
            "show what is configured and what can be reached",
            "Prints the settings without secrets and checks the data directory, the database, the provider "
            "and the port. The exit code is 0 if all is well, else 1.",
        ),
    )

    given = vars(parser.parse_args(arguments))
    if "action" in given:
        given["command"] = f"{given['command']} {given.pop('action')}"
    return given


def _add_apps(apps: argparse.ArgumentParser) -> None:
    actions = apps.add_subparsers(title="commands", metavar="COMMAND", dest="action", required=True)

    apply = actions.add_parser(
        "apply",
        **_help(
            "make the server's apps what files say",
            "Creates each app, or changes it where it differs: as a whole, so keys that are not in the file go. "
            "An app is found by the id that --id or the file's 'uuid' names, else by its name. The same files "
            "applied again change nothing. The exit code is 0, or 1 where an app was not accepted.",
        ),
    )
    apply.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="YAML or JSON, or a folder of such files"
    )
    _add_which(apply)

    diff = actions.add_parser(
        "diff",
        **_help(
            "show what 'apply' would change",
            "Prints a unified diff from the server's app to the file. The exit code is 0 where they are the "
            "same, 1 where they differ, 2 where that cannot be told.",
        ),
    )
    diff.add_argument("file", type=Path, metavar="FILE", help="YAML or JSON")
    _add_which(diff)

    export = actions.add_parser(
        "export", **_help("print an app as it was written", "Prints what 'apply' takes.")
    )
    export.add_argument("app", metavar="APP", help="id or name")
    export.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it to this file")
    export.add_argument(
        "--format", dest="form", choices=("yaml", "json"), default="yaml", help="default: yaml"
    )

    run = actions.add_parser(
        "run",
        **_help(
            "run an app and show what it makes",
            "Streams the output to standard output, with headings where it has several keys; how the run ended "
            "goes to standard error. A file is applied first. Ctrl-C ends the run. The exit code is 0 where the "
            "run succeeded, else 1.",
        ),
    )
    run.add_argument("app", metavar="APP", help="id, name, or file")
    run.add_argument(
        "--input",
        dest="inputs",
        action="append",
        default=[],
        type=_pair,
        metavar="KEY=VALUE",
        help="value of an input field; once for each",
    )
    run.add_argument(
        "--input-json",
        type=_object,
        default={},
        metavar="TEXT",
        help="values of input fields, as a JSON object",
    )
    run.add_argument(
        "--file",
        dest="files",
        action="append",
        default=[],
        type=_pair,
        metavar="KEY=PATH",
        help="file for an input field; a field of text gets its text",
    )
    run.add_argument("--session", metavar="ID", help="session to go on with, or to begin")
    run.add_argument(
        "--json", dest="as_json", action="store_true", help="print the answer as JSON once it is whole"
    )


def _add_which(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--name", type=_name, help="name of the app, in place of the file's")
    which.add_argument("--id", dest="app_id", type=_app_id, help="id of the app")


def _help(summary: str, text: str) -> dict[str, Any]:
    return {
        "help": summary,
        "description": "\n".join(textwrap.wrap(text, _WIDTH)),
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }


def _settings_help() -> str:
    lines = ["settings:"]
    for variable, default, text in describe():
        lines.append(f"  {variable}{f' (default: {default})' if default else ''}")
        lines += textwrap.wrap(
            text, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6, break_on_hyphens=False
        )
    return "\n".join(lines)


# --- values ----------------------------------------------------------------------------------------------


def _name(text: str) -> str:
    """Take a name as the API does: 1 to 200 characters of any script."""
    unfit = any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)
    if not text.strip() or len(text) > _MAX_NAME or unfit:
        raise argparse.ArgumentTypeError(f"must be 1 to {_MAX_NAME} characters")
    return text


def _scopes(text: str) -> tuple[str, ...]:
    given = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [part for part in given if part not in SCOPES]
    if unknown or not given:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of {', '.join(SCOPES)}")
    return given


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 12h, 30d or 8w")
    duration = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if duration > _LONGEST:
        raise argparse.ArgumentTypeError(
            f"{text!r} is over ten years; leave it out for a token without an end"
        )
    return duration


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"this is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("must be a JSON object")
    return cast("dict[str, Any]", value)


def _app_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no id of an app") from None


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no token ID; 'token list' shows them") from None
