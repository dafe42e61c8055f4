"""Make `letters.json`, by which old encodings are guessed, from what free packages say of languages.

`python -m benchmarks.letters FOLDER > .../reading/charsets/letters.json`, with these unpacked in FOLDER:
langdetect 1.0.9 (Apache-2.0; pairs of letters, counted on Wikipedia), django 5.2.19 (BSD-3-Clause; pairs of letters of
six more languages, counted in its translations), jieba 0.42.1 (MIT; characters of simplified Chinese, by its words) and
lingua-language-detector 1.4.2 (Apache-2.0; characters of the rest of East Asia). Reading it takes brotli.

A row of `pairs` has for each first letter the second ones after the bits that they cost. `characters` begin with the
most frequent. Signs are written by hand.
"""

import gettext
import json
import math
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from llmstack_api.ingest.reading.charsets.letters import is_letter, lower

COUNTED: Final = (
    "ru uk bg mk el he ar fa th vi af ca cs cy da de en es et fi fr hr hu it lt lv nl no pl pt ro sk "
    "sl sq sv tr"
)
TRANSLATED: Final = ("is", "ga", "eu", "gl", "sr", "be")
SIGNS: Final = {
    "common": "“”‘’‚„\u2013—…«»€\u00a0",  # noqa: RUF001 # that is what they are
    "fair": "°§£©®·¿¡²³½¼¾´ªºµ±×÷•™‹›№",  # noqa: RUF001 # likewise
    "within": "’'\u00ad",  # noqa: RUF001 # likewise
    "before": "“‘„‚‹«»›\u2013—¿¡•’\u00a0\u00ad",  # noqa: RUF001 # likewise
    "after": "”“’‘»›«\u2013—…·®©™°²³ªº\u00a0\u00ad",  # noqa: RUF001 # likewise
    "wide": "，！？：；（）．",  # noqa: RUF001 # likewise
}
_LIKE: Final = {"ș": "ş", "ț": "ţ", "ی": "ي", "ک": "ك", "ۆ": "و"}
_TONES: Final = "\u0300\u0301\u0303\u0309\u0323"
_SCRIPTS: Final = {
    **dict.fromkeys(("ru", "uk", "bg", "mk", "sr", "be"), "CYRILLIC"),
    "el": "GREEK",
    "he": "HEBREW",
    "ar": "ARABIC",
    "fa": "ARABIC",
    "th": "THAI",
}
_PLACEHOLDER: Final = re.compile(r"%\(\w+\)[sd]|%[sd]")
_RAREST: Final = 3e-5
_MOST_BITS: Final = 12
_LAST_LEVEL: Final = 9


def main() -> None:
    """Print the tables, a language a line."""
    folder = Path(sys.argv[1])
    tables = {"characters": _characters(folder), "pairs": _pairs(folder), "signs": SIGNS}
    parts = (
        f"{_dump(name)}:{{\n"
        + ",\n".join(f"{_dump(key)}:{_dump(row)}" for key, row in sorted(rows.items()))
        + "\n}"
        for name, rows in tables.items()
    )
    print("{\n" + ",\n".join(parts) + "\n}")


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


# --- pairs of letters ------------------------------------------------------------------------------------


def _pairs(folder: Path) -> dict[str, dict[str, str]]:
    counted: dict[str, Counter[str]] = {}
    for language in COUNTED.split():
        frequencies: dict[str, int] = json.loads((folder / "langdetect/profiles" / language).read_bytes())[
            "freq"
        ]
        pairs: Counter[str] = Counter()
        for gram, count in frequencies.items():
            if len(gram) == 2:
                for pair in _apart(*map(_fold, gram)) if language == "vi" else ("".join(map(_fold, gram)),):
                    pairs[pair] += count
        counted[language] = pairs
    for language in TRANSLATED:
        pairs = Counter()
        for path in (folder / "django").glob(f"**/locale/{language}/LC_MESSAGES/*.mo"):
            with path.open("rb") as file:
                catalog: dict[Any, str] = vars(gettext.GNUTranslations(file))["_catalog"]
            for key, text in catalog.items():
                if key:
                    marks = " " + "".join(map(_fold, _PLACEHOLDER.sub("", text))) + " "
                    pairs.update(map("".join, pairwise(marks)))
        counted[language] = pairs
    return {language: _rows(pairs, _SCRIPTS.get(language, "LATIN")) for language, pairs in counted.items()}


def _fold(mark: str) -> str:
    small = lower(mark) if is_letter(mark) else " "
    return _LIKE.get(small, small)


def _apart(first: str, second: str) -> Iterator[str]:
    """Take the tones off letters, as windows-1258 writes them."""
    marks = _parts(first)[-1] + _parts(second)
    return map("".join, pairwise(marks))


def _parts(mark: str) -> str:
    whole = unicodedata.normalize("NFD", mark)
    base = "".join(part for part in whole if part not in _TONES)
    return unicodedata.normalize("NFC", base) + "".join(part for part in whole if part in _TONES)


def _rows(pairs: Counter[str], script: str) -> dict[str, str]:
    own = {
        pair: count for pair, count in pairs.items() if pair != "  " and all(_is_of(m, script) for m in pair)
    }
    firsts: Counter[str] = Counter()
    for pair, count in own.items():
        firsts[pair[0]] += count
    least = firsts.total() * _RAREST
    levels: dict[str, defaultdict[int, str]] = {first: defaultdict(str) for first in sorted(firsts)}
    for pair, count in sorted(own.items(), key=lambda item: (-item[1], item[0])):
        bits = -math.log2(count / firsts[pair[0]])
        if bits < _MOST_BITS and min(firsts[pair[0]], firsts[pair[1]]) >= least:
            levels[pair[0]][min(_LAST_LEVEL, round(bits))] += pair[1]
    return {
        first: "".join(f"{level}{marks}" for level, marks in sorted(found.items()))
        for first, found in levels.items()
        if found
    }


def _is_of(mark: str, script: str) -> bool:
    name = unicodedata.name(mark, "")
    return mark == " " or name.startswith(script) or (name.startswith("COMBINING") and script == "LATIN")


# --- characters ------------------------------------------------------------------------------------------


def _characters(folder: Path) -> dict[str, str]:
    simplified: Counter[str] = Counter()
    for line in (folder / "jieba/dict.txt").read_text("utf-8").splitlines():
        word, count, *_ = line.split(" ")
        for mark in word:
            simplified[mark] += int(count)
    return {
        "zh-hans": _first(simplified, 1200, "gb2312", _is_ideograph),
        "zh-hant": _first(_lingua(folder, "zh"), 1200, "big5", _is_ideograph),
        "ja": _first(_lingua(folder, "ja"), 1200, "shift_jis", _is_japanese),
        "ko": _first(_lingua(folder, "ko"), 800, "euc_kr", lambda mark: "\uac00" <= mark <= "\ud7a3"),
    }


def _lingua(folder: Path, language: str) -> Counter[str]:
    brotli: Any = import_module("brotli")  # needed for this only
    data = (folder / "lingua/language-models" / language / "unigrams.json.br").read_bytes()
    found: Counter[str] = Counter()
    for fraction, marks in json.loads(brotli.decompress(data))["ngrams"].items():
        part, _, whole = fraction.partition("/")
        for mark in marks.split():
            found[mark] = round(int(part) / int(whole) * 10**9)
    return found


def _first(counts: Counter[str], most: int, codec: str, wanted: Callable[[str], bool]) -> str:
    fitting = (mark for mark in counts if wanted(mark) and mark.encode(codec, "ignore"))
    return "".join(sorted(fitting, key=lambda mark: (-counts[mark], mark))[:most])


def _is_ideograph(mark: str) -> bool:
    return "\u4e00" <= mark <= "\u9fff"


def _is_japanese(mark: str) -> bool:
    return _is_ideograph(mark) or "\u3041" <= mark <= "\u30fe"


if __name__ == "__main__":
    main()
