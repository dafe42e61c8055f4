"""Languages: which a text is in, and how forms of one word meet where English endings do not help."""

import re
import unicodedata
from enum import StrEnum
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final
from zlib import crc32

from llmstack_api.vectors.function_words import ENGLISH, IN_NAMES, OTHERS

if TYPE_CHECKING:
    from qdrant_edge import Bm25


class Language(StrEnum):
    """The language of texts, by its ISO 639-1 code; `auto` decides for each text by its words and its script."""

    AUTO = "auto"
    ARABIC = "ar"
    BULGARIAN = "bg"
    CATALAN = "ca"
    CHINESE = "zh"
    CROATIAN = "hr"
    CZECH = "cs"
    DANISH = "da"
    DUTCH = "nl"
    ENGLISH = "en"
    ESTONIAN = "et"
    FINNISH = "fi"
    FRENCH = "fr"
    GERMAN = "de"
    GREEK = "el"
    HEBREW = "he"
    HINDI = "hi"
    HUNGARIAN = "hu"
    INDONESIAN = "id"
    ITALIAN = "it"
    JAPANESE = "ja"
    KOREAN = "ko"
    LATVIAN = "lv"
    LITHUANIAN = "lt"
    NORWEGIAN = "no"
    PERSIAN = "fa"
    POLISH = "pl"
    PORTUGUESE = "pt"
    ROMANIAN = "ro"
    RUSSIAN = "ru"
    SERBIAN = "sr"
    SLOVAK = "sk"
    SLOVENE = "sl"
    SPANISH = "es"
    SWEDISH = "sv"
    THAI = "th"
    TURKISH = "tr"
    UKRAINIAN = "uk"
    VIETNAMESE = "vi"


_WITHOUT_PREFIXES: Final = frozenset(
    {Language.ENGLISH, Language.CHINESE, Language.JAPANESE, Language.KOREAN, Language.THAI}
)
"""Languages in whose texts a word of Latin letters is an English one, or might as well be."""

_ACCENTED: Final = re.compile("[\u00df-\u00f6\u00f8-\u024f\u1e00-\u1eff]")

_SURELY: Final = (" of ", " and ", " to ", " is ", " in ")

_MARKS: Final = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc"
)
"""Accents, points and vowel signs that are written or left out."""

_INDIC: Final = "\u0900-\u0963\u0966-\u0dff"
"""Scripts whose vowel signs are part of the word."""

_WORD: Final = re.compile(
    f"[^\\W\\d_{_INDIC}][^\\W\\d_{_INDIC}{_MARKS}]*(?:[{_MARKS}]+[^\\W\\d_]*)*|[{_INDIC}]+"
)
_NOT_LATIN: Final = re.compile(
    "[\u0370-\u1cff\u1f00-\u1fff\u2c00-\u2c5f\u2d00-\u2dff\ua640-\ua69f\ufb1d-\ufdff\ufe70-\ufeff]"
)
"""Letters of scripts that English is not written in, and that have blanks between words."""

_BY_SCRIPT: Final = {
    "russian": re.compile(f"[\u0400-\u052f{_MARKS}]{{2,}}"),
    "arabic": re.compile("[\u0620-\u065f\u066e-\u06d3\u06d5-\u06ff]{2,}"),
    "greek": re.compile(f"[\u0370-\u03ff\u1f00-\u1fff{_MARKS}]{{2,}}"),
}
"""Words of a script, by the analyser that knows their endings."""

_SHORT, _LONG = 4, 6
"""Letters of the beginnings by which forms of a word meet."""

_ENOUGH: Final = 32
"""Characters of a word that are looked at, so that what is remembered is small."""

_MARK: Final = re.compile(f"[{_MARKS}]")

_ARTICLE: Final = ("ال", "وال", "بال", "كال", "فال", "لل")
"""The Arabic article, alone and grown together with a preposition."""

_HASHED: Final = 0x7FFF_FFFF


def has_prefixes(text: str, language: Language) -> bool:
    """Return whether the Latin words of a passage get prefixes: only if it is positively not English."""
    if language is not Language.AUTO:
        return language not in _WITHOUT_PREFIXES
    if text.isascii() and " the " in text and any(word in text for word in _SURELY):
        return False
    english, others = _evidence(text)
    return others > english


def asks_prefixes(text: str, language: Language) -> bool:
    """Return whether a question asks for prefixes of Latin words: unless it is clearly English."""
    if language is not Language.AUTO:
        return language not in _WITHOUT_PREFIXES
    english, others = _evidence(text)
    return others > english or english == 0


def _evidence(text: str) -> tuple[int, int]:
    """Count the distinct words that only English has, and those of Latin letters that it does not have."""
    words = set(text.lower().split())
    others = len(OTHERS & words)
    if not text.isascii():
        others += sum(_ACCENTED.search(word) is not None for word in words - OTHERS)
    english, names = len(ENGLISH & words), len(IN_NAMES & words)
    return english, others + (names if names > 1 and not english else 0)


def prefixes(text: str, *, latin: bool) -> list[int]:
    """Return the hashed prefixes of a text's words: of all if `latin`, else of those in other scripts."""
    if text.isascii():
        if not latin:
            return []
    elif not latin and not _NOT_LATIN.search(text):
        return []
    hashes: list[int] = []
    for word in _WORD.findall(text):
        if latin or _NOT_LATIN.match(word):
            hashes += word_prefixes(word[:_ENOUGH])
    return hashes


@lru_cache(maxsize=8192)
def word_prefixes(word: str) -> tuple[int, ...]:
    """Hash the first letters of a word, folded; none of a word that is too short."""
    folded = _fold(word)
    if len(folded) < _SHORT:
        return ()
    beginnings = {folded[:_SHORT]} if len(folded) < _LONG else {folded[:_SHORT], folded[:_LONG]}
    return tuple(sorted(hash_term(f"{len(part)}:{part}") for part in beginnings))


def _fold(word: str) -> str:
    if word.isascii():
        return word.lower()
    plain = unicodedata.normalize("NFKD", word.casefold())
    plain = _MARK.sub("", plain)
    for article in _ARTICLE:
        if plain.startswith(article) and len(plain) - len(article) >= 3:  # noqa: PLR2004 # letters of a root
            return plain[len(article) :]
    return plain


def script_words(text: str) -> dict[str, str]:
    """Return the words of scripts that have an analyser of their own, by the analyser's name."""
    found = {name: pattern.findall(text) for name, pattern in _BY_SCRIPT.items()}
    return {name: " ".join(words) for name, words in found.items() if words}


def without_script_words(text: str) -> str:
    """Return a text without the words that `script_words` returns."""
    for pattern in _BY_SCRIPT.values():
        text = pattern.sub(" ", text)
    return text


def hash_term(term: str) -> int:
    """Hash a term that is no word of an analyser's."""
    return crc32(term.encode()) & _HASHED


@cache
def analyser(language: str) -> "Bm25":
    """Make what finds words, folds case and accents, and drops stop words and endings of a language.

    With this `k` and without `b`, the weight of a word is the number of its occurrences, but for rounding.
    """
    from qdrant_edge import Bm25, Bm25Config  # noqa: PLC0415 # slow to import, not always needed

    return Bm25(Bm25Config(k=1e9, b=0.0, language=language, ascii_folding=True))
