"""Filters on numbers: decimal arithmetic, results within 64 bits."""

import math
from collections.abc import Callable
from decimal import Decimal

Number = int | float

_LONGEST = 40
"""Most characters of a text that is taken for a number."""
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1


def number(value: object) -> Number:
    """Return a value as a number; what is none counts as 0, as Liquid has it.

    Raises:
        ValueError: it is infinite or beyond 64 bits.
    """
    found = _parsed(value)
    return 0 if found is None else within(found)


def whole(value: object, default: int) -> int:
    """Return an argument as a whole number; the default where it was left out.

    Raises:
        ValueError: it is none, or beyond 64 bits.
    """
    if value is None:
        return default
    found = _parsed(value)
    if found is None:
        raise ValueError("a whole number is expected")
    return int(within(found))


def _parsed(value: object) -> Number | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and len(value) <= _LONGEST:
        try:
            return int(value)
        except ValueError:
            pass
        try:
            return float(value)
        except ValueError:
            pass
    return None


def within(result: Number) -> Number:
    """Return a number; raise ValueError where it is beyond what readers of JSON hold."""
    if isinstance(result, float):
        if not math.isfinite(result):
            raise ValueError("the number is not finite")
    elif not _SMALLEST <= result <= _LARGEST:
        raise ValueError("the number does not fit in 64 bits")
    return result


def _of_two(
    exact: Callable[[int, int], int], decimal: Callable[[Decimal, Decimal], Decimal]
) -> Callable[[object, object], Number]:
    """Return a filter of two numbers: whole ones exactly, others in decimals so that 0.1 + 0.2 is 0.3."""

    def apply(value: object, other: object) -> Number:
        left, right = number(value), number(other)
        if isinstance(left, int) and isinstance(right, int):
            return within(exact(left, right))
        return within(float(decimal(Decimal(repr(left)), Decimal(repr(right)))))

    return apply


plus = _of_two(lambda left, right: left + right, lambda left, right: left + right)
minus = _of_two(lambda left, right: left - right, lambda left, right: left - right)
times = _of_two(lambda left, right: left * right, lambda left, right: left * right)
_quotient = _of_two(lambda left, right: left // right, lambda left, right: left / right)
_remainder = _of_two(lambda left, right: left % right, lambda left, right: (left % right + right) % right)


def divided_by(value: object, divisor: object) -> Number:
    """Return the quotient; that of two whole numbers is rounded down."""
    _refuse_zero(divisor)
    return _quotient(value, divisor)


def modulo(value: object, divisor: object) -> Number:
    """Return the remainder of a division."""
    _refuse_zero(divisor)
    return _remainder(value, divisor)


def _refuse_zero(divisor: object) -> None:
    if number(divisor) == 0:
        raise ValueError("division by zero")


def absolute(value: object) -> Number:
    """Return the number without its sign."""
    return within(abs(number(value)))


def at_least(value: object, bound: object) -> Number:
    """Return the larger of two numbers."""
    return max(number(value), number(bound))


def at_most(value: object, bound: object) -> Number:
    """Return the smaller of two numbers."""
    return min(number(value), number(bound))


def ceil(value: object) -> Number:
    """Return the number rounded up."""
    return within(math.ceil(number(value)))


def floor(value: object) -> Number:
    """Return the number rounded down."""
    return within(math.floor(number(value)))


def round_(value: object, digits: object = 0) -> Number:
    """Return the number rounded to so many decimal digits."""
    found, places = number(value), whole(digits, 0)
    if isinstance(found, int):
        return found
    return within(round(found, min(places, 20)) if places > 0 else round(found))


def total(values: list[object]) -> Number:
    """Return the sum of the numbers among values."""
    numbers = [number(value) for value in values]
    if all(isinstance(item, int) for item in numbers):
        return within(sum(numbers))
    return within(float(sum(Decimal(repr(item)) for item in numbers)))
