"""Sparse vectors: the words of a text, weighed by BM25; the vector store adds how rare each word is (IDF)."""

import re
import unicodedata
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Final
from zlib import crc32

from llmstack_api.vectors.store import SparseVector

if TYPE_CHECKING:
    from qdrant_edge import Bm25

VERSION: Final = "bm25-1"
"""Of all that follows: a vector of another version compares with none of these."""

_K: Final = 2.0
"""How long a word goes on counting for more where it is repeated."""

_B: Final = 0.6
"""How much less the words of a long passage count, 0 to 1."""

_AVERAGE: Final = 800.0
"""Characters of an average passage, where chunks have 1,200 at most.

Characters, because chunks are cut by them in every script; fixed, because weights that are stored must not depend
on what else is."""

_COUNTING_K: Final = 1e9
"""With this `k` and without `b`, the weight of a word is the number of its occurrences, but for rounding."""

_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""Runs of scripts that set no blanks between words (Thai, Lao, Burmese, Khmer, kana, Han), or set them where
they do not help (Hangul)."""

_HASHED: Final = 0x7FFF_FFFF


def encode_passage(text: str) -> SparseVector:
    """Weigh the words of a passage: each counts for more where it is frequent, less where the passage is long.

    A passage of `_AVERAGE` characters takes some 0.1 ms, all of it in the interpreter: not for the event loop.
    """
    norm = _K * (1 - _B + _B * len(text) / _AVERAGE)
    counts = _count_terms(text, asked=False)
    return SparseVector(list(counts), [count * (_K + 1) / (count + norm) for count in counts.values()])


def encode_query(text: str) -> SparseVector:
    """Weigh the words of a question by how often it has each; empty where none of them counts."""
    counts = _count_terms(text, asked=True)
    return SparseVector(list(counts), [float(count) for count in counts.values()])


def _count_terms(text: str, *, asked: bool) -> Counter[int]:
    """Count terms by their hashes: stems of words, and where words cannot be told apart, pairs of characters."""
    if text.isascii():
        return _count_words(text)
    text = unicodedata.normalize("NFKC", text)
    runs: list[str] = _UNSPACED.findall(text)
    if not runs:
        return _count_words(text)
    return _count_words(_UNSPACED.sub(" ", text)) + _count_pairs(runs, asked=asked)


def _count_words(text: str) -> Counter[int]:
    vector = _words().embed_document(text)
    return Counter(dict(zip(vector.indices, map(round, vector.values), strict=True)))


def _count_pairs(runs: list[str], *, asked: bool) -> Counter[int]:
    """Count pairs, and single characters too, which passages are found by when they are all that is asked."""
    terms: Counter[str] = Counter()
    for run in runs:
        terms.update(map(str.__add__, run, run[1:]))
        if len(run) == 1 or not asked:
            terms.update(run)
    hashed: Counter[int] = Counter()
    for term, count in terms.items():
        hashed[crc32(term.encode()) & _HASHED] += count
    return hashed


@cache
def _words() -> "Bm25":
    """Make what finds words, folds case and accents, drops English stop words and reduces English endings."""
    from qdrant_edge import Bm25, Bm25Config  # noqa: PLC0415 # slow to import, not always needed

    return Bm25(Bm25Config(k=_COUNTING_K, b=0.0, language="english", ascii_folding=True))
