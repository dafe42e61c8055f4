"""The embedding model that comes with the server: static vectors of word pieces, averaged.

The vectors and the tokenizer are files of the package `wordllama`, none of whose code runs here.
"""

import asyncio
import ctypes
import json
import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, cast

from llmstack_api.errors import EmbeddingRefusedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

MODEL: Final = "builtin/wordllama-256"
DIMENSION: Final = 256

SLICE: Final = 32
"""Passages embedded at a stretch, in some 10 ms; others get their turn, and a cancelled call ends, in between."""

INLINE: Final = 4000
"""Characters of a question that is embedded at once; a longer one would hold up the loop for over 1 ms."""

_WEIGHTS: Final = "weights/l2_supercat_256.safetensors"
_TOKENIZER: Final = "tokenizers/l2_supercat_tokenizer_config.json"
_TENSOR: Final = "embedding.weight"
_BLANK: Final = "▁"
"""What the word pieces have in place of a blank."""

_WORD: Final = re.compile(" *[^ ]+| +")
"""No piece goes over the end of a word, so that words can be taken one by one and be remembered."""

_REMEMBERED: Final = 16_384
"""Words; some 4 MB."""

_LONGEST_REMEMBERED: Final = 24

_OWN: Final = 0.7
"""Share of a passage's own text in its vector, where it has a context."""

_loading: Final = Lock()


class BundledEmbedder:
    """The port `Embedder` over the bundled vectors, which are loaded, once a process, when first needed."""

    model = MODEL

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Semaphore(1)
        self._vectors: _Vectors | None = None

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

    matrix: "NDArray[np.float16]"
    """Mapped from the file, so that its memory is shared and can be taken back."""
    tokenizer: "Tokenizer"
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
        # A product of matrices would wake the threads of the linear algebra for nothing.
        total = np.einsum("i,ij->j", times, self.matrix[list(counts)].astype(np.float32))
        length = math.sqrt(float(total.dot(total)))
        return cast("NDArray[np.float32]", total / length)

    def _pieces(self, text: str) -> list[int]:
        """Cut a text into word pieces, as the tokenizer would cut it as a whole; an empty one has a blank's."""
        pieces: list[int] = []
        known = self.known
        for word in _WORD.findall(" " + text.replace(_BLANK, " ")):
            pieces += known.get(word) or self._meet(word)
        return pieces

    def _meet(self, word: str) -> list[int]:
        pieces = self.tokenizer.encode_batch_fast([word], add_special_tokens=False)[0].ids
        if len(word) <= _LONGEST_REMEMBERED:
            if len(self.known) >= _REMEMBERED:
                self.known.clear()
            self.known[word] = pieces
        return pieces


def _mixed(own: "NDArray[np.float32]", context: "NDArray[np.float32]") -> "NDArray[np.float32]":
    mean = cast("NDArray[np.float32]", _OWN * own + (1 - _OWN) * context)
    length = math.sqrt(float(mean.dot(mean)))
    return cast("NDArray[np.float32]", mean / length) if length else own


def _load_once() -> _Vectors:
    with _loading:
        return _read()


@cache
def _read() -> _Vectors:
    import numpy as np  # noqa: PLC0415 # slow to import, not always needed
    from tokenizers import Tokenizer, normalizers  # noqa: PLC0415 # slow to import, not always needed

    # Read by the tokenizer at each call; without it, it would start a thread for each core.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    folder = _package_folder()
    tokenizer: Any = Tokenizer.from_file(str(folder / _TOKENIZER))
    _give_back()
    # Its own would also put a blank before what it is given.
    tokenizer.normalizer = normalizers.Replace(" ", _BLANK)
    # What looks like a mark of the model's own, such as `</s>`, is text here.
    tokenizer.encode_special_tokens = True
    path = folder / _WEIGHTS
    offset, rows = _find_tensor(path)
    matrix = np.memmap(path, dtype="<f2", mode="r", offset=offset, shape=(rows, DIMENSION))
    return _Vectors(np.asarray(matrix), tokenizer, {})


def _give_back() -> None:
    """Return to the system what reading the tokenizer's file took for a moment: some 6 MB, where glibc can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


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
