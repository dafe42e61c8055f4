"""The filter `date`: always in UTC and in the C locale, whatever the machine's own."""

import re
from datetime import UTC, datetime

from llmstack_api.engine.liquid.budget import Budget

_WORK = 120_000
_LONGEST_FORMAT = 200
_LONGEST_DATE = 64
_DIRECTIVE = re.compile(r"%[-_^#]?(.?)", re.DOTALL)
_KNOWN = frozenset("aAbBcdCDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%")
_SPELLINGS = (
    "%Y/%m/%d",
    "%B %d, %Y",
    "%b %d, %Y",
    "%d %B %Y",
    "%d %b %Y",
    "%m/%d/%Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%Y-%m-%d %H:%M:%S %z",
)


def format_date(budget: Budget, value: object, pattern: object) -> object:
    """Return a date as a text, by a strftime pattern; what is no date is returned as it is.

    A date is ISO 8601 or another common spelling, seconds since 1970, or `now` or `today`.

    Raises:
        ValueError: the pattern is too long or has an unknown directive.
    """
    budget.spend(_WORK)
    moment = _moment(value)
    if moment is None or not isinstance(pattern, str) or not pattern:
        return value
    return moment.strftime(_checked(pattern, moment))


def _moment(value: object) -> datetime | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_seconds(value)
    if not isinstance(value, str) or len(value) > _LONGEST_DATE:
        return None
    text = value.strip()
    if text in {"now", "today"}:
        return datetime.now(UTC)
    if text.isascii() and text.isdigit():
        return _from_seconds(int(text))
    return _from_text(text)


def _from_seconds(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _from_text(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = _from_spelling(text)
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)


def _from_spelling(text: str) -> datetime | None:
    for spelling in _SPELLINGS:
        try:
            return datetime.strptime(text, spelling)  # noqa: DTZ007 # the caller makes it UTC
        except ValueError:
            continue
    return None


def _checked(pattern: str, moment: datetime) -> str:
    """Return a pattern that the C library takes, without the widths with which one could fill the memory."""
    if len(pattern) > _LONGEST_FORMAT:
        raise ValueError(f"a date pattern has at most {_LONGEST_FORMAT} characters")

    def check(match: re.Match[str]) -> str:
        letter = match.group(1)
        if letter not in _KNOWN:
            raise ValueError(f"unknown date directive {match.group()!r}")
        return str(int(moment.timestamp())) if letter == "s" else match.group()

    return _DIRECTIVE.sub(check, pattern)
