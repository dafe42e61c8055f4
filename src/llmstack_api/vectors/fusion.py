"""How the hits of a search by meaning and of one by words become one list."""

from collections.abc import Mapping
from typing import TypeVar
from uuid import UUID

Key = TypeVar("Key", UUID, int)


def fuse(
    cosines: Mapping[Key, float],
    words: Mapping[Key, float],
    *,
    weights: tuple[float, float],
    limit: int,
    best: float | None = None,
) -> list[tuple[Key, float]]:
    """Return the best by the weighted sum of cosine and BM25, best first; equal ones in the order of their keys.

    `cosines` has every candidate, `words` those that have a word of the question. `best`, which by default is the best
    of these, counts 1, the others in proportion, so that with weights whose sum is 1 a score is at most 1. No score is
    below 0.
    """
    by_meaning, by_words = weights
    whole = max(words.values(), default=0.0) if best is None else max(best, *words.values(), 0.0)
    scale = by_words / whole if whole > 0 else 0.0
    scores = {
        key: max(0.0, by_meaning * cosine + scale * words.get(key, 0.0)) for key, cosine in cosines.items()
    }
    return best_of(scores, limit)


def best_of(scores: Mapping[Key, float], limit: int) -> list[tuple[Key, float]]:
    """Return the best, best first; equal ones in the order of their keys."""
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]
