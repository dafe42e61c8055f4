"""A model server's refusals and failures, told in errors of ours, its own words shortened and cleaned."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

import orjson

from llmstack_api.errors import ProviderBusyError, ProviderFailedError, ProviderRefusedError, RunError
from llmstack_api.llm.endpoint import Endpoint

MAX_WORDS: Final = 300
"""Characters of a provider's own text that are passed on."""

DEFAULT_RETRY_AFTER: Final = 5.0
"""Seconds until a busy provider may be asked again where it said nothing."""

BUSY: Final = frozenset({429, 529})
"""Statuses that ask for patience; 529 is Anthropic's."""

_LOOKED_AT: Final = 8192
_NESTED: Final = 3
_SHORTEST_SECRET: Final = 4
_LONGEST_RETRY_AFTER: Final = 86_400.0
_SECRETS: Final = (
    re.compile(r"\bbearer\s+[^\s\"',;]+", re.IGNORECASE),
    re.compile(r"\bsk-[^\s\"',;]+", re.IGNORECASE),
    re.compile(r"(?<=key)[\"']?\s*[:=]\s*[\"']?[^\s\"',;]{8,}", re.IGNORECASE),
)


def refused(endpoint: Endpoint, status: int, *, body: bytes, retry_after: float | None) -> RunError:
    """Make the error for an answer that is no success."""
    words = own_words(body, secrets=endpoint.secrets)
    if status in BUSY:
        error = ProviderBusyError(f"{endpoint.name} is too busy (HTTP {status}).{words}")
        error.retry_after = DEFAULT_RETRY_AFTER if retry_after is None else retry_after
        return error
    if 300 <= status < 400:  # noqa: PLR2004 # redirects
        return ProviderFailedError(
            f"{endpoint.name} answered with a redirect (HTTP {status}), which is not followed."
        )
    if 400 <= status < 500:  # noqa: PLR2004 # refusals
        return ProviderRefusedError(f"{endpoint.name} refused the request (HTTP {status}).{words}")
    return ProviderFailedError(f"{endpoint.name} failed (HTTP {status}).{words}")


def failed_midway(endpoint: Endpoint, event: object, *, busy: bool = False) -> RunError:
    """Make the error for an error object where an answer was due."""
    words = own_words(event, secrets=endpoint.secrets)
    if busy:
        return ProviderBusyError(f"{endpoint.name} is too busy.{words}", retry_after=DEFAULT_RETRY_AFTER)
    return ProviderFailedError(f"{endpoint.name} reported an error.{words}")


def own_words(said: object, *, secrets: Sequence[str] = ()) -> str:
    """Give what a provider said of an error, marked as its own; empty where it said nothing.

    `said` is a body or JSON, `secrets` what must not be passed on.
    """
    raw = _message(said)
    # Before the search for secrets: a character that is not seen could hide one.
    text = "".join(character for character in " ".join(raw[:_LOOKED_AT].split()) if character.isprintable())
    known = [secret for secret in secrets if len(secret) >= _SHORTEST_SECRET]
    for secret in known:
        text = text.replace(secret, "***")
    if known and len(raw) > _LOOKED_AT:
        # What was cut off may have been the rest of a secret.
        text = text[: -max(map(len, known))]
    for pattern in _SECRETS:
        text = pattern.sub("***", text)
    if len(text) > MAX_WORDS:
        text = text[: MAX_WORDS - 1] + "…"
    return f' It said: "{text}"' if text else ""


def parse_retry_after(value: str | None) -> float | None:
    """Read a Retry-After header, seconds or a date, as seconds from now; None where it makes no sense."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER) if math.isfinite(seconds) else None


def _message(said: object) -> str:
    """Find the text in what a provider said."""
    if isinstance(said, bytes):
        try:
            return _message(orjson.loads(said))
        except orjson.JSONDecodeError:
            text = said.decode(errors="replace")
            return "" if text.lstrip().startswith("<") else text
    for _ in range(_NESTED):
        if isinstance(said, dict):
            fields = cast("dict[str, Any]", said)
            said = next((fields[name] for name in ("error", "message", "detail") if fields.get(name)), fields)
    if said is None or isinstance(said, str):
        return said or ""
    try:
        return orjson.dumps(said).decode()
    except orjson.JSONEncodeError:
        return ""
