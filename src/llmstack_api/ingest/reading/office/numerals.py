"""Numerals: how lists and headings write their numbers, whatever the format that asks for it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

MAX_NUMBER: Final = 2_147_483_647
_LONGEST_LETTERS: Final = 780
"""Word begins again with `a` after thirty of the same letter."""
_LONGEST_ROMAN: Final = 32_767
_IN_WORDS_BELOW: Final = 1_000_000

_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"),
    (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = (
    "-", "-", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
             "twelve": "twelfth"}  # fmt: skip
_HAN_DIGITS = "〇一二三四五六七八九"
_HAN_UNITS = ("", "十", "百", "千")
_HAN_GROUPS = ("", "万", "亿")
_FINANCIAL_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_FINANCIAL_UNITS = ("", "拾", "佰", "仟")
_KOREAN_DIGITS = "영일이삼사오육칠팔구"
_KOREAN_UNITS = ("", "십", "백", "천")
_KOREAN_GROUPS = ("", "만", "억")
_CHICAGO = "*†‡§"
_CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳㉑㉒㉓㉔㉕㉖㉗㉘㉙㉚㉛㉜㉝㉞㉟㊱㊲㊳㊴㊵㊶㊷㊸㊹㊺㊻㊼㊽㊾㊿"
_STEMS = "甲乙丙丁戊己庚辛壬癸"
_BRANCHES = "子丑寅卯辰巳午未申酉戌亥"
_AIUEO = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲン"
_IROHA = "イロハニホヘトチリヌルヲワカヨタレソツネナラムウヰノオクヤマケフコエテアサキユメミシヱヒモセスン"
_GANADA = "가나다라마바사아자차카타파하"
_JAMO = "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ"
_CYRILLIC = "абвгдежзиклмнопрстуфхцчшщыэюя"
_GREEK = "αβγδεζηθικλμνξοπρστυφχψω"
_HEBREW = "אבגדהוזחטיכלמנסעפצקרשת"
_ARABIC = "أبتثجحخدذرزسشصضطظعغفقكلمنهوي"
_ABJAD = "أبجدهوزحطيكلمنسعفصقرشتثخذضظغ"
_THAI = "กขคงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮ"

Numeral = Callable[[int], str]


def repeated(letters: str) -> Numeral:
    """Number by letters as Word does: a to z, then aa, bb, cc; without letters for what is below one."""
    longest = _LONGEST_LETTERS // 26 * len(letters)

    def write(number: int) -> str:
        if number < 1:
            return ""
        times, place = divmod((number - 1) % longest, len(letters))
        return letters[place] * (times + 1)

    return write


def alphabetic(letters: str) -> Numeral:
    """Number by letters as browsers do: a to z, then aa, ab, ac; in digits below one."""

    def write(number: int) -> str:
        if number < 1:
            return str(number)
        pieces: list[str] = []
        while number:
            number, place = divmod(number - 1, len(letters))
            pieces.append(letters[place])
        return "".join(reversed(pieces))

    return write


def cyclic(symbols: str) -> Numeral:
    """Number by symbols that begin again after the last."""
    return lambda number: symbols[(number - 1) % len(symbols)]


def listed(symbols: str) -> Numeral:
    """Number by symbols as long as there are some, then in digits."""
    return lambda number: symbols[number - 1] if 0 < number <= len(symbols) else str(number)


def roman(number: int) -> str:
    """Write a number in small Roman numerals; in digits what is below one or beyond what Word knows."""
    if not 0 < number <= _LONGEST_ROMAN:
        return str(number)
    pieces: list[str] = []
    for value, letters in _ROMAN:
        times, number = divmod(number, value)
        pieces.append(letters * times)
    return "".join(pieces)


def padded(width: int) -> Numeral:
    """Write a number with zeros before it, up to a width."""
    return lambda number: f"{number:0{width}d}"


def upper(numeral: Numeral) -> Numeral:
    """Write the same in capitals."""
    return lambda number: numeral(number).upper()


def ordinal(number: int) -> str:
    """Write 1st, 2nd, 3rd, 4th."""
    teens = number // 10 % 10 == 1
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def in_words(number: int) -> str:
    """Write a number in English words."""
    return _words(number).capitalize() if 0 <= number < _IN_WORDS_BELOW else str(number)


def ordinal_in_words(number: int) -> str:
    """Write an ordinal in English words."""
    if not 0 <= number < _IN_WORDS_BELOW:
        return ordinal(number)
    words = _words(number)
    place = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[place:]
    ending = _ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
    return (words[:place] + ending).capitalize()


def _words(number: int) -> str:
    if number < len(_SMALL):
        return _SMALL[number]
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if number >= size:
            many, rest = divmod(number, size)
            return f"{_words(many)} {name}{f' {_words(rest)}' if rest else ''}"
    tens, ones = divmod(number, 10)
    return _TENS[tens] + (f"-{_SMALL[ones]}" if ones else "")


def _counted(
    digits: str, units: tuple[str, ...], groups: tuple[str, ...], *, ones: bool, bare_ten: bool
) -> Numeral:
    """Number as East Asian languages count, in groups of four digits.

    Args:
        digits: zero to nine.
        units: names of the places in a group; the first has none.
        groups: names of the groups; the first has none.
        ones: whether a one before the name of a place is said.
        bare_ten: whether it is not said of ten to nineteen.
    """

    def four(number: int) -> str:
        pieces: list[str] = []
        for place in range(3, -1, -1):
            digit = number // 10**place % 10
            silent = digit == 1 and place > 0 and (not ones or (bare_ten and place == 1 and not pieces))
            if digit:
                pieces.append(("" if silent else digits[digit]) + units[place])
        return "".join(pieces)

    def write(number: int) -> str:
        if number == 0:
            return digits[0]
        if not 0 < number < 10 ** (4 * len(groups)):
            return str(number)
        parts = [(number // 10 ** (4 * place) % 10_000, name) for place, name in enumerate(groups)]
        return "".join(four(part) + name for part, name in reversed(parts) if part)

    return write


def _digits(digits: str) -> Numeral:
    """Number in decimal with other digits."""
    table = str.maketrans("0123456789", digits)
    return lambda number: str(number).translate(table)


_chinese = _counted(_HAN_DIGITS, _HAN_UNITS, _HAN_GROUPS, ones=True, bare_ten=True)
_japanese = _counted(_HAN_DIGITS, _HAN_UNITS, _HAN_GROUPS, ones=False, bare_ten=True)
_financial = _counted(_FINANCIAL_DIGITS, _FINANCIAL_UNITS, _HAN_GROUPS, ones=True, bare_ten=False)
_korean = _counted(_KOREAN_DIGITS, _KOREAN_UNITS, _KOREAN_GROUPS, ones=False, bare_ten=True)

WORD: Final[Mapping[str, Numeral]] = MappingProxyType(
    {
        "decimal": str,
        "none": lambda _: "",
        "decimalZero": padded(2),
        "lowerLetter": repeated("abcdefghijklmnopqrstuvwxyz"),
        "upperLetter": repeated("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        "lowerRoman": roman,
        "upperRoman": upper(roman),
        "ordinal": ordinal,
        "cardinalText": in_words,
        "ordinalText": ordinal_in_words,
        "hex": lambda number: f"{number:X}",
        "chicago": repeated(_CHICAGO),
        "numberInDash": lambda number: f"- {number} -",
        "decimalEnclosedCircle": listed(_CIRCLED),
        "decimalEnclosedCircleChinese": listed(_CIRCLED),
        "decimalEnclosedParen": lambda number: f"({number})",
        "decimalEnclosedFullstop": lambda number: f"{number}.",
        "decimalFullWidth": _digits("0123456789".translate({ord(d): ord(d) + 0xFEE0 for d in "0123456789"})),
        "decimalFullWidth2": _digits("0123456789".translate({ord(d): ord(d) + 0xFEE0 for d in "0123456789"})),
        "hindiNumbers": _digits("०१२३४५६७८९"),
        "thaiNumbers": _digits("๐๑๒๓๔๕๖๗๘๙"),
        "chineseCounting": _chinese,
        "chineseCountingThousand": _chinese,
        "taiwaneseCounting": _chinese,
        "taiwaneseCountingThousand": _chinese,
        "japaneseCounting": _japanese,
        "chineseLegalSimplified": _financial,
        "koreanCounting": _korean,
        "koreanDigital": _digits(_KOREAN_DIGITS),
        "ideographDigital": _digits(_HAN_DIGITS),
        "japaneseDigitalTenThousand": _digits(_HAN_DIGITS),
        "taiwaneseDigital": _digits(_HAN_DIGITS),
        "ideographTraditional": listed(_STEMS),
        "ideographZodiac": listed(_BRANCHES),
        "aiueo": cyclic(_AIUEO),
        "aiueoFullWidth": cyclic(_AIUEO),
        "iroha": cyclic(_IROHA),
        "irohaFullWidth": cyclic(_IROHA),
        "ganada": cyclic(_GANADA),
        "chosung": cyclic(_JAMO),
        "russianLower": repeated(_CYRILLIC),
        "russianUpper": repeated(_CYRILLIC.upper()),
        "hebrew2": repeated(_HEBREW),
        "arabicAlpha": repeated(_ARABIC),
        "arabicAbjad": repeated(_ABJAD),
        "thaiLetters": repeated(_THAI),
    }
)
"""Number formats by the name that Word has for them; others are written in digits."""

CSS: Final[Mapping[str, Numeral]] = MappingProxyType(
    {
        "decimal": str,
        "decimal-leading-zero": padded(2),
        "lower-alpha": alphabetic("abcdefghijklmnopqrstuvwxyz"),
        "lower-latin": alphabetic("abcdefghijklmnopqrstuvwxyz"),
        "upper-alpha": alphabetic("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        "upper-latin": alphabetic("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        "lower-roman": roman,
        "upper-roman": upper(roman),
        "lower-greek": alphabetic(_GREEK),
        "cjk-ideographic": _chinese,
        "simp-chinese-informal": _chinese,
        "japanese-informal": _japanese,
        "hiragana": alphabetic("".join(chr(ord(letter) - 0x60) for letter in _AIUEO)),
        "katakana": alphabetic(_AIUEO),
    }
)
"""Number formats by the name that style sheets have for them."""


def to_number(text: str | None, default: int) -> int:
    """Read a whole number that a file gives; `default` if it gives none, or one that no list reaches."""
    text = (text or "").strip()
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= len(str(MAX_NUMBER))):
        return default
    number = int(text)
    return number if abs(number) <= MAX_NUMBER else default
