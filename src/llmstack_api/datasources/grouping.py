"""What a search shows of the hits that it has: equal passages as one, and few of each entry."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Protocol

from llmstack_api.vectors.store import Hit

PER_HIT: Final = 4
"""Hits that are looked at first for each one that is wanted."""
FOLDED: Final = 100
"""Hits that are looked at first at least where copies are folded, so that they are known."""
DEEPER: Final = 5
"""How many times as many the next look has."""
DEEPEST: Final = 1000
"""Hits of one look at most."""
LOOKS: Final = 6
"""Looks at most. From the second on, entries that have as many hits as they may are left out."""


class GroupBy(StrEnum):
    """What hits are grouped by."""

    ENTRY = "entry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """How hits are shown; by default each as it was found."""

    per_entry: int | None = None
    """Hits of one entry at most; None is all."""
    fold_copies: bool = False
    """Whether hits with the same passage are one, with the others as its copies."""

    def __bool__(self) -> bool:
        """Return whether fewer hits may be shown than were found."""
        return self.per_entry is not None or self.fold_copies


@dataclass(frozen=True, slots=True)
class Shown:
    """A hit, and the others that have the same passage, best first."""

    hit: Hit
    copies: list[Hit] = field(default_factory=list[Hit])


class Look(Protocol):
    """Searches once."""

    async def __call__(self, limit: int, *, without: AbstractSet[str]) -> list[Hit]:
        """Return the best hits that may be seen, but those of some generations; fewer than `limit` if that is all."""
        ...


async def collect(
    look: Look,
    grouping: Grouping,
    *,
    limit: int,
    still_seen: Callable[[set[str]], Awaitable[set[str]]],
) -> list[Shown]:
    """Look until there are as many hits to show as wanted, or no more, or `LOOKS` times.

    `still_seen` says which generations may be seen by now.
    """
    if not grouping:
        return [Shown(hit) for hit in await look(limit, without=frozenset())]
    depth = max(PER_HIT * limit, FOLDED if grouping.fold_copies else 0)
    hits: list[Hit] = []
    shown: list[Shown] = []
    without: set[str] = set()
    for _ in range(LOOKS):
        found = await look(depth, without=without)
        if hits:
            live = await still_seen({_generation(hit) for hit in hits})
            hits = [hit for hit in hits if _generation(hit) in live]
        hits = _followed(hits, found)
        shown = show(hits, grouping, limit=limit)
        full = _full(shown, grouping)
        if len(shown) == limit or len(found) < depth or (depth == DEEPEST and full <= without):
            break
        depth, without = min(DEEPER * depth, DEEPEST), full
    return shown


def show(hits: Sequence[Hit], grouping: Grouping, *, limit: int) -> list[Shown]:
    """Choose from hits, best first.

    A copy does not count among its entry's hits. Of equal passages the best one is shown whose entry has room.
    """
    shown: dict[str, Shown] = {}
    no_room: dict[str, list[Hit]] = {}
    of_entry: Counter[str] = Counter()
    for hit in hits:
        passage = " ".join(hit.payload["text"].split()) if grouping.fold_copies else str(hit.id)
        if passage in shown:
            shown[passage].copies.append(hit)
            continue
        entry = hit.payload["entry_id"]
        full = grouping.per_entry is not None and of_entry[entry] >= grouping.per_entry
        if full or len(shown) == limit:
            no_room.setdefault(passage, []).append(hit)
            continue
        shown[passage] = Shown(hit, no_room.pop(passage, []))
        of_entry[entry] += 1
    return list(shown.values())


def _full(shown: Sequence[Shown], grouping: Grouping) -> set[str]:
    """Return the generations of the entries that have as many hits as they may."""
    counts = Counter(_generation(each.hit) for each in shown)
    return {name for name, count in counts.items() if count == grouping.per_entry}


def _followed(hits: list[Hit], found: Sequence[Hit]) -> list[Hit]:
    """Put hits of a further look after those of earlier ones; their ranks, and so fused scores, begin again."""
    if not hits:
        return list(found)
    known, worst = {hit.id for hit in hits}, hits[-1].score
    return hits + [replace(hit, score=min(hit.score, worst)) for hit in found if hit.id not in known]


def _generation(hit: Hit) -> str:
    return hit.payload["generation"]
