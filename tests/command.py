"""The command line as its users have it: as processes."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from llmstack_api.settings import PREFIX

COMMAND = (sys.executable, "-m", "llmstack_api.cli")
TIMEOUT = 40.0

_READY = re.compile(r"llmstack-api is ready on (http://\S+)\n")


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class ServerProcess:
    """A server that answers."""

    process: Process
    url: str
    log: Path

    async def end(self, *signals: int) -> tuple[int, str]:
        """Send signals and wait; return the exit code and what else came on standard output."""
        for number in signals:
            self.process.send_signal(number)
        assert self.process.stdout is not None
        async with asyncio.timeout(TIMEOUT):
            rest = await self.process.stdout.read()
            return await self.process.wait(), rest.decode()


def environment(data_dir: Path, **settings: object) -> dict[str, str]:
    """Return the environment without settings but for these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    given = {"data_dir": data_dir, **settings}
    return kept | {f"{PREFIX}{name.upper()}": str(value) for name, value in given.items()}


async def run_command(*arguments: str, env: dict[str, str], folder: Path) -> Finished:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, env=env, cwd=folder, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(TIMEOUT):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Finished(process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def server_process(*arguments: str, env: dict[str, str], folder: Path) -> AsyncGenerator[ServerProcess]:
    """Run `serve`, or what is given in its place, on a free port until the context is left."""
    log = folder / "server.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *(arguments or (*COMMAND, "serve")),
            env={"LLMSTACK_PORT": "0"} | env,
            cwd=folder,
            stdout=PIPE,
            stderr=errors,
        )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(TIMEOUT):
            line = (await process.stdout.readline()).decode()
        ready = _READY.fullmatch(line)
        assert ready is not None, line + log.read_text()
        yield ServerProcess(process, ready[1], log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
