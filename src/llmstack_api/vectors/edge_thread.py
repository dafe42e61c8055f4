"""The one thread that calls Qdrant Edge: searches pass waiting writes, nothing waits for ever."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from queue import PriorityQueue
from time import monotonic
from typing import Any, Final, TypeVar

from llmstack_api.errors import VectorStoreAwayError

PATIENCE: Final = 0.25
"""Seconds within which searches that come later go before a waiting write."""

T = TypeVar("T")


@dataclass(order=True, slots=True)
class _Job:
    due: float
    number: int
    call: Callable[[], object] | None = field(compare=False)
    future: Future[Any] = field(compare=False)


class EdgeThread:
    """Runs calls one after the other, in a thread that starts with the first and ends with `close`.

    One thread is enough: Edge holds the interpreter's lock through each call.
    """

    def __init__(self) -> None:
        self._jobs: PriorityQueue[_Job] = PriorityQueue()
        self._numbers = count()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, call: Callable[[], T], *, urgent: bool = False) -> Future[T]:
        """Queue a call; what it raises is the future's exception."""
        if self._closed:
            raise VectorStoreAwayError("The vector store is closed.")
        return self._put(call, due=monotonic() + (0.0 if urgent else PATIENCE))

    async def run(self, call: Callable[[], T], *, within: float, urgent: bool = False) -> T:
        """Run a call and wait for it; one whose caller left is not begun, or ends on its own.

        Raises:
            VectorStoreAwayError: it took longer than `within` seconds.
        """
        return await bounded(asyncio.wrap_future(self.submit(call, urgent=urgent)), within=within)

    async def close(self, last: Callable[[], object], *, within: float) -> None:
        """Run what waits, then `last`, and end the thread; what takes longer is left behind."""
        if self._closed:
            return
        self._closed = True
        end = self._put(last, due=float("inf"))
        self._put(None, due=float("inf"))
        # Shielded, so that `last` runs though nobody waits for it any more.
        await bounded(asyncio.shield(asyncio.wrap_future(end)), within=within)

    def _put(self, call: Callable[[], object] | None, *, due: float) -> Future[Any]:
        if self._thread is None:
            # A daemon: a call that hangs must not keep the process from ending.
            self._thread = threading.Thread(target=self._work, name="qdrant-edge", daemon=True)
            self._thread.start()
        job = _Job(due, next(self._numbers), call, Future())
        self._jobs.put(job)
        return job.future

    def _work(self) -> None:
        while (job := self._jobs.get()).call is not None:
            if job.future.set_running_or_notify_cancel():
                _do(job.call, job.future)
            del job  # or its result would be held until the next one comes


def _do(call: Callable[[], object], future: Future[Any]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 # a panic of Rust is no Exception; whoever waits gets it
        future.set_exception(error)


async def bounded(future: asyncio.Future[T], *, within: float) -> T:
    """Wait for a queued call, so many seconds at most."""
    try:
        async with asyncio.timeout(within):
            return await future
    except TimeoutError:
        raise VectorStoreAwayError(f"The vector store did not answer within {within:g} s.") from None
