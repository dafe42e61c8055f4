"""Inflation of gzip and deflate, in pieces, so that whoever reads decides when it is too much."""

import zlib
from collections.abc import Iterator
from typing import Final

PIECE: Final = 262_144
"""Bytes that are inflated at once."""

_ANY_HEADER: Final = zlib.MAX_WBITS + 32
_NO_HEADER: Final = -zlib.MAX_WBITS


class Inflater:
    """Inflates gzip (with any number of members) or deflate (with or without its zlib header).

    Bytes after the end that start no further member are ignored, as browsers do.
    """

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(_ANY_HEADER)
        self._begun = False
        self._member_begun = False

    @property
    def whole(self) -> bool:
        """Tell whether what was inflated came to its end."""
        return not self._member_begun or self._inner.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give what the next bytes inflate to, in pieces of at most `PIECE`.

        Raises:
            zlib.error: it is neither gzip nor deflate, or broken.
        """
        while data:
            if self._inner.eof:
                if not data.startswith(b"\x1f"):
                    return
                self._inner = zlib.decompressobj(_ANY_HEADER)
            try:
                piece = self._inner.decompress(data, PIECE)
            except zlib.error:
                if self._begun:
                    raise
                self._inner = zlib.decompressobj(_NO_HEADER)
                piece = self._inner.decompress(data, PIECE)
            self._begun = self._member_begun = True
            data = self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail
            if piece:
                yield piece
