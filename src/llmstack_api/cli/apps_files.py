"""Apps as files: found, read, and taken out of the wrapper of an upstream template."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID

from llmstack_api.apps.yaml import MAX_BYTES, load_yaml
from llmstack_api.cli.apps_client import AppsError
from llmstack_api.engine.ports import Json
from llmstack_api.errors import LLMStackError
from llmstack_api.web.json import parse_json

ENDINGS: Final = (".yaml", ".yml", ".json")

_SERVERS_KEYS: Final = frozenset({"uuid", "version", "created_at", "updated_at", "warnings"})
"""What the API adds to a definition when it answers it as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFile:
    """An app as a file has it."""

    path: Path
    definition: dict[str, Any]
    """Without the id, and without what the server adds."""
    uuid: UUID | None
    """The app that the file says it is."""
    notes: tuple[str, ...] = ()
    """What was left out."""

    @property
    def name(self) -> str:
        """What the app is called."""
        return self.definition["name"]


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files that are named, and those in the folders that are.

    Raises:
        AppsError: one is not there, or a folder has none.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if is_app_file(file) and file.is_file())
            if not inside:
                raise AppsError(f"{path}: no app files ({', '.join(ENDINGS)}) in this folder")
            found += inside
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def is_app_file(path: Path) -> bool:
    """Tell by its name whether a file can be an app."""
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".")


def read_app(path: Path) -> AppFile:
    """Read a file: YAML, or JSON where its name ends so.

    Raises:
        AppsError: it cannot be read, or is no app; the message says where.
    """
    value = _value(path)
    if not isinstance(value, dict):
        raise AppsError(f"{path}: an app is an object with keys such as name and processors")
    given = cast("dict[str, Any]", value)
    notes: list[str] = []
    inner = given.get("app")
    if isinstance(inner, dict) and "processors" not in given:
        app = cast("dict[str, Any]", inner)
        outer = {key: given[key] for key in ("name", "description") if key in given}
        dropped = sorted(given.keys() - {"app", *outer, *app})
        if dropped:
            notes.append(f"the template around the app is left out: {', '.join(dropped)}")
        given = {**outer, **app}
    if not isinstance(given.get("name"), str) or not given["name"]:
        raise AppsError(f"{path}: name: required")
    uuid = _id_in(path, given)
    kept = {key: item for key, item in given.items() if key not in _SERVERS_KEYS}
    if uuid is not None and kept.get("id") == str(uuid):
        del kept["id"]
    return AppFile(path=path, definition=kept, uuid=uuid, notes=tuple(notes))


def _value(path: Path) -> Json:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AppsError(f"{path}: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise AppsError(f"{path}: an app has at most {MAX_BYTES:,} bytes, not {len(data):,}")
    read = parse_json if path.suffix.lower() == ".json" else load_yaml
    try:
        return read(data)
    except LLMStackError as error:
        raise AppsError(f"{path}: {str(error).removeprefix('the body is ')}") from None


def _id_in(path: Path, given: dict[str, Any]) -> UUID | None:
    value = given.get("uuid") or given.get("id")
    if value is None:
        return None
    try:
        return UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise AppsError(f"{path}: uuid: {value!r} is no id of an app") from None
