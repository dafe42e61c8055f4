"""The filters of templates by name, and how one is called."""

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import orjson
from liquid.builtin.expressions.primitive import Blank, Empty
from liquid.undefined import is_undefined

from llmstack_api.engine.jsontext import check_depth
from llmstack_api.engine.liquid import dates, lists, numbers, texts
from llmstack_api.engine.liquid.budget import Budget, size_of, to_json
from llmstack_api.errors import TemplateError

_CALL = 4_000
"""Work of calling any filter."""
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def default(value: object, fallback: object = "", *, allow_false: object = False) -> object:
    """Return the fallback for nil, false and what is empty."""
    if value is False:
        return value if allow_false is True else fallback
    return fallback if value is None or value in ("", [], {}) else value


def json_text(budget: Budget, value: object) -> str:
    """Return a value as JSON."""
    size = budget.read(value)
    budget.spend(4 * size)
    budget.afford(3 * size)
    return budget.make_text(to_json(value))


def json_value(budget: Budget, value: object) -> object:
    """Return the value that a JSON text stands for; what is no text is returned as it is.

    Raises:
        ValueError: the text is no JSON, or nested too deep, or holds a NUL.
    """
    if not isinstance(value, str):
        return value
    # estimates from above: 160 bytes and 500 ns an element, four times that an object
    elements = value.count(",") + value.count("[") + 4 * value.count("{") + 1
    budget.spend(len(value) * 10 + 500 * elements)
    budget.make(size_of(value) + 160 * elements)
    try:
        found: object = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"this is no JSON: {error}") from None
    if _ESCAPED_NUL.search(value):
        raise ValueError("the JSON holds a NUL character")
    check_depth(found)
    return found


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter: a function of the value and its arguments, and whether a budget goes before these."""

    function: Callable[..., object]
    paid: bool

    def check(self, name: str, positional: int, keywords: Iterable[str]) -> None:
        """Raise TypeError where the filter cannot take these arguments."""
        least, most, known = _arity(self.function, 2 if self.paid else 1)
        if not least <= positional <= most:
            expected = f"{least}" if least == most else f"{least} to {most}"
            raise TypeError(f"filter '{name}' takes {expected} argument{'s' * (most != 1)}, not {positional}")
        for keyword in keywords:
            if keyword not in known:
                raise TypeError(f"filter '{name}' has no argument named '{keyword}'")


@functools.cache
def _arity(function: Callable[..., object], skipped: int) -> tuple[int, int, frozenset[str]]:
    parameters = list(inspect.signature(function).parameters.values())[skipped:]
    positional = [item for item in parameters if item.kind is item.POSITIONAL_OR_KEYWORD]
    required = sum(item.default is item.empty for item in positional)
    named = frozenset(item.name for item in parameters if item.kind is item.KEYWORD_ONLY)
    return required, len(positional), named


_FREE: Mapping[str, Callable[..., object]] = {
    "abs": numbers.absolute,
    "at_least": numbers.at_least,
    "at_most": numbers.at_most,
    "ceil": numbers.ceil,
    "default": default,
    "divided_by": numbers.divided_by,
    "first": lists.first,
    "floor": numbers.floor,
    "last": lists.last,
    "minus": numbers.minus,
    "modulo": numbers.modulo,
    "plus": numbers.plus,
    "round": numbers.round_,
    "size": lists.size,
    "times": numbers.times,
}
_PAID: Mapping[str, Callable[..., object]] = {
    "append": texts.append,
    "base64_decode": texts.base64_decode,
    "base64_encode": texts.base64_encode,
    "base64_url_safe_decode": texts.base64_url_safe_decode,
    "base64_url_safe_encode": texts.base64_url_safe_encode,
    "capitalize": texts.capitalize,
    "compact": lists.compact,
    "concat": lists.concat,
    "date": dates.format_date,
    "downcase": texts.downcase,
    "escape": texts.escape,
    "escape_once": texts.escape_once,
    "escapejs": texts.escape_script,
    "find": lists.find,
    "find_index": lists.find_index,
    "has": lists.has,
    "join": lists.join,
    "json": json_text,
    "lstrip": texts.lstrip,
    "map": lists.map_,
    "newline_to_br": texts.newline_to_br,
    "prepend": texts.prepend,
    "reject": lists.reject,
    "remove": texts.remove,
    "remove_first": texts.remove_first,
    "remove_last": texts.remove_last,
    "replace": texts.replace,
    "replace_first": texts.replace_first,
    "replace_last": texts.replace_last,
    "reverse": lists.reverse,
    "rstrip": texts.rstrip,
    "safe": texts.unchanged,
    "slice": texts.slice_,
    "sort": lists.sort,
    "sort_natural": lists.sort_natural,
    "split": texts.split,
    "squish": texts.squish,
    "strip": texts.strip,
    "strip_html": texts.strip_html,
    "strip_newlines": texts.strip_newlines,
    "sum": lists.sum_,
    "to_dict": json_value,
    "to_json": json_text,
    "to_string": texts.unchanged,
    "todict": json_value,
    "tojson": json_text,
    "tostring": texts.unchanged,
    "truncate": texts.truncate,
    "truncatewords": texts.truncate_words,
    "uniq": lists.uniq,
    "upcase": texts.upcase,
    "url_decode": texts.url_decode,
    "url_encode": texts.url_encode,
    "urlencode": texts.url_encode,
    "where": lists.where,
}
FILTERS: Mapping[str, Filter] = {name: Filter(function, paid=False) for name, function in _FREE.items()} | {
    name: Filter(function, paid=True) for name, function in _PAID.items()
}


def call_filter(
    name: str, budget: Budget, value: object, arguments: Iterable[object], keywords: Mapping[str, object]
) -> object:
    """Apply a filter to a value.

    Raises:
        TemplateError: it cannot be applied, or costs more than is left.
    """
    found = FILTERS[name]
    paid = (budget,) if found.paid else ()
    named = {key: plain(argument) for key, argument in keywords.items()}
    try:
        budget.spend(_CALL)
        return found.function(*paid, plain(value), *map(plain, arguments), **named)
    except TemplateError as error:
        raise TemplateError(f"filter '{name}': {error}") from None
    except ArithmeticError as error:
        raise TemplateError(f"filter '{name}': the result cannot be computed") from error
    except (LookupError, RecursionError, TypeError, ValueError) as error:
        raise TemplateError(f"filter '{name}': {error}") from error


def plain(value: object) -> object:
    """Return what a filter sees of the values that only python-liquid knows."""
    if is_undefined(value):
        return None
    return "" if isinstance(value, Empty | Blank) else value
