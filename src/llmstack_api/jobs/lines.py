"""Whose turn it is: accounts take turns, and in each account what may come later comes last."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar
from uuid import UUID

T = TypeVar("T")


class Line(Generic[T]):
    """What one account waits for: first come, first served, and after that what may come later."""

    def __init__(self) -> None:
        self._soon: deque[T] = deque()
        self._later: deque[T] = deque()

    def __len__(self) -> int:
        """Count all that waits."""
        return len(self._soon) + len(self._later)

    def append(self, item: T, *, later: bool = False) -> None:
        """Put an item at the end of its part."""
        (self._later if later else self._soon).append(item)

    def appendleft(self, item: T, *, later: bool = False) -> None:
        """Put an item at the beginning of its part."""
        (self._later if later else self._soon).appendleft(item)

    def popleft(self) -> T:
        """Take the item whose turn it is."""
        return (self._soon or self._later).popleft()


class FairSlots:
    """So many may be inside at once; of those who wait, accounts take turns."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._lines: OrderedDict[UUID, Line[asyncio.Future[None]]] = OrderedDict()
        """Accounts with somebody who waits, the next in turn first."""

    @asynccontextmanager
    async def slot(self, account: UUID, *, later: bool = False) -> AsyncGenerator[None]:
        """Have a slot in the block."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(account, later=later)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, account: UUID, *, later: bool) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._lines.setdefault(account, Line()).append(turn, later=later)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the slot came in the same moment
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give a slot that is free to whoever is next."""
        while self._lines:
            account, line = self._lines.popitem(last=False)
            turn = line.popleft()
            if line:
                self._lines[account] = line
            if not turn.done():  # else whoever waited was cancelled
                turn.set_result(None)
                return
        self._free += 1
