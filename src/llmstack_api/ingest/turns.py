"""Turns at a host: so many may ask it at once, the others wait in line."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class _Line:
    slots: asyncio.Semaphore
    people: int = 0
    """Those who have a turn or wait for one."""


class Turns:
    """Hands out turns, first come first served; a host is forgotten when nobody asks it."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._lines: dict[str, _Line] = {}

    def __len__(self) -> int:
        """Count the hosts that somebody asks or waits for."""
        return len(self._lines)

    @asynccontextmanager
    async def turn(self, host: str, *, clock: asyncio.Timeout, patience: float) -> AsyncGenerator[None]:
        """Have a turn in the block. The clock stands still while waiting: others are the cause.

        Raises:
            TimeoutError: none came within `patience` seconds.
        """
        line = self._lines.setdefault(host, _Line(asyncio.Semaphore(self._at_once)))
        line.people += 1
        try:
            async with slot(line.slots, clock=clock, patience=patience):
                yield
        finally:
            line.people -= 1
            if not line.people:
                del self._lines[host]


@asynccontextmanager
async def slot(slots: asyncio.Semaphore, *, clock: asyncio.Timeout, patience: float) -> AsyncGenerator[None]:
    """Have one of the slots in the block. The clock stands still while waiting: others are the cause.

    Raises:
        TimeoutError: none was free within `patience` seconds.
    """
    if slots.locked():
        await _wait(slots, clock=clock, patience=patience)
    else:
        await slots.acquire()
    try:
        yield
    finally:
        slots.release()


async def _wait(slots: asyncio.Semaphore, *, clock: asyncio.Timeout, patience: float) -> None:
    loop = asyncio.get_running_loop()
    when = clock.when()
    left = None if when is None else when - loop.time()
    clock.reschedule(None)
    try:
        async with asyncio.timeout(patience):
            await slots.acquire()
    finally:
        clock.reschedule(None if left is None else loop.time() + left)
