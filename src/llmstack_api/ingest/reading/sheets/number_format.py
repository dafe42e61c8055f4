"""Number formats of spreadsheets: a stored number as a person sees it, with dates in ISO order."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from math import floor, isfinite
from typing import Final

MAX_FORMAT: Final = 1_000
"""Characters of a format; a longer one shows the number as it is."""

Show = Callable[[float], str]

BUILT_IN: Final[dict[int, str]] = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: "$#,##0;-$#,##0", 6: "$#,##0;-$#,##0", 7: "$#,##0.00;-$#,##0.00",
    8: "$#,##0.00;-$#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?", 13: "# ??/??", 14: "yyyy-mm-dd",
    15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss",
    22: "yyyy-mm-dd h:mm", 37: "#,##0;(#,##0)", 38: "#,##0;(#,##0)", 39: "#,##0.00;(#,##0.00)",
    40: "#,##0.00;(#,##0.00)", 41: "#,##0", 42: "$#,##0", 43: "#,##0.00", 44: "$#,##0.00", 45: "mm:ss", 46: "[h]:mm:ss",
    47: "mm:ss.0", 48: "0.0E+0",
    **dict.fromkeys((27, 28, 29, 30, 31, 36, 50, 51, 52, 53, 54, 57, 58), "yyyy-mm-dd"),
    **dict.fromkeys((32, 33, 34, 35, 55, 56), "h:mm:ss"),
}  # fmt: skip
"""Formats that files name by number only."""

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_(?P<blank>.)|\*(?P<fill>.)|\[(?P<bracket>[^\]]*)\]'
    r"|(?P<general>General)|(?P<noon>AM/PM|A/P)|(?P<fraction>(?<=s)[.,]0+)|(?P<exponent>E[+-])"
    r"|(?P<date>y+|m+|d+|h+|s+|e+|b+|g+(?!e))|(?P<digit>[0#?])|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
_ELAPSED = re.compile(r"h+|m+|s+", re.IGNORECASE)
_CURRENCY = re.compile(r"\$([^-]*)(?:-.*)?", re.DOTALL)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?\d+(?:\.\d+)?)")
_GROUPED = re.compile(r"#+([ \u00a0\u202f'\u2019])(?:[#0?]{3}\1)*[#0?]{3}")
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": lambda value, bound: value < bound,
    ">": lambda value, bound: value > bound,
    "=": lambda value, bound: value == bound,
    "<=": lambda value, bound: value <= bound,
    ">=": lambda value, bound: value >= bound,
    "<>": lambda value, bound: value != bound,
}
_UP: Final = 1 + 2**-51
"""Lifts what is stored a little under a half over it, as spreadsheets round by what they show."""

_MOST_DECIMALS = 30
_EXACT = 1e15
_SECOND = 86_400
_FIRST_DAY = datetime(1899, 12, 30)  # noqa: DTZ001 # sheets know no time zones
_FIRST_DAY_1904 = datetime(1904, 1, 1)  # noqa: DTZ001
_LEAP_DAY_THAT_NEVER_WAS = 61
_DAYS_TO_9999 = 2_958_466


def general(value: float) -> str:
    """Write a number with the 15 digits that spreadsheets keep."""
    if abs(value) < _EXACT and value == floor(value):
        return str(int(value))
    return f"{value:.15g}".replace("e", "E")


def digits_of(value: float, decimals: int) -> str:
    """Write a number with so many decimals, a half rounded up as spreadsheets round."""
    return f"{value * _UP:.{decimals}f}"


def shower(code: str, *, since_1904: bool = False) -> Show | None:
    """Read a format; None shows numbers as `general` does."""
    if len(code) > MAX_FORMAT or code.strip().lower() in ("", "general", "@", "standard"):
        return None
    sections = [_read_section(tokens) for tokens in _split(code)]
    if all(section.is_general for section in sections):
        return None

    def show(value: float) -> str:
        if not isfinite(value):
            return general(value)
        section, value = _choose(sections, value)
        return _show(section, value, since_1904=since_1904).strip() or general(value)

    return show


def around_text(code: str) -> tuple[str, str] | None:
    """Return what a format writes before and after a text; None if that is nothing."""
    if len(code) > MAX_FORMAT or "@" not in code or len(code) < 2:  # noqa: PLR2004 # more than the text's own mark
        return None
    tokens = _read_section(_split(code)[-1]).tokens
    if ("text", "@") not in tokens:
        return None
    place = tokens.index(("text", "@"))
    before, after = ("".join(text for _, text in part) for part in (tokens[:place], tokens[place + 1 :]))
    return (before, after) if before or after else None


@dataclass(slots=True)
class _Section:
    """One of the parts that a semicolon separates: for positive, negative and zero, mostly."""

    tokens: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(kind, text), the kinds `text`, `digit`, `date`, `elapsed`, `noon`, `fraction`, `exponent`, `general`."""
    condition: tuple[str, float] | None = None

    @property
    def is_date(self) -> bool:
        """Whether it shows a date, a time or a duration."""
        return any(kind in ("date", "elapsed") for kind, _ in self.tokens)

    @property
    def is_general(self) -> bool:
        """Whether it shows the number, and nothing but the number."""
        return self.condition is None and [kind for kind, _ in self.tokens] == ["general"]


def _split(code: str) -> list[list[re.Match[str]]]:
    sections: list[list[re.Match[str]]] = [[]]
    for token in _TOKEN.finditer(code):
        if token["other"] == ";":
            sections.append([])
        else:
            sections[-1].append(token)
    return sections[:4]


def _read_section(tokens: list[re.Match[str]]) -> _Section:
    section = _Section()
    add = section.tokens.append
    for token in tokens:
        kind, text = token.lastgroup or "", token[token.lastgroup or 0]
        if kind in ("quoted", "escaped"):
            add(("text", text))
        elif kind == "bracket":
            _read_bracket(section, text)
        elif kind == "other":
            add(("digit", text) if text in ".,%/‰" else ("text", text))
        elif kind not in ("blank", "fill"):
            add((kind, text))
    if not section.is_date:
        section.tokens = [
            ("text", text) if kind in ("noon", "fraction") else (kind, text) for kind, text in section.tokens
        ]
    return section


def _read_bracket(section: _Section, text: str) -> None:
    currency, condition = _CURRENCY.fullmatch(text), _CONDITION.fullmatch(text)
    if _ELAPSED.fullmatch(text):
        section.tokens.append(("elapsed", text.lower()))
    elif currency:
        section.tokens.append(("text", currency[1]))
    elif condition:
        section.condition = (condition[1], float(condition[2]))


def _choose(sections: list[_Section], value: float) -> tuple[_Section, float]:
    """Choose the part for a number; one that is for negative numbers shows its own sign."""
    numeric = sections[:3]
    if any(section.condition for section in numeric):
        for section in numeric:
            if section.condition is None or _COMPARE[section.condition[0]](value, section.condition[1]):
                return section, value
        return numeric[-1], value
    if value < 0 and len(numeric) > 1:
        return numeric[1], -value
    if value == 0 and len(numeric) > 2:  # noqa: PLR2004 # the third is for zero
        return numeric[2], value
    return numeric[0], value


def _show(section: _Section, value: float, *, since_1904: bool) -> str:
    if section.is_date:
        return _date(section, value, since_1904=since_1904)
    kinds = {kind for kind, _ in section.tokens}
    if "general" in kinds:
        return "".join(general(value) if kind == "general" else text for kind, text in section.tokens)
    if not any(kind == "digit" and text in "0#?" for kind, text in section.tokens):
        return "".join(text for kind, text in section.tokens if kind == "text")
    if "exponent" in kinds:
        return _scientific(section, value)
    if any(kind == "digit" and text == "/" for kind, text in section.tokens):
        return _fraction(section, value)
    return _number(section, value)


# --- numbers -----------------------------------------------------------------------------------------------


def _number(section: _Section, value: float) -> str:
    """Write a number with the decimals, zeros, signs and words of its format, but not grouped by thousands."""
    tokens = section.tokens
    places = [index for index, (kind, text) in enumerate(tokens) if kind == "digit" and text in "0#?"]
    point = next(
        (i for i, token in enumerate(tokens) if token == ("digit", ".") and i > places[0] - 2), len(tokens)
    )
    whole = [index for index in places if index < point]
    decimals = [tokens[index][1] for index in places if index > point][:_MOST_DECIMALS]
    percents = sum(token == ("digit", "%") for token in tokens)
    before_point, at_end = tokens[whole[-1] + 1 : point] if whole else [], tokens[places[-1] + 1 :]
    after = at_end if point == len(tokens) else [*before_point, *at_end]
    thousands = sum(token == ("digit", ",") for token in after)
    scaled = abs(value) * 100**percents / 1000**thousands
    digits, _, rest = digits_of(scaled, len(decimals)).partition(".")
    needed = max((number for number, kind in enumerate(decimals, 1) if kind == "0"), default=0)
    rest = rest[:needed] + rest[needed:].rstrip("0")
    zeros = next((len(whole) - number for number, index in enumerate(whole) if tokens[index][1] == "0"), 0)
    blank = not rest and all(tokens[index][1] == "?" for index in places)
    digits = ("" if digits == "0" and not zeros and (blank or rest.strip("0")) else digits).zfill(zeros)
    marks = _thousands_marks(tokens, whole)
    shown = _spread(whole, digits) if whole else {point: digits if digits != "0" else ""}
    pieces: list[str] = []
    for index, (kind, text) in enumerate(tokens):
        if index == point and rest:
            pieces.append(f"{shown.get(point, '')}.{rest}")
        elif kind == "text":
            pieces.append("" if index in marks else text)
        elif text in ("%", "‰"):
            pieces.append(text if pieces and pieces[-1].endswith(" ") else f" {text}")
        else:
            pieces.append(shown.get(index, ""))
    text = "".join(pieces)
    return f"-{text}" if value < 0 and any(digit in text for digit in "123456789") else text


def _thousands_marks(tokens: list[tuple[str, str]], whole: list[int]) -> set[int]:
    """Return the places of blanks and apostrophes between thousands, which some formats write out."""
    if len(whole) < 4 or len(whole) == whole[-1] - whole[0] + 1:  # noqa: PLR2004 # a thousand has four digits
        return set()
    within = range(whole[0], whole[-1] + 1)
    if not _GROUPED.fullmatch("".join(tokens[index][1] for index in within)):
        return set()
    return {index for index in within if tokens[index][0] == "text"}


def _spread(places: list[int], digits: str) -> dict[int, str]:
    """Share the digits out to their places, from the right; the first place has all that is left."""
    shown: dict[int, str] = {}
    for index in reversed(places[1:]):
        shown[index], digits = digits[-1:], digits[:-1]
    shown[places[0]] = digits
    return shown


def _scientific(section: _Section, value: float) -> str:
    mantissa, _, exponent = _halves(section, "exponent")
    decimals = min(sum(text in "0#?" for text in mantissa.partition(".")[2]), _MOST_DECIMALS)
    number, _, power = f"{value:.{decimals}E}".partition("E")
    width = max(sum(text in "0#?" for text in exponent), 1)
    sign = "-" if power.startswith("-") else "+"
    plus = any(kind == "exponent" and "+" in text for kind, text in section.tokens)
    sign = sign if plus or sign == "-" else ""
    return f"{number}E{sign}{power.lstrip('+-').lstrip('0').zfill(width)}"


def _halves(section: _Section, middle: str) -> tuple[str, str, str]:
    """Return the places for digits before and after a mark."""
    before: list[str] = []
    after: list[str] = []
    found = ""
    for kind, text in section.tokens:
        if kind == middle:
            found = text
        elif kind == "digit":
            (after if found else before).append(text)
    return "".join(before), found, "".join(after)


def _fraction(section: _Section, value: float) -> str:
    """Write a fraction with as many digits as its format has places, or with the denominator it names."""
    slash = section.tokens.index(("digit", "/"))
    after = section.tokens[slash + 1 :]
    named = "".join(text for kind, text in after if kind in ("text", "digit") and text.isdigit()).lstrip("0")
    places = max(1, min(sum(kind == "digit" and text in "?#0" for kind, text in after), 5))
    apart = any(kind == "text" and text == " " for kind, text in section.tokens[:slash])
    exact = Fraction(abs(value))
    whole = floor(exact) if apart else 0
    if named and named != "0":
        bottom = int(named[:6])
        top = round((exact - whole) * bottom)
    else:
        nearest = (exact - whole).limit_denominator(10**places - 1)
        top, bottom = nearest.numerator, nearest.denominator
    if apart and top == bottom:
        whole, top = whole + 1, 0
    sign = "-" if value < 0 else ""
    if apart and (not top or whole):
        return f"{sign}{whole} {top}/{bottom}" if top else f"{sign}{whole}"
    return f"{sign}{top}/{bottom}"


# --- dates, times, durations -------------------------------------------------------------------------------


def _date(section: _Section, value: float, *, since_1904: bool) -> str:
    parts = _parts(section)
    decimals = max((len(text) - 1 for kind, text in section.tokens if kind == "fraction"), default=0)
    if any(kind == "elapsed" for kind, _ in section.tokens):
        return _duration(parts, value, decimals)
    if not -1 < value < _DAYS_TO_9999 or value < 0:
        return general(value)
    days = floor(value)
    unit = 10 ** min(decimals, 6)
    ticks = floor((value - days) * _SECOND * unit + 0.5)
    moment = timedelta(days=days, seconds=ticks // unit, microseconds=ticks % unit * (1_000_000 // unit))
    if not since_1904 and days < _LEAP_DAY_THAT_NEVER_WAS - 1:
        moment += timedelta(days=1)
    when = (_FIRST_DAY_1904 if since_1904 else _FIRST_DAY) + moment
    shown: list[str] = []
    if any(part in parts for part in ("year", "month", "day")) and (days or since_1904):
        shown.append(f"{when:%Y}" if parts == ["year"] else f"{when:%Y-%m-%d}")
    time = _time(section, parts, when, decimals)
    if time and not (shown and ticks == 0):
        shown.append(time)
    return " ".join(shown)


def _parts(section: _Section) -> list[str]:
    """Name what the letters stand for; `m` is minutes after hours and before seconds."""
    letters = [text[0].lower() for kind, text in section.tokens if kind in ("date", "elapsed")]
    named = {"y": "year", "e": "year", "d": "day", "h": "hour", "s": "second", "b": "year", "g": ""}
    parts: list[str] = []
    for number, letter in enumerate(letters):
        if letter == "m":
            is_minute = (number > 0 and letters[number - 1] == "h") or "s" in letters[number + 1 : number + 2]
            parts.append("minute" if is_minute or _elapsed_minutes(section, number) else "month")
        elif named[letter]:
            parts.append(named[letter])
    return parts


def _elapsed_minutes(section: _Section, number: int) -> bool:
    return [kind for kind, _ in section.tokens if kind in ("date", "elapsed")][number] == "elapsed"


def _time(section: _Section, parts: list[str], when: datetime, decimals: int) -> str:
    if "hour" not in parts:
        if "minute" not in parts and "second" not in parts:
            return ""
        pieces = [f"{when:%M}"] if "minute" in parts else []
    else:
        noon = any(kind == "noon" for kind, _ in section.tokens)
        padded = any(kind == "date" and text.lower() == "hh" for kind, text in section.tokens)
        hour = (when.hour % 12 or 12) if noon else when.hour
        pieces = [f"{hour:02}" if padded or not noon else str(hour)]
        if "minute" in parts or not noon:
            pieces.append(f"{when:%M}")
    if "second" in parts:
        pieces.append(f"{when:%S}" + (f".{when:%f}"[: decimals + 1] if decimals else ""))
    half = f" {when:%p}" if any(kind == "noon" for kind, _ in section.tokens) and "hour" in parts else ""
    return ":".join(pieces) + half


def _duration(parts: list[str], value: float, decimals: int) -> str:
    unit = 10 ** min(decimals, 6)
    ticks = floor(abs(value) * _SECOND * unit + 0.5)
    seconds, tick = divmod(ticks, unit)
    pieces: list[str] = []
    left = seconds
    for part, length in (("hour", 3600), ("minute", 60), ("second", 1)):
        if part in parts:
            count, left = divmod(left, length)
            pieces.append(f"{count:02}")
    text = ":".join(pieces) + (f".{tick:0{min(decimals, 6)}}" if decimals and "second" in parts else "")
    return f"-{text}" if value < 0 and ticks else text
