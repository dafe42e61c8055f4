"""Files become text: small text at once, everything else in a process that can be killed."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import anyio

from llmstack_api.errors import UnavailableError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.child import Child
from llmstack_api.ingest.reading.dispatch import read_small
from llmstack_api.ingest.reading.frames import Limits
from llmstack_api.ingest.reading.source import Source

IDLE = 30.0
"""Seconds without work after which the process is let go, and its memory with it."""


class Extractor:
    """Reads files, as many at once as it may have processes; further callers wait in the order they came."""

    def __init__(self, *, limits: Limits, processes: int, idle: float) -> None:
        self._limits = limits
        self._idle_seconds = idle
        self._turns = asyncio.Semaphore(processes)
        self._children: set[Child] = set()
        self._idle: list[Child] = []
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.waiting = 0
        """Callers that wait for a turn."""

    async def extract(
        self,
        data: bytes,
        *,
        file_name: str | None,
        media_type: str | None,
        url: str | None = None,
        main_text: bool = False,
        encoding: str | None = None,
    ) -> Document:
        """Read a file of any kind that is known; `main_text` leaves out the menus of a web page.

        `encoding` is what its owner says that text is in, whatever the file itself says.

        Waiting for a turn is not counted against the time-out. A cancelled call ends at once.

        Raises:
            ExtractError: it cannot be read; `code` is `empty-file`, `no-text`, `unsupported-type`, `encrypted`,
                `corrupt`, `wrong-encoding`, `too-large`, `timeout` or `out-of-memory`.
            UnavailableError: this process is stopping, or the machine does not let another one start.
        """
        source = Source(data, file_name, media_type, url, main_text, encoding)
        document = read_small(source)
        if document is not None:
            return document
        self.waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self.waiting -= 1
        try:
            child = await self._hire()
            try:
                return await child.read(source, self._limits)
            finally:
                self._release(child)
        finally:
            self._turns.release()

    async def close(self) -> None:
        """Kill the processes and wait, not for long, until they are gone."""
        self._closed = True
        if self._timer:
            self._timer.cancel()
        self._idle.clear()
        children = list(self._children)
        for child in children:
            child.kill()
        for child in children:
            with suppress(
                TimeoutError
            ):  # killed: whatever the system still does with it, nothing can be done here
                await child.gone()

    async def _hire(self) -> Child:
        while self._idle:
            child = self._idle.pop()
            if child.usable:
                return child
            child.kill()
        if self._closed:
            raise UnavailableError("Files are not read any more: the server is stopping.")
        child = await Child.start()
        self._children.add(child)
        return child

    def _release(self, child: Child) -> None:
        """Keep a process for the next file; the clock starts again."""
        self._children = {other for other in self._children if not other.buried}
        if not child.usable or self._closed:
            child.kill()
            return
        self._idle.append(child)
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._idle_seconds, self._let_go)

    def _let_go(self) -> None:
        while self._idle:
            self._idle.pop().kill()


@asynccontextmanager
async def open_extractor(
    *,
    timeout: float,  # noqa: ASYNC109 # of each file to come, not of this call
    memory: int,
    processes: int = 1,
    idle: float = IDLE,
) -> AsyncGenerator[Extractor]:
    """Open what reads files; no process is started before the first file that needs one.

    Args:
        timeout: seconds that one file may take.
        memory: bytes of address space that reading it may take.
        processes: files read at once.
        idle: seconds without work after which a process is let go.
    """
    extractor = Extractor(limits=Limits(memory, timeout), processes=processes, idle=idle)
    try:
        yield extractor
    finally:
        with anyio.CancelScope(shield=True):
            await extractor.close()
