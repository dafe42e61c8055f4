"""Server processes on loopback: started, asked whether they are ready, measured, ended by their own id."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.load import BrokenAnswerError, connect, encode

_READY_WITHIN = 30.0
_END_WITHIN = 10.0
_POLL = 0.02


class ServerFailedError(Exception):
    """A server did not become ready or ended too soon; the message has the last that it printed."""


@dataclass(frozen=True)
class Server:
    """A running server process and what its start cost."""

    name: str
    port: int
    process: asyncio.subprocess.Process
    log: Path
    ready_cpu: float
    """CPU seconds from the start until it was ready, those of ended children included."""

    ready_wall: float
    """Seconds from the start until it was ready."""

    def cpu(self) -> float:
        """CPU seconds used so far, children included; raise `ServerFailedError` if it is gone."""
        self._require_life()
        return _cpu_of_tree(self.process.pid)

    def memory(self) -> int:
        """Resident bytes, children included; raise `ServerFailedError` if it is gone."""
        self._require_life()
        return _memory_of_tree(self.process.pid)

    def _require_life(self) -> None:
        if self.process.returncode is not None:
            raise ServerFailedError(f"{self.name} ended with {self.process.returncode}:\n{_end_of(self.log)}")


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without what would change what is measured: proxies, settings, no bytecode."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy")
        and not name.startswith(("LLMSTACK_", "UVICORN_", "WEB_", "PYTHONDONTWRITEBYTECODE"))
    }
    return kept | extra


@asynccontextmanager
async def running(
    name: str, command: Sequence[str], *, port: int, folder: Path, env: Mapping[str, str]
) -> AsyncGenerator[Server]:
    """Run a server in a folder from the moment it is ready until the block is left."""
    log = folder / f"{name}.log"
    started = time.perf_counter()
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        await _wait_until_ready(name, process, port=port, log=log)
        yield Server(
            name,
            port,
            process,
            log,
            ready_cpu=_cpu_of_tree(process.pid),
            ready_wall=time.perf_counter() - started,
        )
    finally:
        await _end(process)


async def _wait_until_ready(name: str, process: asyncio.subprocess.Process, *, port: int, log: Path) -> None:
    deadline = time.perf_counter() + _READY_WITHIN
    while not await _is_ready(port):
        if process.returncode is not None:
            raise ServerFailedError(
                f"{name} ended with {process.returncode} before it was ready:\n{_end_of(log)}"
            )
        if time.perf_counter() > deadline:
            raise ServerFailedError(f"{name} was not ready after {_READY_WITHIN:.0f} s:\n{_end_of(log)}")
        await asyncio.sleep(_POLL)


async def _is_ready(port: int) -> bool:
    try:
        connection = await connect(port)
    except BrokenAnswerError:
        return False
    try:
        await connection.request(encode("GET", "/health/ready"), patience=5)
    except BrokenAnswerError:
        return False
    finally:
        connection.close()
    return True


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_END_WITHIN):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _cpu_of_tree(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    total = times.children_user + times.children_system  # of the children that have ended
    for member in _tree(pid):
        with suppress(psutil.NoSuchProcess, OSError):  # a child may end between being listed and asked
            total += _cpu(member.pid)
    return total


def _memory_of_tree(pid: int) -> int:
    total = 0
    for member in _tree(pid):
        with suppress(psutil.NoSuchProcess):
            total += member.memory_info().rss
    return total


def _cpu(pid: int) -> float:
    if sys.platform == "linux":
        # Another process's CPU clock in nanoseconds (clock_getcpuclockid(3)); /proc/PID/stat counts in 10 ms.
        return time.clock_gettime((~pid << 3) | 2)
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system
