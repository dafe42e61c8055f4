"""Filters on arrays."""

from collections.abc import Callable, Iterator
from typing import cast

from llmstack_api.engine.liquid.budget import PRINTED, Budget, to_json, to_text
from llmstack_api.engine.liquid.numbers import Number, total
from llmstack_api.engine.liquid.texts import concatenated

_COMPARISON = 400
"""Work of comparing two elements, beside their text."""
_ADDITION = 4_000
"""Work of adding an element that is a decimal number in a text."""
_SLOT = 40
"""Bytes that an element of an array fills, at most, beside its text."""
_HASHABLE = (str, int, float, bool, type(None))


def elements_of(budget: Budget, value: object) -> list[object]:
    """Return a value as a flat list, having paid for it: nil is empty, what is no array its only element."""
    budget.read(value)
    if value is None:
        return []
    if isinstance(value, range):
        budget.make(_SLOT * len(value))
        return list(value)
    if isinstance(value, list | tuple):
        flat = _flattened(cast("list[object]", value))
        budget.make(_SLOT * len(flat))
        return flat
    return [value]


def _flattened(values: list[object]) -> list[object]:
    flat: list[object] = []
    for value in values:
        if isinstance(value, list | tuple):
            flat.extend(_flattened(cast("list[object]", value)))
        else:
            flat.append(value)
    return flat


def _property(value: object, key: str) -> object:
    return cast("dict[str, object]", value).get(key) if isinstance(value, dict) else None


def _same(left: object, right: object) -> bool:
    # in Python, true equals 1
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def join(budget: Budget, value: object, separator: object = " ") -> str:
    """Return the elements as one text."""
    between = budget.text_of(separator)
    elements = elements_of(budget, value)
    budget.spend(PRINTED * len(elements))
    texts = tuple(map(to_text, elements))
    return concatenated(budget, texts, between)


def concat(budget: Budget, value: object, other: object) -> list[object]:
    """Return two arrays as one."""
    if not isinstance(other, list | tuple | range):
        raise TypeError("the argument has to be an array")
    return [*elements_of(budget, value), *elements_of(budget, cast("list[object]", other))]


def reverse(budget: Budget, value: object) -> list[object]:
    """Return the elements in reverse order."""
    return elements_of(budget, value)[::-1]


def compact(budget: Budget, value: object, key: object = None) -> list[object]:
    """Return the elements that are not nil, or whose property is not."""
    name = None if key is None else budget.text_of(key)
    return [
        item
        for item in elements_of(budget, value)
        if (item if name is None else _property(item, name)) is not None
    ]


def map_(budget: Budget, value: object, key: object) -> list[object]:
    """Return a property of each element."""
    name = budget.text_of(key)
    return [_property(item, name) for item in elements_of(budget, value)]


def sum_(budget: Budget, value: object, key: object = None) -> Number:
    """Return the sum of the elements, or of a property of each."""
    values = elements_of(budget, value) if key is None else map_(budget, value, key)
    budget.spend(_ADDITION * len(values))
    return total(values)


def sort(budget: Budget, value: object, key: object = None) -> list[object]:
    """Return the elements in ascending order, by a property if one is named; nil comes last."""
    return _sorted(budget, value, key, lambda found: found)


def sort_natural(budget: Budget, value: object, key: object = None) -> list[object]:
    """Return the elements in the order of their text, capitals as small letters."""
    return _sorted(budget, value, key, lambda found: to_text(found).lower())


def _sorted(budget: Budget, value: object, key: object, rank: Callable[[object], object]) -> list[object]:
    values = elements_of(budget, value)
    budget.make(2 * _SLOT * len(values))
    budget.spend((budget.read(values) + _COMPARISON // 10 * len(values)) * len(values).bit_length())
    ranked: list[tuple[object, object]] = []
    last: list[object] = []
    name = None if key is None else budget.text_of(key)
    for item in values:
        found = item if name is None else _property(item, name)
        if found is None:
            last.append(item)
        else:
            ranked.append((rank(found), item))
    try:
        ranked.sort(key=lambda pair: pair[0])  # type: ignore[arg-type,return-value] # a TypeError says what cannot be compared
    except TypeError:
        raise TypeError("elements of different kinds have no order") from None
    return [item for _, item in ranked] + last


def uniq(budget: Budget, value: object, key: object = None) -> list[object]:
    """Return the elements without those that came before, or whose property did."""
    kept: list[object] = []
    seen: set[object] = set()
    name = None if key is None else budget.text_of(key)
    values = elements_of(budget, value)
    budget.spend(_COMPARISON * len(values))
    budget.make(4 * _SLOT * len(values))
    for item in values:
        found = item if name is None else _property(item, name)
        # numbers, booleans and texts that look alike are not the same
        mark = (
            (isinstance(found, bool), found)
            if isinstance(found, _HASHABLE)
            else (None, budget.make_text(to_json(found)))
        )
        if mark not in seen:
            seen.add(mark)
            kept.append(item)
    return kept


def _chosen(budget: Budget, value: object, key: object, target: object) -> Iterator[tuple[int, object, bool]]:
    """Yield (index, element, whether its property is the target, or true where there is no target)."""
    name = budget.text_of(key)
    values = elements_of(budget, value)
    size = budget.read(target)
    for index, item in enumerate(values):
        budget.spend(_COMPARISON + size)
        found = _property(item, name)
        yield index, item, (found not in (None, False)) if target is None else _same(found, target)


def where(budget: Budget, value: object, key: object, target: object = None) -> list[object]:
    """Return the elements whose property is the target, or is set."""
    return [item for _, item, chosen in _chosen(budget, value, key, target) if chosen]


def reject(budget: Budget, value: object, key: object, target: object = None) -> list[object]:
    """Return the elements that `where` would not."""
    return [item for _, item, chosen in _chosen(budget, value, key, target) if not chosen]


def find(budget: Budget, value: object, key: object, target: object = None) -> object:
    """Return the first element whose property is the target, or is set."""
    return next((item for _, item, chosen in _chosen(budget, value, key, target) if chosen), None)


def find_index(budget: Budget, value: object, key: object, target: object = None) -> int | None:
    """Return the position of the element that `find` would return."""
    return next((index for index, _, chosen in _chosen(budget, value, key, target) if chosen), None)


def has(budget: Budget, value: object, key: object, target: object = None) -> bool:
    """Tell whether `find` would return an element."""
    return any(chosen for _, _, chosen in _chosen(budget, value, key, target))


def first(value: object) -> object:
    """Return the first element; of an object, its first key and value."""
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value)
        return next(([key, found] for key, found in pairs.items()), None)
    if isinstance(value, list | tuple | range):
        return next(iter(cast("list[object]", value)), None)
    return None


def last(value: object) -> object:
    """Return the last element."""
    if isinstance(value, list | tuple | range):
        elements = cast("list[object]", value)
        return elements[-1] if elements else None
    return None


def size(value: object) -> int:
    """Return how many characters, elements or keys there are."""
    if isinstance(value, range):
        return max(value.stop - value.start, 0)
    return len(cast("str", value)) if isinstance(value, str | list | tuple | dict) else 0
