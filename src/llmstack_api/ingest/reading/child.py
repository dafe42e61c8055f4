"""The process that reads files, as the server sees it: started, asked, killed."""

import asyncio
import os
import re
import signal
import sys
from asyncio import subprocess
from contextlib import suppress
from pathlib import Path

from llmstack_api.errors import ExtractError, UnavailableError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.frames import LENGTHS, Limits, pack_request, unpack_answer
from llmstack_api.ingest.reading.source import Source

START_TIMEOUT = 30.0
STOP_TIMEOUT = 5.0
_SEARCHED = ("PYTHONPATH", "LD_LIBRARY_PATH")
"""Lists of folders without which some installations of Python do not start; what is relative in them stays behind."""
_OWN = {
    "HOME": os.devnull,
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUTF8": "1",
    "MALLOC_ARENA_MAX": "2",
    "RAYON_NUM_THREADS": "1",
}
"""A home in which nobody can put anything; the rest makes files read the same on every machine, in little memory."""
_SLICE = 262_144
_INLINE = 1_048_576
_KEPT_ERRORS = 8_192
_NO_MEMORY = re.compile(
    rb"out of memory|allocat|bad_alloc|MemoryError|Resource temporarily unavailable", re.IGNORECASE
)
_ASSERTION = re.compile(rb"assert|panicked", re.IGNORECASE)
"""What aborts says why, unless it is an allocation that failed in C++: that aborts in silence."""


class Child:
    """One process; it reads one file after another, and is killed after any failure but the file's own.

    It has two tasks of its own, which end when the process does: one empties its standard error, one buries it.
    """

    def __init__(self, process: subprocess.Process) -> None:
        self._process = process
        self._errors = bytearray()
        self._killed = False
        self._listening = asyncio.create_task(self._keep_errors())
        self._burial: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls) -> "Child":
        """Start a process and wait until it is ready.

        Raises:
            UnavailableError: the machine does not let it start.
        """
        try:
            process = await subprocess.create_subprocess_exec(
                sys.executable, "-P", "-s", "-m", "llmstack_api.ingest.reading.extraction", str(os.getpid()),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=_environment(), cwd="/", start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise UnavailableError("The process that reads files cannot be started.") from error
        child = cls(process)
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await child._output.readexactly(1)
        except (TimeoutError, asyncio.IncompleteReadError) as error:
            child.kill()
            raise UnavailableError("The process that reads files cannot be started.") from error
        except BaseException:
            child.kill()
            raise
        return child

    @property
    def usable(self) -> bool:
        """Whether it can read another file, as far as is known."""
        return not self._killed and self._process.returncode is None and not self._has_exited()

    @property
    def buried(self) -> bool:
        """Whether it was killed and nothing is left of it."""
        return self._burial is not None and self._burial.done()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def _has_exited(self) -> bool:
        """Ask the system: the loop hears of an end some time after it."""
        if sys.platform != "linux":
            return False
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    async def read(self, source: Source, limits: Limits) -> Document:
        """Read one file.

        Raises:
            ExtractError: it cannot be read; `usable` says whether the process outlived it.
        """
        try:
            async with asyncio.timeout(limits.seconds):
                head, data = await self._exchange(source, limits)
        except TimeoutError:
            self.kill()
            raise ExtractError(
                f"Reading the file takes more than {limits.seconds:g} seconds.", code="timeout"
            ) from None
        except (ConnectionError, asyncio.IncompleteReadError):
            raise await self._post_mortem() from None
        except BaseException:
            self.kill()
            raise
        answer, keep = (
            await asyncio.to_thread(unpack_answer, head, data)
            if len(data) > _INLINE
            else unpack_answer(head, data)
        )
        if not keep:
            self.kill()
        if isinstance(answer, ExtractError):
            try:
                raise answer
            finally:
                # Or the frame and its error hold each other, and the file, until all garbage is collected.
                del answer
        return answer

    def kill(self) -> None:
        """Kill it and what it may have started, at once."""
        if self._killed:
            return
        self._killed = True
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._burial = asyncio.create_task(self._bury())

    async def gone(self) -> None:
        """Wait until it is gone, after `kill`.

        Raises:
            TimeoutError: the system did not let it go in time.
        """
        if self._burial is not None:
            async with asyncio.timeout(STOP_TIMEOUT):
                await asyncio.shield(self._burial)

    async def _bury(self) -> None:
        """Take what is left in the pipes, or they would never be seen to end."""
        while await self._output.read(_SLICE):
            pass
        await self._listening
        await self._process.wait()

    async def _exchange(self, source: Source, limits: Limits) -> tuple[bytes, bytes]:
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 # a pipe, as asked for
        stdin.write(pack_request(source, limits))
        data = memoryview(source.data)
        for start in range(0, len(data), _SLICE):
            stdin.write(data[start : start + _SLICE])
            await stdin.drain()
        await stdin.drain()
        head_length, data_length = LENGTHS.unpack(await self._output.readexactly(LENGTHS.size))
        return await self._output.readexactly(head_length), await self._output.readexactly(data_length)

    @property
    def _output(self) -> asyncio.StreamReader:
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 # a pipe, as asked for
        return stdout

    async def _keep_errors(self) -> None:
        """Read what it writes to standard error, and keep the end of it."""
        stderr = self._process.stderr
        assert stderr is not None  # noqa: S101 # a pipe, as asked for
        while piece := await stderr.read(_KEPT_ERRORS):
            self._errors += piece
            del self._errors[:-_KEPT_ERRORS]

    async def _post_mortem(self) -> ExtractError:
        """Say why it died: of the limit of memory or of time, or of what it read."""
        self.kill()
        with suppress(TimeoutError):
            await self.gone()
        code = self._process.returncode
        if code == -signal.SIGXCPU:
            return ExtractError("Reading the file takes too much time.", code="timeout")
        out_of_memory = code == -signal.SIGKILL or _NO_MEMORY.search(self._errors)
        if out_of_memory or (code == -signal.SIGABRT and not _ASSERTION.search(self._errors)):
            return ExtractError("Reading the file takes too much memory.", code="out-of-memory")
        return ExtractError("The file is damaged: reading it failed.", code="corrupt")


def _environment() -> dict[str, str]:
    """Make its environment: no secrets, no folder that others may write to, nothing that depends on where we are."""
    kept = {"PYTHONHOME": os.environ["PYTHONHOME"]} if "PYTHONHOME" in os.environ else {}
    for name in _SEARCHED:
        folders = [
            folder for folder in os.environ.get(name, "").split(os.pathsep) if Path(folder).is_absolute()
        ]
        if folders:
            kept[name] = os.pathsep.join(folders)
    return kept | _OWN
