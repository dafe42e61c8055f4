"""News of entries inside this process, so that who waits for one need not ask the database all the time."""

import asyncio
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from uuid import UUID


class Progress:
    """Who waits for which entry."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, set[asyncio.Event]] = {}

    def tell(self, entries: Iterable[UUID]) -> None:
        """Wake those who wait for these entries."""
        for entry_id in entries:
            for event in self._waiting.get(entry_id, ()):
                event.set()

    @contextmanager
    def following(self, entry_id: UUID) -> Generator[asyncio.Event]:
        """Give an event that is set at each news of an entry; its owner clears it."""
        event = asyncio.Event()
        waiting = self._waiting.setdefault(entry_id, set())
        waiting.add(event)
        try:
            yield event
        finally:
            waiting.discard(event)
            if not waiting:
                self._waiting.pop(entry_id, None)
