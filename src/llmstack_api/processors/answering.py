"""Chooses the sentences of passages that answer a question, or none.

A sentence counts for the question's terms that it, its headings or the sentence before it have (rare terms count for
more, related words for a part), for how near its meaning is, for where its passage stands, and for having what the
form of the question expects. All weights were chosen on other texts than those that the tests ask about.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from llmstack_api.processors.expectations import Expectation, content_of, lacks_name
from llmstack_api.processors.sentences import MAX_HEADING, Sentence, split_passage
from llmstack_api.processors.terms import STOP_WORDS, is_unspaced, stem, terms, words
from llmstack_api.vectors.bundled import BundledEmbedder

MAX_WEIGHED: Final = 300
"""Sentences whose meaning is compared: those that have most of the question's terms."""

MAX_TERMS: Final = 64
"""Terms of a question that are looked for."""

THRESHOLD: Final = 0.34
"""Evidence from which on there is an answer."""

CUT: Final = 0.6
"""Share of the best sentence's score that another one has to have to be quoted too."""

_LOOKED_AT: Final = 3
"""Best sentences whose evidence decides whether there is an answer."""

_WORDS, _OWN, _UNDER, _AFTER, _RANK, _FORM = 1.5, 0.5, 0.5, 0.3, 0.2, 0.1
"""Weights of terms, of the meaning of the sentence alone, under its headings, after its neighbour, of the passage's
rank, and of what the question expects."""
_SHORT, _CUT_OFF, _INTRODUCES, _ASKS, _CODE = 0.3, 0.2, 0.3, 0.3, 0.2
"""Taken off where a sentence says little, is cut off, announces what follows, is itself a question, or is code."""
_HEADING, _BEFORE, _RELATED = 0.6, 0.4, 0.8
"""What a term counts that stands in the headings or before, and what a related word counts of its similarity."""
_NEAR, _NEARER = 0.4, 0.5
"""Similarity from which on words are related, for the score and for the evidence."""
_COVERED, _BEFORE_COVERED, _UNEXPECTED = 0.2, 0.8, 0.4
"""In the evidence: the weight of terms, what one counts that stands before, what is taken off for the wrong form."""
_UNKNOWN_SCRIPT: Final = 0.6
"""What the share of a question's terms counts for meaning, in a script that the embedding model does not know."""

_GENERIC_WORDS: Final = (
    "happen mean work make possible allow permit available exist offer provide know kind sort type"
)
_GENERIC: Final = frozenset(map(stem, _GENERIC_WORDS.split()))
_GENERIC_WEIGHT: Final = 0.3
_COMMON_PREFIX, _COMMON_SHARE, _SAME_ROOT = 5, 0.6, 0.8


@dataclass(frozen=True, slots=True)
class Material:
    """A passage to answer from."""

    text: str
    source: str = ""
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence that answers."""

    text: str
    source: str
    score: float


@dataclass(slots=True)
class _Candidate:
    sentence: Sentence
    source: str
    rank: int
    heading: str
    terms: frozenset[str]
    before: str = ""
    before_terms: frozenset[str] = frozenset()
    heading_terms: frozenset[str] = frozenset()
    has: list[float] = field(default_factory=list[float])
    """How much of each of the question's terms it has itself."""
    judged: int = 0
    score: float = 0.0
    evidence: float = 0.0


async def choose(question: str, passages: Sequence[Material], *, most: int) -> list[Quote]:
    """Return the sentences that answer best, best first; empty where nothing answers.

    Raises:
        EmbeddingRefusedError: the bundled vectors are not installed.
    """
    asked = _Question(question)
    candidates = await asyncio.to_thread(asked.gather, passages)
    if not candidates or lacks_name(question, asked.known):
        return []
    await _compare(asked, candidates)
    candidates.sort(key=lambda candidate: -candidate.score)
    if max(candidate.evidence for candidate in candidates[:_LOOKED_AT]) < THRESHOLD:
        return []
    return _quotes(candidates, most)


def _quotes(candidates: Sequence[_Candidate], most: int) -> list[Quote]:
    quotes: list[Quote] = []
    least = CUT * candidates[0].score
    for candidate in candidates:
        if len(quotes) == most or candidate.score < least:
            break
        text = candidate.sentence.text
        if not any(text in quote.text for quote in quotes):  # neighbouring passages overlap
            quotes.append(Quote(text, candidate.source, round(candidate.score, 4)))
    return quotes


class _Question:
    """A question, and what of it the passages have."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.expected = Expectation(text)
        self.is_unspaced = is_unspaced(text)
        spoken: dict[str, str] = {}
        for word in words(content_of(text)):
            if word not in STOP_WORDS:
                spoken.setdefault(stem(word), word)
        self.terms = list(spoken)[:MAX_TERMS]
        self.words = [spoken[term] for term in self.terms]
        self.weights: list[float] = []
        self.known: set[str] = set()
        """Every term of the passages, and those of the question that look like one of them."""
        self._alike: list[frozenset[str]] = []
        """For each term, those of the passages that begin like it."""

    def gather(self, passages: Sequence[Material]) -> list[_Candidate]:
        """Split the passages; return the sentences that may answer, with what they have of the terms."""
        candidates: list[_Candidate] = []
        seen: set[str] = set()
        above: dict[str, frozenset[str]] = {}
        for rank, passage in enumerate(passages):
            before: Sentence | None = None
            for sentence in split_passage(passage.text):
                key = " ".join(sentence.text.split())
                if key not in seen:
                    seen.add(key)
                    candidates.append(_candidate(sentence, before, passage, rank=rank, above=above))
                before = sentence
        for candidate in candidates:
            self.known |= candidate.terms | candidate.heading_terms
        self._alike = _alike(self.terms, self.known)
        for candidate in candidates:
            candidate.has = self.shares(candidate.terms)
        self.known |= {term for term, alike in zip(self.terms, self._alike, strict=True) if alike}
        self._weigh(candidates)
        if len(candidates) > MAX_WEIGHED:
            candidates.sort(key=lambda candidate: -self.covered(candidate.has))
            del candidates[MAX_WEIGHED:]
        return candidates

    def shares(self, there: frozenset[str]) -> list[float]:
        """Return how much there is of each term: all of it, or one that begins like it."""
        return [
            1.0 if term in there else 0.0 if alike.isdisjoint(there) else _SAME_ROOT
            for term, alike in zip(self.terms, self._alike, strict=True)
        ]

    def _weigh(self, candidates: Sequence[_Candidate]) -> None:
        """Weigh terms by how rare they are among the sentences."""
        weights: list[float] = []
        for position, term in enumerate(self.terms):
            having = sum(candidate.has[position] > 0 for candidate in candidates)
            rarity = math.log(1 + (len(candidates) - having + 0.5) / (having + 0.5))
            weights.append(rarity * (_GENERIC_WEIGHT if term in _GENERIC else 1))
        total = sum(weights) or 1.0
        self.weights = [weight / total for weight in weights]

    def covered(self, has: Sequence[float]) -> float:
        """Return the share of the question, 0 to 1, that terms make up."""
        return sum(map(float.__mul__, self.weights, map(float, has)))


def _candidate(
    sentence: Sentence,
    before: Sentence | None,
    passage: Material,
    *,
    rank: int,
    above: dict[str, frozenset[str]],
) -> _Candidate:
    """Make one; `above` keeps the terms of headings, which many sentences share."""
    heading = sentence.heading or passage.heading[:MAX_HEADING]
    headed = f"{heading} {sentence.columns}"
    if (heading_terms := above.get(headed)) is None:
        heading_terms = above[headed] = frozenset(terms(headed))
    neighbour = before.text if before and not sentence.columns else ""
    return _Candidate(
        sentence=sentence,
        source=passage.source,
        rank=rank,
        heading=heading,
        terms=frozenset(terms(sentence.text)),
        before=neighbour,
        before_terms=frozenset(terms(neighbour)),
        heading_terms=heading_terms,
    )


async def _compare(asked: _Question, candidates: Sequence[_Candidate]) -> None:
    """Give each candidate its score and its evidence."""
    texts = [asked.text]
    vocabulary: dict[str, int] = {}
    spoken: list[list[int]] = []
    for candidate in candidates:
        text = candidate.sentence.text
        texts += [text, f"{candidate.heading} {text}", f"{candidate.before} {text}"]
        around = f"{text} {candidate.heading} {candidate.sentence.columns}"
        spoken.append(
            [vocabulary.setdefault(word, len(vocabulary)) for word in words(around) if _counts(word)]
        )
    embedder = BundledEmbedder()
    vectors = await embedder.embed_passages(texts)
    own_words = await embedder.embed_passages([*asked.words, *vocabulary])
    await asyncio.to_thread(_score, asked, candidates, spoken, vectors, own_words)


def _counts(word: str) -> bool:
    return len(word) > 2 and word not in STOP_WORDS and not word.isdecimal()  # noqa: PLR2004 # letters


def _score(
    asked: _Question,
    candidates: Sequence[_Candidate],
    spoken: Sequence[Sequence[int]],
    vectors: list[list[float]],
    own_words: list[list[float]],
) -> None:
    count = len(asked.terms)
    near = _products(own_words[:count], own_words[count:])
    meanings = _products(vectors[:1], vectors[1:])[0]
    focus = asked.terms.index(asked.expected.focus) if asked.expected.focus in asked.terms else None
    for position, candidate in enumerate(candidates):
        related = [max((row[word] for word in spoken[position]), default=0.0) for row in near]
        _score_one(asked, candidate, related, meanings[3 * position : 3 * position + 3], focus)


def _score_one(
    asked: _Question,
    candidate: _Candidate,
    related: Sequence[float],
    meanings: Sequence[float],
    focus: int | None,
) -> None:
    has = candidate.has
    above = asked.shares(candidate.heading_terms)
    before = asked.shares(candidate.before_terms)
    judged = asked.expected.judge(f"{candidate.sentence.text} {candidate.sentence.columns}")
    if focus is not None:
        there = has[focus] or above[focus] or before[focus] or related[focus] > _NEARER
        judged = max(judged, 0) if there else -1
    full: list[float] = []
    context: list[float] = []
    for own, near, head, prior in zip(has, related, above, before, strict=True):
        full.append(max(own, near * _RELATED * (near > _NEAR), _HEADING * head, _BEFORE * prior))
        context.append(max(own, near * (near > _NEARER), head, _BEFORE_COVERED * prior))
    own, under, after = meanings
    if asked.is_unspaced and has:
        own = under = after = _UNKNOWN_SCRIPT * sum(has) / len(has)
    sentence = candidate.sentence
    candidate.score = (
        _WORDS * asked.covered(full)
        + _OWN * own
        + _UNDER * under
        + _AFTER * after
        + _RANK / (1 + candidate.rank)
        + _FORM * judged
        - _SHORT * (len(candidate.terms) <= 2)  # noqa: PLR2004 # terms
        - _CUT_OFF * sentence.cut
        - _CODE * sentence.code
        - _INTRODUCES * sentence.text.endswith(":")
        - _ASKS * sentence.text.endswith(("?", "\uff1f"))
    )
    candidate.evidence = own + _COVERED * asked.covered(context) - _UNEXPECTED * (judged < 0)


def _products(left: list[list[float]], right: list[list[float]]) -> list[list[float]]:
    """Return the products of each of some vectors with each of others."""
    import numpy as np  # noqa: PLC0415 # slow to import, not always needed

    if not left or not right:
        return [[] for _ in left]
    products = np.asarray(left, np.float32) @ np.asarray(right, np.float32).T
    return products.tolist()


def _alike(asked: Sequence[str], known: AbstractSet[str]) -> list[frozenset[str]]:
    """Return for each of some terms those known ones that begin like it."""
    beginnings: defaultdict[str, list[str]] = defaultdict(list)
    for term in known:
        beginnings[term[:_COMMON_PREFIX]].append(term)
    return [
        frozenset(other for other in beginnings[term[:_COMMON_PREFIX]] if _have_one_root(term, other))
        for term in asked
    ]


def _have_one_root(one: str, other: str) -> bool:
    least = max(_COMMON_PREFIX, math.ceil(_COMMON_SHARE * max(len(one), len(other))))
    return min(len(one), len(other)) >= least and one[:least] == other[:least]
