"""Sparse vectors: the words of a text, weighed by BM25; the vector store adds how rare each word is (IDF)."""

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from itertools import chain
from typing import Final

from llmstack_api.vectors.identifiers import grouped, suspects, variants
from llmstack_api.vectors.languages import (
    Language,
    analyser,
    asks_prefixes,
    has_prefixes,
    hash_term,
    prefixes,
    script_words,
    without_script_words,
)
from llmstack_api.vectors.store import SparseVector

VERSION: Final = "bm25-2"
"""Bump when anything below changes: vectors of different versions are not comparable.

Questions find the points of version 1 too, while these are replaced: its terms are among those that questions have.
"""

_K: Final = 2.0
"""How long a word goes on counting for more where it is repeated."""

_B: Final = 0.6
"""How much less the words of a long passage count, 0 to 1."""

_AVERAGE: Final = 800.0
"""Characters of an average passage, where chunks have 1,200 at most.

Characters, because chunks are cut by them in every script; fixed, because weights that are stored must not depend
on what else is."""

_PRESENT: Final = 0.5
"""What a word counts for being there at all, however long the passage is (BM25+)."""

_CONTEXT: Final = 2
"""Times that the words of a passage's context count."""

_GUESSED: Final = 0.5
"""Weight in a question of what stands for a word in another form, beside the word itself."""

_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""Runs of scripts that set no blanks between words (Thai, Lao, Burmese, Khmer, kana, Han), or set them where
they do not help (Hangul)."""

_HEADING: Final = re.compile(r" {0,3}#{1,6}[ \t]+(?P<title>[^\n]{1,400}?)[ \t#]*(?:\n\s*|\Z)")

_CACHED: Final = 64
"""Characters of a piece of text whose identifiers are remembered."""


def encode_passage(text: str, context: str = "", *, language: Language = Language.AUTO) -> SparseVector:
    """Weigh the words of a passage: each counts for more where it is frequent, less where the passage is long.

    The lines of `context`, such as headings, count twice, and those that the passage begins with not again.
    A passage of `_AVERAGE` characters takes some 0.1 ms, all of it in the interpreter: not for the event loop.
    """
    norm = _K * (1 - _B + _B * len(text) / _AVERAGE)
    latin = has_prefixes(text, language)
    if not context:
        counts = _count_terms(text, latin=latin)
    else:
        counts = _count_terms(_without_headings(text, context), latin=latin)
        for term, count in _count_context(context, latin=latin):
            counts[term] += _CONTEXT * count
    weights = [count * (_K + 1) / (count + norm) + _PRESENT for count in counts.values()]
    return SparseVector(list(counts), weights)


def encode_query(text: str, *, language: Language = Language.AUTO) -> SparseVector:
    """Weigh the words of a question by how often it has each; empty where none of them counts.

    What stands for a word written in another way counts half, whatever the word itself counts.
    """
    text, runs = _split(text)
    # Words of other scripts as they stand too: version 1 stored them so.
    counts = (_count_words(text) | _count_stems(text)) + _count_pairs(runs, asked=True)
    weights = {term: float(count) for term, count in counts.items()}
    for term in chain(_identifiers(text), prefixes(text, latin=asks_prefixes(text, language))):
        if term not in counts:
            weights[term] = weights.get(term, 0.0) + _GUESSED
    return SparseVector(list(weights), list(weights.values()))


# --- terms -----------------------------------------------------------------------------------------------


def _count_terms(text: str, *, latin: bool) -> Counter[int]:
    """Count the terms of a passage by their hashes; `latin` as in `languages.prefixes`."""
    text, runs = _split(text)
    if text.isascii():
        counts = _count_words(text)
    elif stems := _count_stems(text):
        counts = _count_words(without_script_words(text))
        counts.update(stems)
    else:
        counts = _count_words(text)
    if runs:
        counts.update(_count_pairs(runs, asked=False))
    counts.update(_identifiers(text))
    if latin or not text.isascii():
        counts.update(prefixes(text, latin=latin))
    return counts


@lru_cache(maxsize=256)
def _count_context(context: str, *, latin: bool) -> tuple[tuple[int, int], ...]:
    """Count the terms of a context, which neighbouring passages share."""
    return tuple(_count_terms(context, latin=latin).items())


def _split(text: str) -> tuple[str, list[str]]:
    """Take the runs of unspaced scripts out of a text."""
    if text.isascii():
        return text, []
    text = unicodedata.normalize("NFKC", text)
    runs: list[str] = _UNSPACED.findall(text)
    return (_UNSPACED.sub(" ", text) if runs else text), runs


def _count_words(text: str) -> Counter[int]:
    """Count stems of words, as English has them; stop words are left out."""
    vector = analyser("english").embed_document(text)
    return Counter(dict(zip(vector.indices, map(round, vector.values), strict=True)))


def _count_stems(text: str) -> Counter[int]:
    """Count the words of scripts whose language is known by them."""
    counts: Counter[int] = Counter()
    if not text.isascii():
        for language, words in script_words(text).items():
            vector = analyser(language).embed_document(words)
            counts.update(dict(zip(vector.indices, map(round, vector.values), strict=True)))
    return counts


def _count_pairs(runs: list[str], *, asked: bool) -> Counter[int]:
    """Count pairs, and single characters too, which passages are found by when they are all that is asked."""
    terms: Counter[str] = Counter()
    for run in runs:
        terms.update(map(str.__add__, run, run[1:]))
        if len(run) == 1 or not asked:
            terms.update(run)
    hashed: Counter[int] = Counter()
    for term, count in terms.items():
        hashed[hash_term(term)] += count
    return hashed


def _identifiers(text: str) -> list[int]:
    """Hash what other ways to write the identifiers of a text share with it."""
    hashed: list[int] = []
    for piece in suspects(text):
        hashed += _known_variants(piece) if len(piece) <= _CACHED else _hash_variants(piece)
    if joined := grouped(text):
        hashed += _count_words(joined)
    return hashed


@lru_cache(maxsize=8192)
def _known_variants(piece: str) -> tuple[int, ...]:
    return _hash_variants(piece)


def _hash_variants(piece: str) -> tuple[int, ...]:
    words, numbers = variants(piece)
    hashed = list(_count_words(words).elements()) if words else []
    return (*hashed, *map(hash_term, numbers))


def _without_headings(text: str, context: str) -> str:
    """Leave out the headings that a passage begins with, if the context has them."""
    lines = context.split("\n")
    end = 0
    while (heading := _HEADING.match(text, end)) and any(heading["title"] in line for line in lines):
        end = heading.end()
    return text[end:]
