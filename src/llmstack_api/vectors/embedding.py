"""The port of an embedding model."""

from collections.abc import Sequence
from typing import Final, Protocol

VERSION: Final = "context-1"
"""Bump when passages are embedded in another way: vectors of different versions are not comparable."""


class Embedder(Protocol):
    """Turns texts into vectors of one dimension, of unit length.

    Raises `EmbeddingAwayError` where the model does not answer or is busy (asking again later may help), and
    `EmbeddingRefusedError` where it refuses (a wrong key, an unknown model, a text it cannot take).
    """

    @property
    def model(self) -> str:
        """Name that datasources carry, such as `builtin/wordllama-256`."""
        ...

    async def dimension(self) -> int:
        """Return the vectors' dimension; asks the model once where it is not known."""
        ...

    async def embed_passages(
        self, texts: Sequence[str], contexts: Sequence[str] | None = None
    ) -> list[list[float]]:
        """Embed passages, in the order given.

        `contexts` has lines for each that say where it stands, such as its headings; they may be empty.
        """
        ...

    async def embed_query(self, text: str) -> list[float]:
        """Embed a question."""
        ...
