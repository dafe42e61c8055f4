"""E-mails: the headers that matter, the text, and the names of what is attached."""

import email
import email.header
import email.policy
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import MessageError
from email.header import Header
from email.message import EmailMessage, Message
from email.policy import Compat32
from typing import Any, TypeAlias, cast

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading.charsets.decoding import decode
from llmstack_api.ingest.reading.draft import Draft, clean
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.mail.mail_alternatives import is_stub
from llmstack_api.ingest.reading.mail.mail_calendar import read_calendar
from llmstack_api.ingest.reading.mail.mail_flow import unflow
from llmstack_api.ingest.reading.pages import html_page
from llmstack_api.ingest.reading.source import Source
from llmstack_api.ingest.reading.xml_tree import parse_html

_HEADERS = ("Subject", "From", "To", "Cc", "Date")
_SHOWN = {"plain", "html", "calendar"}
"""Kinds of text that programs show although they have a file's name."""
_MAX_PARTS = 1_000
_MAX_DEPTH = 50
"""Parts within parts; more than any program nests."""
_MAX_HEADER = 2_000
_MAX_SOURCE = 4_000

Mail: TypeAlias = "Message[str, str]"


class _Bounded(Compat32):
    """Cuts headers before they are parsed, which takes the square of their length."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_MAX_SOURCE]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part that is shown: its content, or the headers of a message within the message."""

    part: Mail
    headers_only: bool = False


def read(file: File) -> Document:
    """Read a message; of alternatives the plain text, or the HTML where the plain text is but a stub."""
    data = file.source.data.lstrip(b"\xef\xbb\xbf\r\n")
    if data.startswith(b"From "):
        data = data.partition(b"\n")[2]
    try:
        message = email.message_from_bytes(data, policy=_Bounded())
        pieces = list(_pieces(message, 0))
    except (MessageError, RecursionError, ValueError) as error:
        raise ExtractError("The message cannot be read.", code="corrupt") from error
    draft = Draft()
    draft.block(_headers(message))
    attached: list[str] = []
    for piece in pieces:
        part = piece.part
        name = _file_name(part)
        if piece.headers_only:
            draft.block(_headers(part))
            continue
        shown = _is_shown(part, name)
        if shown:
            _write(draft, part)
        if name or not shown:
            attached.append(name or part.get_content_type())
    draft.block("\n".join(f"Attachment: {name}" for name in attached))
    return draft.finish(file.kind.value, title=_header(message, "Subject"))


def _is_shown(part: Mail, name: str) -> bool:
    """Whether a part is text that programs show within the message; it may have a name if it says that it is inline."""
    disposition = part.get_content_disposition()
    if part.get_content_maintype() != "text" or disposition == "attachment":
        return False
    return not name or (disposition == "inline" and part.get_content_subtype() in _SHOWN)


# --- parts -----------------------------------------------------------------------------------------------


def _pieces(message: Mail, depth: int) -> list[_Piece]:
    """Parts that are shown, in order: of a multipart/alternative one, of others all; a message in a message too."""
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if not message.is_multipart():
        return [_Piece(message)]
    inner = cast("list[Mail]", message.get_payload())
    if message.get_content_type() == "multipart/alternative":
        inner = _chosen(inner)
    found: list[_Piece] = []
    for part in inner:
        if message.get_content_type() == "message/rfc822":
            found.append(_Piece(part, headers_only=True))
        found.extend(_pieces(part, depth + 1))
        if len(found) > _MAX_PARTS:
            raise ValueError("too many parts")
    return found


def _chosen(alternatives: list[Mail]) -> list[Mail]:
    """Choose among alternatives; what a calendar says of time and place, the others may leave out."""
    plain = next((part for part in alternatives if _is_text(part, "plain") and _text(part).strip()), None)
    rich = next((part for part in reversed(alternatives) if _html(part) is not None), None)
    calendars = [part for part in alternatives if _is_text(part, "calendar")]
    chosen = plain if plain is not None else rich
    if plain is not None and rich is not None and is_stub(_text(plain), _html_text(rich)):
        chosen = rich
    if chosen is None:
        return alternatives[-1:]
    return [chosen, *calendars]


def _is_text(part: Mail, kind: str) -> bool:
    return part.get_content_type() == f"text/{kind}" and part.get_content_disposition() != "attachment"


def _html(part: Mail) -> "Mail | None":
    """Return the HTML of an alternative, which may have its pictures beside it."""
    for count, inner in enumerate(part.walk()):
        if _is_text(inner, "html") and not inner.is_multipart():
            return inner
        if count > _MAX_PARTS:
            break
    return None


def _html_text(part: Mail) -> str:
    """Text of the HTML of an alternative; empty where it has none."""
    html = _html(part)
    draft = Draft()
    try:
        if html is not None:
            _write(draft, html)
        return draft.finish("").text
    except ExtractError as error:
        if error.code == "no-text":
            return ""
        raise


def _payload(part: Mail) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: Mail) -> str:
    """Decode a part; one whose lines were broken for the way gets its paragraphs back."""
    charset = part.get_content_charset()
    text = decode(
        Source(_payload(part), media_type=f"text/plain; charset={charset}" if charset else None)
    ).text
    if part.get_content_subtype() == "plain" and _parameter(part, "format") == "flowed":
        text = unflow(clean(text), delete_space=_parameter(part, "delsp") == "yes")
    return text


def _parameter(part: Mail, name: str) -> str:
    value: Any = part.get_param(name)
    return value.strip().lower() if isinstance(value, str) else ""


def _write(draft: Draft, part: Mail) -> None:
    if not _payload(part).strip():
        return
    kind = part.get_content_subtype()
    if kind == "html":
        html_page.write(draft, parse_html(_text(part)))
    elif kind == "calendar":
        draft.block(read_calendar(clean(_text(part))))
    else:
        draft.block(_text(part))


# --- headers ---------------------------------------------------------------------------------------------


def _headers(message: Mail) -> str:
    values = ((name, _header(message, name)) for name in _HEADERS)
    return "\n".join(f"{name}: {value}" for name, value in values if value)


def _header(message: Mail, name: str) -> str:
    """Decode a header, whatever state it is in."""
    value: Any = message.get(name)
    if value is None:
        return ""
    text = str(value)[:_MAX_HEADER]
    try:
        pieces = list(_decoded(value if isinstance(value, Header) else text))
    except (MessageError, ValueError):
        pieces = [text]
    return " ".join("".join(pieces)[:_MAX_HEADER].split())


def _decoded(value: Header | str) -> Iterator[str]:
    for piece, charset in email.header.decode_header(value):
        yield _decode_piece(piece, charset) if isinstance(piece, bytes) else piece


def _decode_piece(piece: bytes, charset: str | None) -> str:
    """Decode a piece of a header; bytes that no charset is named for are UTF-8, or else Western."""
    try:
        return piece.decode(charset or "utf-8", "replace")
    except LookupError:
        pass
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        return piece.decode("cp1252", "replace")


def _file_name(part: Mail) -> str:
    name = part.get_filename()
    if not name:
        return ""
    holder = EmailMessage(policy=email.policy.compat32)
    holder["Subject"] = name
    return _header(cast("Mail", holder), "Subject")
