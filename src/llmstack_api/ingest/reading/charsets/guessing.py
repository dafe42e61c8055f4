"""Which old encoding a text is in, if nothing says it: the one in which its letters follow each other as in a language.

Every candidate is charged the bits that its reading of the bytes over 127 costs: after the letter before, in the
language that suits it best. The cheapest reading wins. Encodings of East Asia are charged by character.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from llmstack_api.ingest.reading.charsets.letters import alphabet, characters, is_letter, lower, signs

SAMPLE: Final = 16_384
"""Bytes that are looked at."""

_NORDIC: Final = ("da", "fi", "is", "no", "sv")
_BRITISH: Final = ("cy", "en", "ga")
_ROMANCE: Final = ("ca", "es", "fr", "gl", "it", "pt")
_WESTERN: Final = tuple(sorted({*_NORDIC, *_BRITISH, *_ROMANCE, "af", "de", "et", "eu", "nl", "sq"}))
_CENTRAL: Final = ("cs", "de", "hr", "hu", "pl", "ro", "sk", "sl", "sq")
_BALTIC: Final = ("et", "lt", "lv")
_CYRILLIC: Final = ("be", "bg", "mk", "ru", "sr", "uk")
_ARABIC: Final = ("ar", "fa")

_SINGLE: Final = (
    ("windows-1252", "cp1252", 0.0, _WESTERN),
    ("windows-1250", "cp1250", 1.0, _CENTRAL),
    ("windows-1251", "cp1251", 0.0, _CYRILLIC),
    ("windows-1253", "cp1253", 0.0, ("el",)),
    ("windows-1254", "cp1254", 1.0, ("tr",)),
    ("windows-1255", "cp1255", 0.0, ("he",)),
    ("windows-1256", "cp1256", 0.0, _ARABIC),
    ("windows-1257", "cp1257", 1.0, _BALTIC),
    ("windows-1258", "cp1258", 2.0, ("vi",)),
    ("windows-874", "cp874", 0.0, ("th",)),
    ("iso-8859-15", "iso8859_15", 3.0, _WESTERN),
    ("iso-8859-2", "iso8859_2", 3.0, _CENTRAL),
    ("iso-8859-4", "iso8859_4", 5.0, _BALTIC),
    ("iso-8859-5", "iso8859_5", 3.0, _CYRILLIC),
    ("iso-8859-6", "iso8859_6", 2.0, ("ar",)),
    ("iso-8859-7", "iso8859_7", 2.0, ("el",)),
    ("iso-8859-8", "iso8859_8", 2.0, ("he",)),
    ("iso-8859-13", "iso8859_13", 4.0, _BALTIC),
    ("koi8-r", "koi8_r", 1.0, ("ru", "bg")),
    ("koi8-u", "koi8_u", 2.0, ("uk", "be")),
    ("cp437", "cp437", 4.0, _WESTERN),
    ("cp737", "cp737", 4.0, ("el",)),
    ("cp775", "cp775", 6.0, _BALTIC),
    ("cp850", "cp850", 3.0, _WESTERN),
    ("cp852", "cp852", 4.0, _CENTRAL),
    ("cp855", "cp855", 7.0, _CYRILLIC),
    ("cp857", "cp857", 4.0, ("tr",)),
    ("cp862", "cp862", 4.0, ("he",)),
    ("cp865", "cp865", 6.0, ("da", "no")),
    ("cp866", "cp866", 2.0, ("be", "bg", "ru", "uk")),
    ("cp1125", "cp1125", 4.0, ("uk",)),
    ("macintosh", "mac_roman", 4.0, _WESTERN),
    ("x-mac-cyrillic", "mac_cyrillic", 4.0, _CYRILLIC),
    ("x-mac-ce", "mac_latin2", 6.0, _CENTRAL),
)
_MULTI: Final = (
    ("gbk", "gb18030", 0.0, "zh-hans"),
    ("big5", "big5hkscs", 0.0, "zh-hant"),
    ("shift_jis", "cp932", 0.0, "ja"),
    ("euc-jp", "euc_jp", 1.0, "ja"),
    ("euc-kr", "cp949", 0.0, "ko"),
)

_ASCII: Final = 127
_HIGH: Final = re.compile(rb"[\x80-\xff]")
_GAP: Final = re.compile(rb"[\x00-\x2f]")
"""No byte of a longer character, whatever the encoding: texts can be cut there."""
_REPEATS: Final = 2
"""How often one word counts: one that is on every line says no more than one that is on a few."""
_WORD: Final = re.compile(rb"[\x30-\xff]+")
_AROUND: Final = 100
_LONGEST: Final = 2_048
_PLACES: Final = 8

_COMMON_SIGN, _FAIR_SIGN, _RARE_SIGN, _NO_SIGN = 6.0, 9.0, 13.0, 20.0
_CAPITAL_WITHIN: Final = 9.0
_SIGN_WITHIN: Final = 10.0
_SIGN_AMISS: Final = 6.0
_DRAWING_AMISS: Final = 17.0
"""What a frame costs that touches a word: frames stand alone."""
_TWO_SCRIPTS: Final = 17.0
_LANGUAGE_WEIGHT, _LANGUAGE_MOST = 0.6, 17.0

_CJK_SIGN: Final = 6.0
_CJK_LEVEL: Final = 15.0
_CJK_RARE: Final = 19.0
_KANA_HALF: Final = 14.0
_WIDE_LETTER: Final = 10.0
_WORD_ADJOINS: Final = 11.0
_WORD_SEAM: Final = re.compile(r"(?<=[A-Za-z])(?=[^\x00-\u02ff])|(?<=[^\x00-\u02ff])(?=[A-Za-z])")


@dataclass(frozen=True, slots=True)
class _Byte:
    """What a byte is in an encoding."""

    letter: str
    """In lower case; a space if it is none."""
    capital: bool
    sign: float
    """Bits that it costs if it is no letter."""
    glue: bool = False
    """Whether it stands between letters, as the apostrophe does."""
    opens: bool = False
    """Whether it stands right before words, as some quotation marks do."""
    closes: bool = False
    """Whether it stands right after words."""
    drawing: bool = False
    """Whether it is a piece of a frame or a block, as terminals draw them."""
    latin: bool = False


def guess(data: bytes) -> tuple[str, str]:
    """Return the name and Python's name of the encoding that a text is most likely in; see the module."""
    sample = telling(data)
    high, plain = _trios(sample)
    languages = _language_costs(plain, high.total())
    best, least = ("windows-1252", "cp1252"), float("inf")
    for name, codec, price, spoken in _SINGLE:
        cost = price + _single_cost(codec, high, {code: languages[code] for code in spoken}, least - price)
        if cost < least:
            best, least = (name, codec), cost
    for name, codec, price, language in _MULTI:
        cost = price + _multi_cost(codec, sample, characters(language))
        if cost < least:
            best, least = (name, codec), cost
    return best


def telling(data: bytes) -> bytes:
    """Return the words that tell an encoding: with bytes over 127 and around these, from all parts of a long text."""
    words: Counter[bytes] = Counter()
    for place in range(_PLACES if len(data) > SAMPLE else 1):
        start = place * len(data) // _PLACES
        gap = _GAP.search(data, start, start + _LONGEST) if place else None
        for piece in _pieces(
            data, gap.end() if gap else start, SAMPLE // (_PLACES if len(data) > SAMPLE else 1)
        ):
            words.update(_WORD.findall(piece))
    return b" ".join(word for word, count in words.items() for _ in range(min(count, _REPEATS)))


def _pieces(data: bytes, at: int, most: int) -> Iterator[bytes]:
    while most > 0 and (found := _HIGH.search(data, at)):
        near = max(at, found.start() - _AROUND)
        gap = _GAP.search(data, near, found.start()) if near > at else None
        start = gap.start() if gap else found.start() if near > at else at
        after = _GAP.search(data, found.end() + _AROUND, found.end() + _LONGEST)
        at = after.start() if after else found.end() + _LONGEST
        yield data[start:at]
        most -= at - start


# --- a byte a character ----------------------------------------------------------------------------------


def _trios(sample: bytes) -> tuple[Counter[tuple[int, int, int]], Counter[tuple[int, int]]]:
    """Count the bytes over 127, each with its neighbours, and the pairs of plain ones."""
    trios = Counter(zip(b" " + sample, sample + b" ", sample[1:] + b"  ", strict=True))
    high: Counter[tuple[int, int, int]] = Counter()
    plain: Counter[tuple[int, int]] = Counter()
    for (before, middle, after), count in trios.items():
        if middle > _ASCII:
            high[before, middle, after] = count
        elif after <= _ASCII:
            plain[middle, after] += count
    return high, plain


def _language_costs(plain: Counter[tuple[int, int]], high: int) -> dict[str, float]:
    """Charge each language for the plain letters around, up to a limit: texts quote other languages."""
    pairs: Counter[str] = Counter()
    for (a, b), count in plain.items():
        first, second = chr(a).lower(), chr(b).lower()
        if first.isalpha() or second.isalpha():
            pairs[(first if first.isalpha() else " ") + (second if second.isalpha() else " ")] += count
    costs: dict[str, float] = {}
    for code in {code for *_, spoken in _SINGLE for code in spoken}:
        letters = alphabet(code)
        costs[code] = sum(count * letters.cost(pair) for pair, count in pairs.items())
    least, most = min(costs.values()), _LANGUAGE_MOST + high
    return {code: min(most, _LANGUAGE_WEIGHT * (cost - least)) for code, cost in costs.items()}


def _single_cost(
    codec: str, high: Counter[tuple[int, int, int]], languages: dict[str, float], most: float
) -> float:
    """Return what the cheapest language costs; one that is over `most` anyway may be cut short."""
    table = _bytes(codec)
    base = 0.0
    pairs: Counter[str] = Counter()
    for (a, b, c), count in high.items():
        before, middle, after = table[a], table[b], table[c]
        base += count * _oddity(before, middle, after)
        pairs[before.letter + middle.letter] += count
        if c <= _ASCII:
            pairs[middle.letter + after.letter] += count
    del pairs["  "]
    least = float("inf")
    for code, price in languages.items():
        cost, letters = base + price, alphabet(code)
        for pair, count in pairs.items():
            cost += count * letters.cost(pair)
            if cost >= most:
                break
        least = min(least, cost)
    return least


def _oddity(before: _Byte, middle: _Byte, after: _Byte) -> float:
    """Charge for what no language has: capitals within words, signs within words, words of two scripts."""
    if middle.letter != " ":
        cost = 0.0
        for one, other in ((before, middle), (middle, after)):
            if one.letter != " " and other.letter != " ":
                cost += _TWO_SCRIPTS if one.latin != other.latin else 0.0
                cost += _CAPITAL_WITHIN if other.capital and not one.capital else 0.0
        if before.capital and middle.capital and after.letter != " " and not after.capital:
            cost += _CAPITAL_WITHIN
        return cost
    if before.letter == after.letter == " ":
        return middle.sign
    if middle.drawing:
        return middle.sign + _DRAWING_AMISS
    if before.letter != " " and after.letter != " ":
        return middle.sign + (0.0 if middle.glue else _SIGN_WITHIN)
    if after.letter != " ":
        return middle.sign + (0.0 if middle.opens else _SIGN_AMISS)
    return middle.sign + (0.0 if middle.closes else _SIGN_AMISS)


@cache
def _bytes(codec: str) -> tuple[_Byte, ...]:
    return tuple(_byte(bytes((code,)).decode(codec, "replace")) for code in range(256))


def _byte(mark: str) -> _Byte:
    if is_letter(mark):
        small = lower(mark)
        return _Byte(_FOLDED.get(small, small), small != mark, 0.0, latin=_is_latin(mark))
    return _Byte(
        " ",
        capital=False,
        sign=_sign(mark),
        glue=mark in signs("within"),
        opens=mark in signs("before"),
        closes=mark in signs("after"),
        drawing="\u2500" <= mark <= "\u259f",
    )


_FOLDED: Final = {"ی": "ي", "ک": "ك"}


def _is_latin(mark: str) -> bool:
    return mark < "\u0370"


def _sign(mark: str) -> float:
    if mark.isascii():
        return 0.0
    if mark in signs("common"):
        return _COMMON_SIGN
    if mark in signs("fair"):
        return _FAIR_SIGN
    return _NO_SIGN if mark == "\ufffd" or mark < "\u00a0" else _RARE_SIGN


# --- characters of several bytes -------------------------------------------------------------------------


def _multi_cost(codec: str, sample: bytes, frequent: dict[str, float]) -> float:
    text = sample.decode(codec, "replace")
    marks = Counter(mark for mark in text if not mark.isascii())
    return len(_WORD_SEAM.findall(text)) * _WORD_ADJOINS + sum(
        count * (frequent.get(mark) or _rare(mark)) for mark, count in marks.items()
    )


def _rare(mark: str) -> float:
    if "\u3000" <= mark <= "\u3029" or mark in signs("wide") or mark in signs("common"):
        return _CJK_SIGN
    if "\uff01" <= mark <= "\uff5e":
        return _WIDE_LETTER
    if "\u3041" <= mark <= "\u30fe" or "\uac00" <= mark <= "\ud7a3" or "\u4e00" <= mark <= "\u9fff":
        return _CJK_LEVEL
    if "\uff61" <= mark <= "\uff9f":
        return _KANA_HALF
    return _NO_SIGN if mark == "\ufffd" or "\ue000" <= mark <= "\uf8ff" else _CJK_RARE
