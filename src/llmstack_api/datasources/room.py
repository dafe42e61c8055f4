"""A bound on what is in memory at once, where its size is known only when it is there."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


class Room:
    """Counts bytes in memory; who is about to add some waits until there are few enough."""

    def __init__(self, limit: int) -> None:
        """`limit` is in bytes; those that were let in at the same time may go over it together."""
        self._limit = limit
        self._used = 0
        self._free = asyncio.Event()
        self._free.set()

    async def wait(self) -> None:
        """Wait until there is room."""
        await self._free.wait()

    @contextmanager
    def taking(self, size: int) -> Generator[None]:
        """Count bytes in as long as the context is open."""
        self._change(size)
        try:
            yield
        finally:
            self._change(-size)

    def _change(self, size: int) -> None:
        self._used += size
        if self._used > self._limit:
            self._free.clear()
        else:
            self._free.set()
