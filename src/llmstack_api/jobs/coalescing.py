"""Calls that come together are done together: what arrives while a batch is going makes the next one."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from llmstack_api.errors import StorageFullError, UnavailableError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True)
class _Call(Generic[T, R]):
    item: T
    future: asyncio.Future[R]


LONGEST_REST: Final = 0.25
"""Seconds of rest after a batch at most."""


class Coalescer(Generic[T, R]):
    """Runs `work` over the items of many callers at once; the first after a time of quiet waits for nobody."""

    def __init__(
        self,
        work: Callable[[list[T]], Awaitable[Sequence[R]]],
        *,
        most: int,
        rest: float = 0,
        together: tuple[type[Exception], ...] = (),
    ) -> None:
        """`work` returns one result an item, in their order; `most` is the largest batch.

        A batch that fails is done again item by item, but for errors of the types `together`, which are everyone's.
        For work that holds others up, `rest` is how many times as long as a batch took it rests after it.
        """
        self._work = work
        self._most = most
        self._rest = rest
        self._together = together
        self._calls: deque[_Call[T, R]] = deque()
        self._wanted = asyncio.Event()

    async def __call__(self, item: T) -> R:
        """Have one item done with those of others.

        A batch that fails is done again, item by item; not where something is away, which concerns them all.
        """
        call = _Call[T, R](item, asyncio.get_running_loop().create_future())
        self._calls.append(call)
        self._wanted.set()
        return await call.future

    async def serve(self) -> None:
        """Do the work, until cancelled; callers that still wait are then cancelled too."""
        batch: list[_Call[T, R]] = []
        try:
            while True:
                await self._wanted.wait()
                while len(batch) < self._most and self._calls:
                    call = self._calls.popleft()
                    if not call.future.done():
                        batch.append(call)
                if not self._calls:
                    self._wanted.clear()
                began = time.monotonic()
                await self._do(batch)
                batch.clear()
                if self._rest:
                    await asyncio.sleep(min(self._rest * (time.monotonic() - began), LONGEST_REST))
        finally:
            for call in (*batch, *self._calls):
                call.future.cancel()

    async def _do(self, batch: list[_Call[T, R]]) -> None:
        if not batch:
            return
        try:
            results = await self._work([call.item for call in batch])
        except (UnavailableError, StorageFullError) as error:
            for call in batch:
                _settle(call, error=error)
            return
        except Exception as error:  # noqa: BLE001 # it belongs to the callers
            if len(batch) == 1 or isinstance(error, self._together):
                for call in batch:
                    _settle(call, error=error)
                return
            for call in batch:
                await self._do([call])
            return
        for call, result in zip(batch, results, strict=True):
            _settle(call, result=result)


def _settle(call: _Call[T, R], *, result: R | None = None, error: Exception | None = None) -> None:
    if call.future.done():
        return
    if error is not None:
        call.future.set_exception(error)
    else:
        call.future.set_result(result)  # pyright: ignore[reportArgumentType] # R may be None itself
