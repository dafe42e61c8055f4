"""Targets of links, which are written in brackets after the text that carries them."""

import re
from typing import Final

MAX_TARGET: Final = 500
"""Characters of an address that is still written."""

MAX_INSTRUCTION: Final = 2_000
"""Characters of the instruction of a field that are looked at."""

MAX_FIELDS: Final = 20
"""Fields within fields that are looked at."""

_HYPERLINK = re.compile(r'\s*HYPERLINK\s+(?:"([^"]*)"|([^\s\\"]\S*))', re.IGNORECASE)
_SCHEMES = ("https://", "http://", "mailto:")


def with_target(text: str, target: str | None) -> str:
    """Return what follows the text of a link: its target in brackets, or nothing.

    Nothing is said of a target that is no address of the web or of mail, that is too long to be read, or that
    the text names already.
    """
    address = "".join((target or "").split())
    scheme = next((scheme for scheme in _SCHEMES if address.lower().startswith(scheme)), None)
    if scheme is None or len(address) > MAX_TARGET or not text.strip():
        return ""
    shown = address
    if scheme == "mailto:":
        shown = address[len(scheme) :].partition("?")[0]
        if "@" not in shown:
            return ""
    named, said = _bare(shown), _bare("".join(text.split()))
    if named == said or ("." in named and named in said):
        return ""
    return f"({shown}) " if text[-1].isspace() else f" ({shown})"


def field_target(instruction: str) -> str | None:
    """Return the address that a field leads to, as its instruction says in Word and RTF."""
    found = _HYPERLINK.match(instruction[:MAX_INSTRUCTION])
    return found.group(1) or found.group(2) if found else None


def _bare(address: str) -> str:
    for prefix in (*_SCHEMES, "www."):
        if address.lower().startswith(prefix):
            address = address[len(prefix) :]
    return address.rstrip("/").lower()
