"""The embedded vector store's folder: its lock, and the collections that are open."""

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from llmstack_api.errors import VectorStoreAwayError
from llmstack_api.vectors.edge_shard import Shard, create_shard, load_shard, translated_failures

_LOCK: Final = ".lock"


class EdgeFolder:
    """Opens collections when they are first asked for; runs in the store's thread."""

    def __init__(self, folder: Path, *, reserve: int) -> None:
        self.reserve = reserve
        self._folder = folder
        self._shards: dict[str, Shard] = {}
        self._lock: int | None = None

    def find(self, collection: str) -> Shard | None:
        """Return a collection, if there is one.

        Raises:
            VectorStoreAwayError: another process has the folder.
        """
        shard = self._shards.get(collection)
        if shard is None and (self._folder / collection).exists():
            self._acquire()
            shard = load_shard(self._folder / collection, reserve=self.reserve)
            if shard is not None:
                self._shards[collection] = shard
        return shard

    def make(self, collection: str, *, dimension: int) -> Shard:
        """Return a collection, made if need be."""
        shard = self.find(collection)
        if shard is None:
            self._acquire()
            shard = create_shard(self._folder / collection, dimension=dimension, reserve=self.reserve)
            self._shards[collection] = shard
        return shard

    def close(self) -> None:
        """Close every collection, flushed, and give the folder back."""
        with ExitStack() as closing:  # all of it, whatever fails
            if self._lock is not None:
                closing.callback(os.close, self._lock)
                self._lock = None
            while self._shards:
                closing.callback(self._shards.popitem()[1].close)

    def _acquire(self) -> None:
        if self._lock is not None:
            return
        with translated_failures():
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                raise VectorStoreAwayError(
                    f"The vectors in {self._folder} are in use by another process; "
                    "LLMSTACK_QDRANT_URL names a Qdrant server that several processes can share."
                ) from None
            self._lock = handle
