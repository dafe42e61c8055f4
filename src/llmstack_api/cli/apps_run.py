"""Runs an app for the terminal: its input from options and files, its output as it is made."""

import json
import mimetypes
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO, cast

from llmstack_api.cli.apps_client import AppsError, Client, printable
from llmstack_api.engine.files import write_data_uri
from llmstack_api.engine.ports import File, Json

RESERVED: Final = frozenset({"session", "run", "errors", "done"})
"""Keys of a stream that are no output."""

PATIENCE: Final = 1.0
"""Seconds without a word after which another key may be shown in place of the one on the screen."""

_FILES: Final = frozenset({"file", "voice"})
_TEXTS: Final = frozenset({"string", "text"})


def run_app(
    client: Client,
    app: Mapping[str, Any],
    *,
    inputs: Sequence[tuple[str, str]],
    input_json: Mapping[str, Any],
    files: Sequence[tuple[str, str]],
    session: str | None,
    as_json: bool,
) -> int:
    """Run an app; show its output, or at the end all of the answer as JSON; return 1 where it failed.

    Raises:
        AppsError: an input cannot be read, the server refused the run, or the stream was cut off.
    """
    given = {**input_json, **read_inputs(app["input_fields"], inputs=inputs, files=files)}
    began = time.monotonic()
    screen = None if as_json else Screen(sys.stdout, keys=_output_keys(app), clock=time.monotonic)
    kept: list[dict[str, Any]] = []
    with client.stream(app["uuid"], given, session=session) as lines:
        first = next(lines, None)
        if first is None or "session" not in first:
            raise AppsError("the stream was cut off before it began")
        end: dict[str, Any] | None = None
        errors: list[dict[str, Any]] = []
        for line in lines:
            errors += line.get("errors", [])
            end = line.get("done", end)
            if screen is None:
                kept.append(line)
            else:
                screen.show(line)
    if screen is not None:
        screen.close()
    if end is None:
        raise AppsError("the stream was cut off: it did not end with 'done'")
    if as_json:
        _print_answer(first, kept, errors=errors, end=end)
    _print_end(first, errors=errors, end=end, seconds=time.monotonic() - began)
    return 0 if end["status"] == "succeeded" else 1


def stitch(lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Put a stream's chunks together: strings are concatenated, arrays appended, all else is whole."""
    output: dict[str, Any] = {}
    for line in lines:
        for key, value in line.items():
            if key not in RESERVED:
                joins = isinstance(value, str | list) and key in output
                output[key] = output[key] + value if joins else value
    return output


def _output_keys(app: Mapping[str, Any]) -> list[str]:
    return list(app["output"]) if app.get("output") else ["output"]


def _print_answer(
    first: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]],
    *,
    errors: list[dict[str, Any]],
    end: Mapping[str, Any],
) -> None:
    """Print what a blocking run would have answered, and the errors of one that failed."""
    answer: dict[str, Any] = {
        "session": first["session"],
        "output": stitch(lines),
        "run": {**first["run"], "status": end["status"]},
        "usage": end["usage"],
    }
    if errors:
        answer["errors"] = errors
    sys.stdout.write(f"{json.dumps(answer, ensure_ascii=False)}\n")


def _print_end(
    first: Mapping[str, Any], *, errors: Iterable[Mapping[str, Any]], end: Mapping[str, Any], seconds: float
) -> None:
    sys.stdout.flush()
    for error in errors:
        step = f" in {error['processor']}" if error.get("processor") else ""
        sys.stderr.write(f"llmstack-api: {error['code']}{step}: {printable(error['message'])}\n")
    usage = end["usage"]
    counts = [usage.get("input_tokens"), usage.get("output_tokens")]
    tokens = "" if counts == [None, None] else f", {counts[0] or 0} + {counts[1] or 0} tokens"
    sys.stderr.write(f"{end['status']} in {seconds:.1f} s{tokens}, session {first['session']['id']}\n")


# --- input -----------------------------------------------------------------------------------------------


def read_inputs(
    fields: Iterable[Mapping[str, Any]],
    *,
    inputs: Iterable[tuple[str, str]],
    files: Iterable[tuple[str, str]],
) -> dict[str, Any]:
    """Return the values of options, each of the type that its field has.

    Raises:
        AppsError: a value is none of its field's type, or a file cannot be read.
    """
    known = {field["name"]: field for field in fields}
    values = {key: _value(key, text, known.get(key, {})) for key, text in inputs}
    for key, path in files:
        values[key] = _file(Path(path), known.get(key, {}).get("type", "file"))
    return values


def _value(key: str, text: str, field: Mapping[str, Any]) -> Json:
    kind = field.get("type", "string")
    if kind == "select":
        choices = [option["value"] for option in field.get("options") or ()]
        return next((choice for choice in choices if _as_text(choice) == text), text)
    if kind not in {"number", "boolean", "multi"}:
        return text
    try:
        return json.loads(text)
    except ValueError:
        if kind == "multi":
            return text
        wanted = "a number" if kind == "number" else "true or false"
        raise AppsError(f"--input {key}: must be {wanted}, not {text!r}") from None


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _file(path: Path, kind: str) -> str:
    """Return a file as a data URI; for a field of text, its text."""
    try:
        data = path.read_bytes()
        if kind in _TEXTS:
            return data.decode("utf-8-sig")
    except OSError as error:
        raise AppsError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise AppsError(f"{path}: this is no text in UTF-8") from None
    return write_data_uri(File(data, path.name, mimetypes.guess_type(path.name)[0]))


# --- output ----------------------------------------------------------------------------------------------


class Screen:
    """Shows the chunks of a run: of one key its text alone, of several one after the other with headings.

    Keys stream side by side, a terminal shows one: the others are held until it has ended or been silent.
    """

    def __init__(self, out: TextIO, *, keys: Sequence[str], clock: Callable[[], float]) -> None:
        self._out = out
        self._single = len(keys) == 1
        self._clean = printable if out.isatty() else str
        self._clock = clock
        self._held: dict[str, list[Any]] = {}
        self._begun: set[str] = set()
        self._current: str | None = None
        self._last_word = 0.0
        self._in_line = False

    def show(self, line: Mapping[str, Any]) -> None:
        """Take a line of the stream."""
        now = self._clock()
        for key, chunk in line.items():
            if key not in RESERVED:
                self._held.setdefault(key, []).append(chunk)
        if self._current is None or (self._current not in self._held and now - self._last_word >= PATIENCE):
            self._turn_to(next(iter(self._held), None))
        if self._current in self._held:
            self._flush(self._current)
            self._last_word = now

    def close(self) -> None:
        """Show what is held."""
        while self._held:
            self._turn_to(next(iter(self._held)))
            self._flush(cast("str", self._current))
        self._end_line()
        self._out.flush()

    def _turn_to(self, key: str | None) -> None:
        if key is None or key == self._current:
            return
        self._current = key
        if not self._single:
            self._end_line()
            again = " (continued)" if key in self._begun else ""
            self._begun.add(key)
            self._write(f"{key}{again}: ")

    def _flush(self, key: str) -> None:
        for chunk in self._held.pop(key):
            if isinstance(chunk, str):
                self._write(chunk)
            elif isinstance(chunk, list):
                for element in cast("list[Any]", chunk):
                    self._end_line()
                    self._write(f"- {_as_text(element)}\n")
            else:
                self._write(json.dumps(chunk, ensure_ascii=False))
        self._out.flush()

    def _write(self, text: str) -> None:
        if text:
            self._out.write(self._clean(text))
            self._in_line = not text.endswith("\n")

    def _end_line(self) -> None:
        if self._in_line:
            self._write("\n")
