"""`llmstack-api apps`: keeps apps as files, over HTTP: apply, diff, export."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, Literal, cast
from uuid import UUID

from llmstack_api.apps.yaml import load_yaml
from llmstack_api.cli.apps_changes import describe_changes, is_same, replacement, settled, unified
from llmstack_api.cli.apps_client import (
    AppsError,
    Client,
    ServerAwayError,
    open_client,
    place_text,
    printable,
)
from llmstack_api.cli.apps_files import AppFile, find_files, is_app_file, read_app
from llmstack_api.cli.apps_run import run_app

DIFFERENT_EXIT: Final = 1
TROUBLE_EXIT: Final = 2
"""As of `diff`, which says with 1 that files differ."""

Form = Literal["yaml", "json"]


def apply(files: Sequence[Path], *, name: str | None, app_id: UUID | None) -> int:
    """Make the server's apps what the files say; return 1 where one of them was not accepted."""

    def work(client: Client) -> int:
        found = find_files(files)
        if len(found) > 1 and (name or app_id):
            raise AppsError("--name and --id are for a single file")
        apps = [read_app(path) for path in found]
        _refuse_twins(apps)
        failed = 0
        for app in apps:
            try:
                say(apply_file(client, app, name=name, app_id=app_id).said)
            except ServerAwayError:
                raise
            except AppsError as error:
                failed += 1
                complain(f"{app.path}: {error}")
        return 1 if failed else 0

    return _told(work)


def diff(file: Path, *, name: str | None, app_id: UUID | None) -> int:
    """Show what `apply` would change: 0 nothing, 1 something, 2 it cannot be told."""

    def work(client: Client) -> int:
        app = _named(read_app(file), name)
        saved = _find(client, app, app_id)
        before: dict[str, Any] = {}
        label = f"server: no app {app.name!r}"
        if saved is not None:
            uuid, version = UUID(saved["uuid"]), saved["version"]
            before = settled(client.definition_of(uuid, version))
            label = f"server: {uuid} v{version}"
        lines = unified(before, settled(app.definition), names=(printable(label), printable(str(file))))
        for line in lines:
            say(printable(line))
        return DIFFERENT_EXIT if lines else 0

    return _told(work, trouble=TROUBLE_EXIT)


def export(app: str, *, output: Path | None, form: Form) -> int:
    """Print an app as it was written, or write it to a file."""

    def work(client: Client) -> int:
        text = client.text_of(find_app(client, app))
        if form == "json":
            text = json.dumps(load_yaml(text.encode()), ensure_ascii=False, indent=2) + "\n"
        if output is None:
            sys.stdout.write(text)
            return 0
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise AppsError(f"{output}: {error.strerror or error}") from None
        return 0

    return _told(work)


def run(
    app: str,
    *,
    inputs: Sequence[tuple[str, str]],
    input_json: dict[str, Any],
    files: Sequence[tuple[str, str]],
    session: str | None,
    as_json: bool,
) -> int:
    """Run an app and show what it makes while it is made; a file is applied first."""

    def work(client: Client) -> int:
        path = Path(app)
        if is_app_file(path) and _uuid(app) is None:
            applied = apply_file(client, read_app(path), name=None, app_id=None)
            complain(applied.said)
            uuid = applied.uuid
        else:
            uuid = find_app(client, app)
        return run_app(
            client,
            client.get_app(uuid),
            inputs=inputs,
            input_json=input_json,
            files=files,
            session=session,
            as_json=as_json,
        )

    return _told(work)


# --- one app ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Applied:
    """An app that is what its file says, and what was done for that."""

    uuid: UUID
    said: str


def apply_file(client: Client, file: AppFile, *, name: str | None, app_id: UUID | None) -> Applied:
    """Make the server's app what a file says. Warnings go to standard error.

    Raises:
        AppsError: the server does not accept it.
    """
    app = _named(file, name)
    for note in app.notes:
        complain(f"{app.path}: {note}")
    saved = _find(client, app, app_id)
    if saved is None:
        made = client.create_app(app.definition)
        _show_warnings(app, made)
        return Applied(UUID(made["uuid"]), _line("created", made, f"v{made['version']}"))
    uuid, version = UUID(saved["uuid"]), saved["version"]
    before, after = settled(client.definition_of(uuid, version)), settled(app.definition)
    if is_same(before, after):
        return Applied(uuid, _line("unchanged", saved, f"v{version}"))
    made = client.change_app(uuid, replacement(before, after))
    _show_warnings(app, made)
    lines = [_line("changed", made, f"v{version} -> v{made['version']}")]
    lines += [f"  {change}" for change in describe_changes(before, after)]
    return Applied(uuid, "\n".join(lines))


def find_app(client: Client, app: str) -> UUID:
    """Return the id of an app that is named by its id or by its name.

    Raises:
        AppsError: there is none, or several of that name.
    """
    uuid = _uuid(app)
    if uuid is not None:
        return uuid
    found = _the_only(client, app)
    if found is None:
        raise AppsError(f"there is no app {app!r}")
    return UUID(found["uuid"])


def _named(app: AppFile, name: str | None) -> AppFile:
    if name is None:
        return app
    return replace(app, definition={**app.definition, "name": name})


def _find(client: Client, app: AppFile, app_id: UUID | None) -> dict[str, Any] | None:
    """Return the server's app that a file is: by its id where there is one, else by its name."""
    uuid = app_id or app.uuid
    return client.get_app(uuid) if uuid else _the_only(client, app.name)


def _the_only(client: Client, name: str) -> dict[str, Any] | None:
    found = client.find_apps(name)
    if len(found) > 1:
        ids = "".join(f"\n  {app['uuid']} of {app['created_at']}" for app in found)
        raise AppsError(f"there are {len(found)} apps {name!r}; name one by its id:{ids}")
    return found[0] if found else None


def _refuse_twins(apps: Sequence[AppFile]) -> None:
    """Refuse files that are the same app: which of them would be the last to win is nobody's wish."""
    seen: dict[str, Path] = {}
    for app in apps:
        key = str(app.uuid or app.name)
        if key in seen:
            raise AppsError(f"{seen[key]} and {app.path} are both the app {key!r}")
        seen[key] = app.path


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# --- what is said ----------------------------------------------------------------------------------------


def _told(work: Callable[[Client], int], *, trouble: int = 1) -> int:
    cast("TextIOWrapper", sys.stdout).reconfigure(
        errors="backslashreplace"
    )  # a terminal need not know every script
    try:
        return work(open_client())
    except AppsError as error:
        sys.stdout.flush()
        complain(str(error))
        return trouble


def _show_warnings(app: AppFile, saved: dict[str, Any]) -> None:
    for warning in saved["warnings"]:
        complain(f"{app.path}: warning: {place_text(warning)}")


def _line(done: str, app: dict[str, Any], version: str) -> str:
    return f"{done} {printable(app['name'])} {app['uuid']} {version}"


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")


def complain(text: str) -> None:
    """Print a line beside the output."""
    sys.stderr.write(f"llmstack-api: {text}\n")
