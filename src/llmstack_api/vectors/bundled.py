"""The embedding model that comes with the server: static vectors of word pieces, averaged.

The vectors and the tokenizer are files of the package `wordllama`, none of whose code runs here.
"""

import asyncio
import json
import math
import mmap
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final, cast

import orjson

from llmstack_api.errors import EmbeddingRefusedError
from llmstack_api.vectors.word_pieces import BLANK, WordPieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL: Final = "builtin/wordllama-256"
DIMENSION: Final = 256

SLICE: Final = 32
"""Passages embedded at a stretch, in some 10 ms; others get their turn, and a cancelled call ends, in between."""

FORGET_AFTER: Final = 64
"""Passages after which the pages of the vectors' file are given back, which the next ones need again for 1 ms."""

INLINE: Final = 4000
"""Characters of a question that is embedded at once; a longer one would hold up the loop for over 1 ms."""

_WEIGHTS: Final = "weights/l2_supercat_256.safetensors"
_TOKENIZER: Final = "tokenizers/l2_supercat_tokenizer_config.json"
_TENSOR: Final = "embedding.weight"

_ALONE: Final = r"\d\n\t\u0645-\u2008\u2600-\ufffc\U00010000-\U0010ffff"
"""Characters that no piece has beside others: digits, ends of lines, most scripts but Latin, Greek and Cyrillic."""

_WORD: Final = re.compile(rf" *+[^\W_²{_ALONE}]+| *+(?:[^\w {_ALONE}]|[_²])+|[{_ALONE}]| +")
"""Letters or marks, with the blanks before them, or a character that stands alone. No piece goes over the end of
one, so that they can be taken one by one and be remembered."""

_REMEMBERED: Final = 16_384
"""Words; some 4 MB."""

_LONGEST_REMEMBERED: Final = 24

_OWN: Final = 0.7
"""Share of a passage's own text in its vector, where it has a context."""


_HALF_BITS: Final = 0x8FFFE000 - (1 << 32)
"""Where a half-precision number's bits are after a shift by 13, as a signed number."""

_BIAS: Final = 127 - 15
"""Difference of the exponents' biases, single precision's less half precision's."""

_loading: Final = Lock()


class BundledEmbedder:
    """The port `Embedder` over the bundled vectors, which are loaded, once a process, when first needed."""

    model = MODEL

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Semaphore(1)
        self._vectors: _Vectors | None = None
        self._embedded = 0
        """Passages since the mapped file was forgotten."""

    async def dimension(self) -> int:
        """Return the vectors' dimension."""
        return DIMENSION

    async def embed_passages(
        self, texts: Sequence[str], contexts: Sequence[str] | None = None
    ) -> list[list[float]]:
        """Embed passages, in the order given; a text alone has the same vector as among others."""
        vectors = await self._load()
        embedded: list[list[float]] = []
        for start in range(0, len(texts), SLICE):
            part, of = texts[start : start + SLICE], contexts and contexts[start : start + SLICE]
            # More threads would only take the interpreter from the loop more often.
            async with self._one_at_a_time:
                embedded += await asyncio.to_thread(vectors.embed, part, of)
        self._embedded += len(texts)
        if self._embedded >= FORGET_AFTER:
            self._embedded = 0
            vectors.file.forget()
        return embedded

    async def embed_query(self, text: str) -> list[float]:
        """Embed a question."""
        vectors = self._vectors
        if vectors is None or len(text) > INLINE:
            vectors = await self._load()
            return (await asyncio.to_thread(vectors.embed, [text]))[0]
        return vectors.embed([text])[0]

    async def _load(self) -> "_Vectors":
        if self._vectors is None:
            self._vectors = await asyncio.to_thread(_load_once)
        return self._vectors


@dataclass(frozen=True, slots=True)
class _Vectors:
    """A vector for each word piece."""

    file: "_MappedFile"
    matrix: "NDArray[np.int16]"
    """The bits of half-precision numbers, in the mapped file, so that their memory is shared and can be taken back."""
    pieces: WordPieces
    known: dict[str, list[int]]
    """Pieces of words that were met."""

    def embed(self, texts: Sequence[str], contexts: Sequence[str] | None = None) -> list[list[float]]:
        """Average the vectors of each text's pieces and scale the mean to unit length; mix in the context's."""
        # One by one, so that no text depends on its neighbours.
        alone = [self._embed_one(text) for text in texts]
        if not contexts:
            return [vector.tolist() for vector in alone]
        known = {context: self._embed_one(context) for context in set(contexts) if context}
        return [
            _mixed(vector, known[context]).tolist() if context else vector.tolist()
            for vector, context in zip(alone, contexts, strict=True)
        ]

    def _embed_one(self, text: str) -> "NDArray[np.float32]":
        import numpy as np  # noqa: PLC0415 # slow to import, not always needed

        counts = Counter(self._pieces(text))
        times = np.fromiter(counts.values(), np.float32, len(counts))
        rows = self.matrix.take(np.fromiter(counts, np.intp, len(counts)), axis=0)
        total = times @ _widen(rows)
        length = math.sqrt(float(total.dot(total)))
        return cast("NDArray[np.float32]", total / length)

    def _pieces(self, text: str) -> list[int]:
        """Cut a text into word pieces, as the tokenizer would cut it as a whole; an empty one has a blank's."""
        pieces: list[int] = []
        known = self.known
        for word in _WORD.findall(" " + text.replace(BLANK, " ")):
            pieces += known.get(word) or self._meet(word)
        return pieces

    def _meet(self, word: str) -> list[int]:
        pieces = self.pieces.cut(word.replace(" ", BLANK))
        if len(word) <= _LONGEST_REMEMBERED:
            if len(self.known) >= _REMEMBERED:
                self.known.clear()
            self.known[word] = pieces
        return pieces


def _mixed(own: "NDArray[np.float32]", context: "NDArray[np.float32]") -> "NDArray[np.float32]":
    mean = cast("NDArray[np.float32]", _OWN * own + (1 - _OWN) * context)
    length = math.sqrt(float(mean.dot(mean)))
    return cast("NDArray[np.float32]", mean / length) if length else own


def _widen(rows: "NDArray[np.int16]") -> "NDArray[np.float32]":
    """Convert half-precision numbers, given as their bits, to single precision; NumPy takes six times as long."""
    import numpy as np  # noqa: PLC0415 # slow to import, not always needed

    bits = rows.astype(np.int32)
    bits <<= 13  # exponent and fraction to where single precision has them
    bits &= _HALF_BITS  # and of the sign, which was extended, one bit
    numbers = bits.view(np.float32)
    numbers *= np.float32(2.0**_BIAS)
    return numbers


def _load_once() -> _Vectors:
    with _loading:
        return _read()


@cache
def _read() -> _Vectors:
    folder = _package_folder()
    pieces = WordPieces(orjson.loads((folder / _TOKENIZER).read_bytes())["model"]["vocab"])
    file = _MappedFile(folder / _WEIGHTS)
    return _Vectors(file, file.matrix(), pieces, {})


class _MappedFile:
    """A file of vectors, mapped into memory for as long as the process lives."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def matrix(self) -> "NDArray[np.int16]":
        """Return the vectors' bits, without a copy."""
        import numpy as np  # noqa: PLC0415 # slow to import, not always needed

        offset, rows = _find_tensor(self._path)
        return np.frombuffer(self._map, "<i2", rows * DIMENSION, offset).reshape(rows, DIMENSION)

    def forget(self) -> None:
        """Leave what was read to the system's cache, where its memory is nobody's; reading it again takes 1 ms."""
        if sys.platform == "linux":
            self._map.madvise(mmap.MADV_DONTNEED)


def _package_folder() -> Path:
    # Found, not imported: importing it would import its hub client too.
    spec = find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddingRefusedError(
            f"The model {MODEL} is not installed: its package `wordllama` is missing."
        )
    return Path(spec.submodule_search_locations[0])


def _find_tensor(path: Path) -> tuple[int, int]:
    """Read the head of a safetensors file: where the vectors begin, and how many there are."""
    with path.open("rb") as file:
        head_length = int.from_bytes(file.read(8), "little")
        tensor = json.loads(file.read(head_length))[_TENSOR]
    rows, columns = tensor["shape"]
    if tensor["dtype"] != "F16" or columns != DIMENSION:
        raise EmbeddingRefusedError(f"The model {MODEL} is not the one this version was made for.")
    return 8 + head_length + tensor["data_offsets"][0], rows
