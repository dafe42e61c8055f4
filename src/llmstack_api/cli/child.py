"""A server as a child process with data of its own, for the demo."""

import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Final

from llmstack_api.settings import PREFIX, Settings

TOKEN_TIMEOUT: Final = 30.0
END_TIMEOUT: Final = 15.0
LAST_LINES: Final = 60

_COMMAND: Final = (sys.executable, "-m", "llmstack_api.cli")
_READY: Final = re.compile(r"llmstack-api is ready on http://([0-9.]+):([0-9]+)")


class ChildFailedError(Exception):
    """The child did not start, or did not end as it should."""


@dataclass(frozen=True, slots=True)
class ChildServer:
    """A server that answers."""

    ready_line: str
    host: str
    port: int


@contextmanager
def child_server(folder: Path, settings: Settings, *, limit: float) -> Generator[ChildServer]:
    """Start `llmstack-api serve` on a free port; end it by its process id. It lives `limit` seconds at most.

    Raises:
        ChildFailedError: it did not start, or did not end with code 0 after SIGTERM.
    """
    with (
        log_file(folder).open("wb") as log,
        subprocess.Popen(  # noqa: S603 # ourselves
            (*_COMMAND, "serve", "--host", "127.0.0.1", "--port", "0"),
            cwd=folder,
            env=_environment(folder, settings),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        killer = Timer(limit, process.kill)
        killer.start()
        try:
            yield _ready(process)
            process.terminate()
            code = process.wait(END_TIMEOUT)
            if code != 0:
                raise ChildFailedError(f"the server ended with code {code}")
        finally:
            killer.cancel()
            process.kill()


def make_token(folder: Path, settings: Settings, *, account: str) -> str:
    """Make a token with the command, while the server runs."""
    done = subprocess.run(  # noqa: S603 # ourselves
        (*_COMMAND, "token", "create", "--account", account),
        cwd=folder,
        env=_environment(folder, settings),
        timeout=TOKEN_TIMEOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ChildFailedError(f"no token was made: {done.stderr.strip()}")
    return done.stdout.splitlines()[-1]


def last_words(folder: Path) -> str:
    """Return the end of the server's log."""
    file = log_file(folder)
    return "\n".join(file.read_text(errors="replace").splitlines()[-LAST_LINES:]) if file.exists() else ""


def log_file(folder: Path) -> Path:
    """Return where the server logs to."""
    return folder / "server.log"


def _ready(process: subprocess.Popen[str]) -> ChildServer:
    line = process.stdout.readline().rstrip() if process.stdout else ""
    match = _READY.fullmatch(line)
    if match is None:
        raise ChildFailedError(f"the server did not start: {line}" if line else "the server did not start")
    return ChildServer(ready_line=line, host=match[1], port=int(match[2]))


def _environment(folder: Path, settings: Settings) -> dict[str, str]:
    """Take over the provider only; all else is the demo's own, and its folder has no `.env` file."""
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    environment["LLMSTACK_DATA_DIR"] = str(folder / "data")
    if settings.openai_base_url:
        environment["LLMSTACK_OPENAI_BASE_URL"] = settings.openai_base_url
    if settings.openai_api_key:
        environment["LLMSTACK_OPENAI_API_KEY"] = settings.openai_api_key.get_secret_value()
    return environment
