"""The words of questions and texts that count, reduced so that forms of one word are the same."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]+"
)
_ACCENTS: Final = re.compile("[\u0300-\u036f]")
_SHORTEST: Final = 3
"""Letters that an ending leaves at least."""

_STOP_WORDS: Final = """
a about above after again all also am an and any are as at be because been before being below between both but by can
could did do does doing down during each else few for from further get gets getting give given go got had has have
having he her here hers him his how i if in into is it its itself just let like may me might more most must my need
needed needs no nor not of off on once one only or other our out over own per please same shall she should so some
still such take tell than that the their them then there these they thing this those through to too under until up
upon us use used uses using very want was way we were what when where whether which while who whom whose why will with
within would yes you your
"""
STOP_WORDS: Final = frozenset(_STOP_WORDS.split())

_IRREGULAR: Final = {
    form: word
    for word, forms in {
        "begin": "began begun",
        "break": "broke broken",
        "bring": "brought",
        "build": "built",
        "buy": "bought",
        "child": "children",
        "choose": "chose chosen",
        "come": "came",
        "cost": "costs costing",
        "find": "found",
        "forget": "forgot forgotten",
        "hold": "held",
        "keep": "kept",
        "know": "knew known",
        "lend": "lent",
        "lie": "lay lain lying",
        "lose": "lost",
        "make": "made",
        "mean": "meant",
        "meet": "met",
        "pay": "paid",
        "person": "people",
        "read": "reading reads",
        "run": "ran running",
        "say": "said",
        "see": "saw seen",
        "sell": "sold",
        "send": "sent",
        "show": "shown",
        "speak": "spoke spoken",
        "spend": "spent",
        "stand": "stood",
        "steal": "stole stolen",
        "teach": "taught",
        "tear": "tore torn",
        "think": "thought",
        "throw": "threw thrown",
        "wear": "wore worn",
        "win": "won winning",
        "write": "wrote written",
        "year": "yearly annual annually",
        "day": "daily",
        "week": "weekly",
        "month": "monthly",
    }.items()
    for form in forms.split()
}
_ENDINGS: Final = (
    ("ization", "iz"), ("isation", "iz"), ("ational", "at"), ("fulness", "ful"), ("iveness", "iv"),
    ("ation", "at"), ("ition", "it"), ("ement", ""), ("ments", ""), ("ment", ""), ("ness", ""), ("ings", ""),
    ("able", ""), ("ible", ""), ("ally", "al"), ("ing", ""), ("ied", "i"), ("ies", "i"), ("ion", ""),
    ("ise", "iz"), ("ed", ""), ("ly", ""), ("es", ""), ("er", ""), ("or", ""), ("e", ""), ("y", "i"),
)  # fmt: skip
"""An ending and what stands for it, the longest first."""


def terms(text: str) -> list[str]:
    """Return the words of a text, reduced; without stop words, and of scripts without blanks pairs of characters."""
    return [stem(word) for word in words(text) if word not in STOP_WORDS]


def words(text: str) -> list[str]:
    """Return the words of a text as they count: without case and accents; pairs where no blanks stand."""
    if not text.isascii():
        text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
        text = unicodedata.normalize("NFC", text)
        pairs = [run[at : at + 2] for run in _UNSPACED.findall(text) for at in range(max(1, len(run) - 1))]
        text = _UNSPACED.sub(" ", text)
    else:
        pairs = []
    return [word.partition("'")[0] for word in _WORD.findall(text.lower().replace("\u2019", "'"))] + pairs


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """Reduce an English word to what its forms have in common; not a word of the language."""
    if word in _IRREGULAR:
        return _reduced(_IRREGULAR[word])
    if len(word) > _SHORTEST and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1] if not word.endswith("ies") else word[:-3] + "y"
        if word in _IRREGULAR:
            word = _IRREGULAR[word]
    return _reduced(word)


def _reduced(word: str) -> str:
    """Take endings off until none is left, so that forms with one ending and with two meet."""
    while True:
        shorter = _shortened(word)
        if shorter == word:
            return word
        word = shorter


def _shortened(word: str) -> str:
    if not word.isascii() or not word.isalpha():
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST:
            word = word[: -len(ending)] + instead
            break
    if len(word) > _SHORTEST and word[-1] == word[-2] and word[-1] not in "aeious":
        word = word[:-1]
    return word


def is_unspaced(text: str) -> bool:
    """Tell whether a text is, at least in part, of a script that sets no blanks between words."""
    return _UNSPACED.search(text) is not None
