"""Filters on text."""

import base64
import binascii
import html
import re
import urllib.parse
from collections.abc import Callable
from typing import cast

from llmstack_api.engine.liquid.budget import Budget, size_of, width_of
from llmstack_api.engine.liquid.numbers import whole

_STRING = 84
"""Bytes that a short string in a list fills beside its characters, at most."""
_BLANKS = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
_SPECIAL = str.maketrans(
    {chr(code): f"\\u{code:04X}" for code in (*range(32), *map(ord, "\\'\"<>&=-;`\u2028\u2029"))}
)
_TAG_PAIRS = (
    (re.compile(r"<script", re.IGNORECASE), re.compile(r"</script>", re.IGNORECASE)),
    (re.compile(r"<style", re.IGNORECASE), re.compile(r"</style>", re.IGNORECASE)),
    (re.compile(r"<!--"), re.compile(r"-->")),
    (re.compile(r"<"), re.compile(r">")),
)


def simple(change: Callable[[str], str], *, rate: int, growth: int = 1) -> Callable[[Budget, object], str]:
    """Return a filter without arguments: `rate` is its work a character, `growth` its most."""

    def apply(budget: Budget, value: object) -> str:
        text = budget.text_of(value)
        budget.afford(size_of(text) * growth)
        budget.spend(len(text) * rate)
        return budget.make_text(change(text))

    return apply


def cased(change: Callable[[str], str]) -> Callable[[Budget, object], str]:
    """Return a filter that changes the case of letters."""

    def apply(budget: Budget, value: object) -> str:
        text = budget.text_of(value)
        budget.afford(size_of(text))
        budget.spend(len(text) * (1 if text.isascii() else 20))
        return budget.make_text(change(text))

    return apply


def append(budget: Budget, value: object, suffix: object) -> str:
    """Return the text with another behind it."""
    return concatenated(budget, (budget.text_of(value), budget.text_of(suffix)))


def prepend(budget: Budget, value: object, prefix: object) -> str:
    """Return the text with another before it."""
    return concatenated(budget, (budget.text_of(prefix), budget.text_of(value)))


def concatenated(budget: Budget, texts: tuple[str, ...], separator: str = "") -> str:
    """Return texts joined by a separator."""
    length = sum(map(len, texts)) + len(separator) * max(len(texts) - 1, 0)
    budget.afford(length * max(map(width_of, (separator, *texts))))
    return budget.make_text(separator.join(texts))


def _spend_on_search(budget: Budget, text: str, sought: str) -> None:
    """Pay for the worst case of CPython's search, which compares naively in short texts."""
    if len(sought) == 1:
        budget.spend(len(text))
        return
    naive = len(sought) if len(text) < 2_500 else min(len(sought), 100)  # noqa: PLR2004 # CPython's own threshold
    budget.spend(len(text) * (5 + naive // 6))


def replace(budget: Budget, value: object, old: object, new: object = "") -> str:
    """Return the text with every occurrence of another replaced."""
    text, sought, other = budget.text_of(value), budget.text_of(old), budget.text_of(new)
    _spend_on_search(budget, text, sought)
    count = text.count(sought)
    budget.spend(count * 10)
    length = len(text) + count * (len(other) - len(sought))
    budget.afford(length * max(width_of(text), width_of(other)))
    return budget.make_text(text.replace(sought, other))


def replace_first(budget: Budget, value: object, old: object, new: object = "") -> str:
    """Return the text with the first occurrence of another replaced."""
    text, sought = budget.text_of(value), budget.text_of(old)
    _spend_on_search(budget, text, sought)
    head, found, tail = text.partition(sought) if sought else ("", "", text)
    if sought and not found:
        return text
    return concatenated(budget, (head, budget.text_of(new), tail))


def replace_last(budget: Budget, value: object, old: object, new: object = "") -> str:
    """Return the text with the last occurrence of another replaced."""
    text, sought = budget.text_of(value), budget.text_of(old)
    _spend_on_search(budget, text, sought)
    # str.rfind is quadratic; str.find is not
    place = text[::-1].find(sought[::-1])
    if place < 0:
        return text
    end = len(text) - place
    return concatenated(budget, (text[: end - len(sought)], budget.text_of(new), text[end:]))


def remove(budget: Budget, value: object, unwanted: object) -> str:
    """Return the text without any occurrence of another."""
    return replace(budget, value, unwanted)


def remove_first(budget: Budget, value: object, unwanted: object) -> str:
    """Return the text without the first occurrence of another."""
    return replace_first(budget, value, unwanted)


def remove_last(budget: Budget, value: object, unwanted: object) -> str:
    """Return the text without the last occurrence of another."""
    return replace_last(budget, value, unwanted)


def split(budget: Budget, value: object, separator: object = "") -> list[str]:
    """Return the parts between separators; single characters without one, words with a blank."""
    text, between = budget.text_of(value), budget.text_of(separator)
    if not text or text == between:
        return []
    if not between:
        count = len(text)
    elif between == " ":
        count = _count_blanks(budget, text) + 1
    else:
        _spend_on_search(budget, text, between)
        count = text.count(between) + 1
    budget.spend(count * _STRING)
    budget.make(size_of(text) + count * _STRING)
    if not between:
        return list(text)
    return text.split(None if between == " " else between)


def slice_(budget: Budget, value: object, start: object, length: object = 1) -> str | list[object]:
    """Return the part of a text or array from a position, counted from the end where it is negative."""
    first, size = whole(start, 0), max(whole(length, 1), 0)
    if not isinstance(value, list | range):
        text = budget.text_of(value)
        begin, end = _bounds(first, size, len(text))
        return budget.make_text(text[begin:end])
    elements = cast("list[object] | range", value)
    begin, end = _bounds(first, size, length_of(elements))
    budget.make(8 * (end - begin))
    return list(elements[begin:end])


def length_of(elements: list[object] | range) -> int:
    """Return the length of an array, or of a range that may be longer than `len` can tell."""
    return max(elements.stop - elements.start, 0) if isinstance(elements, range) else len(elements)


def _bounds(start: int, size: int, length: int) -> tuple[int, int]:
    begin = start if start >= 0 else start + length
    if not 0 <= begin <= length:
        return 0, 0
    return begin, min(begin + size, length)


def truncate(budget: Budget, value: object, length: object = 50, ellipsis_: object = "...") -> str:
    """Return at most `length` characters, the ellipsis included."""
    text, end = budget.text_of(value), budget.text_of(ellipsis_)
    size = whole(length, 50)
    if len(text) <= size:
        return text
    return concatenated(budget, (text[: max(size - len(end), 0)], end))


def truncate_words(budget: Budget, value: object, count: object = 15, ellipsis_: object = "...") -> str:
    """Return at most `count` words, an ellipsis behind them where there were more."""
    text, end = budget.text_of(value), budget.text_of(ellipsis_)
    most = max(whole(count, 15), 1)
    budget.spend(len(text) * 20)
    budget.afford(_STRING * min(most, len(text) // 2 + 1))
    words = text.split(None, most) if most < len(text) else text.split()
    if len(words) <= most:
        return budget.make_text(" ".join(words))
    return concatenated(budget, (" ".join(words[:most]), end))


def squish(budget: Budget, value: object) -> str:
    """Return the text with every run of blanks made one, and without those at its ends."""
    text = budget.text_of(value)
    budget.afford(size_of(text) + _STRING * _count_blanks(budget, text))
    return budget.make_text(" ".join(text.split()))


def _count_blanks(budget: Budget, text: str) -> int:
    budget.spend(len(text) * 25)
    return sum(map(text.count, _BLANKS))


def _break_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "<br />\n")


def _strip_newlines(text: str) -> str:
    return text.replace("\r\n", "").replace("\n", "")


def escape_once(budget: Budget, value: object) -> str:
    """Return the text escaped for HTML, what is escaped already left as it is."""
    text = budget.text_of(value)
    entities = text.count("&")
    budget.spend(entities * 1_000)
    budget.afford(size_of(text) + _STRING * 2 * entities)
    return escape(budget, budget.make_text(html.unescape(text)))


def _escape_script(text: str) -> str:
    return text.translate(_SPECIAL)


def strip_html(budget: Budget, value: object) -> str:
    """Return the text without HTML tags, comments, scripts and styles."""
    text = budget.text_of(value)
    tags = text.count("<")
    budget.spend(tags * 2_000)
    budget.afford(size_of(text) + _STRING * tags)
    return budget.make_text(_strip_tags(text))


def _strip_tags(text: str) -> str:
    # every kind of tag that was once found open to the end is not looked for again, so this is linear
    parts: list[str] = []
    never_closed: set[int] = set()
    position = 0
    while (start := text.find("<", position)) >= 0:
        parts.append(text[position:start])
        for number, (opening, closing) in enumerate(_TAG_PAIRS):
            if number in never_closed or not opening.match(text, start):
                continue
            end = closing.search(text, start)
            if end:
                position = end.end()
                break
            never_closed.add(number)
        else:
            return "".join([*parts, text[start:]])
    return "".join([*parts, text[position:]])


def url_decode(budget: Budget, value: object) -> str:
    """Return the text with its percent-encoded parts decoded."""
    text = budget.text_of(value)
    escapes = text.count("%")
    budget.spend(len(text) * 60 + escapes * 450)
    budget.afford(size_of(text) + _STRING * 2 * escapes)
    return storable(budget.make_text(urllib.parse.unquote_plus(text)))


def base64_encode(budget: Budget, value: object) -> str:
    """Return the UTF-8 text in base64."""
    return budget.make_text(base64.b64encode(_utf8(budget, value)).decode())


def base64_url_safe_encode(budget: Budget, value: object) -> str:
    """Return the UTF-8 text in URL-safe base64."""
    return budget.make_text(base64.urlsafe_b64encode(_utf8(budget, value)).decode())


def base64_decode(budget: Budget, value: object) -> str:
    """Return the UTF-8 text that base64 stands for."""
    return _decoded(budget, value, base64.b64decode)


def base64_url_safe_decode(budget: Budget, value: object) -> str:
    """Return the UTF-8 text that URL-safe base64 stands for."""
    return _decoded(budget, value, base64.urlsafe_b64decode)


def _utf8(budget: Budget, value: object) -> bytes:
    text = budget.text_of(value)
    budget.afford(size_of(text) * 2)
    budget.spend(size_of(text) * 5)
    return text.encode()


def _decoded(budget: Budget, value: object, decode: Callable[[str], bytes]) -> str:
    text = budget.text_of(value)
    budget.spend(len(text) * 3)
    try:
        return storable(budget.make_text(decode(text).decode()))
    except binascii.Error:
        raise ValueError("this is no base64") from None
    except UnicodeDecodeError:
        raise ValueError("what the base64 stands for is no UTF-8 text") from None


def storable(text: str) -> str:
    """Return a text that was decoded; raise ValueError where no database could hold it."""
    if "\0" in text:
        raise ValueError("the decoded text holds a NUL character")
    return text


upcase = cased(str.upper)
downcase = cased(str.lower)
capitalize = cased(str.capitalize)
strip = simple(str.strip, rate=1)
lstrip = simple(str.lstrip, rate=1)
rstrip = simple(str.rstrip, rate=1)
strip_newlines = simple(_strip_newlines, rate=10)
newline_to_br = simple(_break_lines, rate=15, growth=7)
escape = simple(html.escape, rate=17, growth=6)
escape_script = simple(_escape_script, rate=60, growth=6)
url_encode = simple(urllib.parse.quote_plus, rate=200, growth=11)
unchanged = simple(str, rate=1)
