"""What the HTTP processors share: parts of a request made of values, and an answer read."""

from collections.abc import Iterable, Mapping
from typing import Final, cast
from urllib.parse import quote, urlencode

from llmstack_api.engine.ports import HttpAnswer, Json
from llmstack_api.errors import ProcessorInputError
from llmstack_api.processors.values import as_text, aside, read_body

JSON_TYPE: Final = "application/json"
FORM_TYPE: Final = "application/x-www-form-urlencoded"

MAX_DEPTH: Final = 64
"""Deepest nesting of JSON that is read."""

_COOKIE_SEPARATORS: Final = frozenset('()<>@,;:\\"/[]?={} \t')


# --- a request -------------------------------------------------------------------------------------------


def encode_query(values: Mapping[str, Json]) -> str:
    """Write values as a query or a form; a list is its elements, one after the other."""
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        several = cast("list[Json]", value) if isinstance(value, list) else [value]
        pairs += [(name, as_text(element)) for element in several]
    return urlencode(pairs, quote_via=quote)


def add_query(url: str, query: str) -> str:
    """Put a query behind that of an address."""
    address = url.partition("#")[0]
    if not query:
        return address
    if "?" not in address:
        return f"{address}?{query}"
    return f"{address}{query}" if address.endswith(("?", "&")) else f"{address}&{query}"


def refuse_dots(url: str) -> None:
    """Refuse a path that climbs: a value put into it must not lead to another place.

    Raises:
        ProcessorInputError: a segment of the path is `.` or `..`.
    """
    path = url.partition("#")[0].partition("?")[0].partition("://")[2]
    for segment in path.replace("\\", "/").split("/")[1:]:
        if segment.lower().replace("%2e", ".") in {".", ".."}:
            raise ProcessorInputError("A path must not hold `.` or `..` as a segment.")


def cookie_header(cookies: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Make the header of cookies; none where there are none.

    Raises:
        ProcessorInputError: a name or value that would be read as something else.
    """
    written: list[str] = []
    for name, value in cookies:
        if not name or not name.isascii() or not name.isprintable() or _COOKIE_SEPARATORS & set(name):
            raise ProcessorInputError(f"A cookie cannot have the name {name[:80]!r}.")
        if ";" in value or not value.isprintable():
            raise ProcessorInputError(
                f"The value of the cookie {name!r} holds a semicolon, or what cannot be seen."
            )
        written.append(f"{name}={value}")
    return [("Cookie", "; ".join(written))] if written else []


def with_type(headers: list[tuple[str, str]], content_type: str) -> list[tuple[str, str]]:
    """Say what the body is, where the headers do not."""
    if header(headers, "content-type") is None:
        return [*headers, ("Content-Type", content_type)]
    return headers


def header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """Find a header by its lower-case name."""
    return next((value for given, value in headers if given.lower() == name), None)


# --- an answer -------------------------------------------------------------------------------------------


def text_of(answer: HttpAnswer) -> tuple[str, str]:
    """Decode a body, and tell by which encoding; what is no text at all is empty."""
    encoding = answer.charset or "utf-8"
    if answer.charset is None and b"\0" in answer.content[:8192]:
        return "", encoding
    content = answer.content.removeprefix(b"\xef\xbb\xbf") if encoding == "utf-8" else answer.content
    text = content.decode(encoding, errors="replace")
    # No database takes these in a text.
    return text.replace("\0", "\ufffd") if "\0" in text else text, encoding


async def json_of(answer: HttpAnswer) -> Json:
    """Read a body as JSON; None where it is none, or nested deeper or larger than is read."""
    return await aside(_json_of, answer.content)


def _json_of(content: bytes) -> Json:
    value = read_body(content)
    return value if _is_sound(value, MAX_DEPTH) else None


def _is_sound(value: Json, depth: int) -> bool:
    if isinstance(value, str):
        return "\0" not in value
    if isinstance(value, dict):
        members = cast("dict[str, Json]", value)
        return depth > 0 and all(
            "\0" not in key and _is_sound(member, depth - 1) for key, member in members.items()
        )
    if isinstance(value, list):
        return depth > 0 and all(_is_sound(element, depth - 1) for element in cast("list[Json]", value))
    return True


def headers_of(answer: HttpAnswer) -> dict[str, str]:
    """Give the headers by name, several of one name joined."""
    joined: dict[str, str] = {}
    for name, value in answer.headers:
        # Values may hold bytes of any kind; no database takes this one.
        text = value.replace("\0", "")
        key = "-".join(part.capitalize() for part in name.split("-"))
        joined[key] = f"{joined[key]}, {text}" if key in joined else text
    return joined


def cookies_of(answer: HttpAnswer) -> dict[str, str]:
    """Give the cookies that an answer sets, by name."""
    found: dict[str, str] = {}
    for name, value in answer.headers:
        if name.lower() == "set-cookie":
            key, mark, rest = value.partition(";")[0].partition("=")
            if mark and key.strip():
                found[key.strip()] = rest.strip().strip('"')
    return found
