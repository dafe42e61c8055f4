"""Addresses as users and redirects write them: what can be fetched at all, and how they are shown."""

from typing import Final

import httpx

from llmstack_api.errors import AddressRefusedError, Fault, FetchError, InvalidInputError
from llmstack_api.outbound import Egress, check_url

MAX_URL: Final = 2048
"""Characters of an address."""

_SHOWN: Final = 200
_LONGEST_LABEL: Final = 63
_LONGEST_HOST: Final = 253


def parse_address(text: str) -> httpx.URL:
    """Read an address, without its fragment. Whether it may be reached is for the guard to say.

    Raises:
        FetchError: it is malformed, too long, not http(s), or has a host that no name server could know.
    """
    if len(text) > MAX_URL:
        raise FetchError(f"The address is longer than {MAX_URL:,} characters.", code="bad-url")
    try:
        return _checked(httpx.URL(text))
    except (httpx.InvalidURL, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise FetchError(f"The address is malformed: {reason}", code="bad-url") from None


def redirected(url: httpx.URL, location: str) -> httpx.URL:
    """Give the address that an answer's Location leads to, without its fragment.

    Raises:
        FetchError: it leads to none that can be fetched.
    """
    try:
        target = _checked(url.join(location.strip()))
    except (httpx.InvalidURL, ValueError):
        target = None
    if target is None or len(str(target)) > MAX_URL:
        raise FetchError(
            f"{shown(url)} redirects to what is no http:// or https:// address that can be asked.",
            code="bad-redirect",
        )
    return target


def check_entry_url(url: str, egress: Egress, *, loc: str = "entry_data.url") -> None:
    """Refuse an address that could never be fetched, by what is written; the rest is found out by fetching.

    Raises:
        InvalidInputError: it is as `parse_address` refuses it, holds a password, or is literal and not public.
    """
    try:
        check_url(parse_address(url), egress)
    except (AddressRefusedError, FetchError) as error:
        raise InvalidInputError(str(error), faults=(Fault(loc, str(error)),)) from None


def origin(url: httpx.URL) -> str:
    """Give scheme, host and port: what a robots.txt is for."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def shown(url: httpx.URL) -> str:
    """Write an address as it may stand in messages: without its query, which may hold a secret."""
    text = "".join(character for character in origin(url) + url.path if character.isprintable())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _checked(url: httpx.URL) -> httpx.URL:
    if url.scheme not in {"http", "https"}:
        raise ValueError("it must start with http:// or https://.")
    if url.userinfo:
        raise ValueError("it must not hold a user name or password.")
    host = url.raw_host.decode("ascii").removesuffix(".")
    labels = host.split(".")
    # An international name that does not decode fails here rather than in the middle of a call.
    if not url.host or len(host) > _LONGEST_HOST:
        raise ValueError("it has no valid host name.")
    if ":" not in host and not all(0 < len(label) <= _LONGEST_LABEL for label in labels):
        raise ValueError("it has no valid host name.")
    return url.copy_with(fragment=None)
