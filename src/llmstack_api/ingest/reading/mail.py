"""E-mails: the headers that matter, the text, and the names of what is attached."""

import email
import email.header
import email.policy
from email.errors import MessageError
from email.message import EmailMessage, Message
from typing import cast

from llmstack_api.errors import ExtractError
from llmstack_api.ingest.document import Document
from llmstack_api.ingest.reading import html_page
from llmstack_api.ingest.reading.draft import Draft
from llmstack_api.ingest.reading.file import File
from llmstack_api.ingest.reading.source import Source
from llmstack_api.ingest.reading.text import decode
from llmstack_api.ingest.reading.xml_tree import parse_html

_HEADERS = ("Subject", "From", "To", "Cc", "Date")
_MAX_PARTS = 1_000
_MAX_HEADER = 2_000


def read(file: File) -> Document:
    """Read a message; of alternatives the plain text, or else the HTML."""
    data = file.source.data.lstrip(b"\xef\xbb\xbf\r\n")
    if data.startswith(b"From "):
        data = data.partition(b"\n")[2]
    try:
        message = email.message_from_bytes(data, policy=email.policy.compat32)
        parts = list(_parts(message))
    except (MessageError, RecursionError, ValueError) as error:
        raise ExtractError("The message cannot be read.", code="corrupt") from error
    draft = Draft()
    headers = {name: _header(message, name) for name in _HEADERS}
    draft.block("\n".join(f"{name}: {value}" for name, value in headers.items() if value))
    attached: list[str] = []
    for part in parts:
        name = _file_name(part)
        if name or part.get_content_disposition() == "attachment" or part.get_content_maintype() != "text":
            attached.append(name or part.get_content_type())
        else:
            _write_part(draft, part)
    draft.block("\n".join(f"Attachment: {name}" for name in attached))
    return draft.finish(file.kind.value, title=headers["Subject"])


def _parts(message: "Message[str, str]", depth: int = 0) -> "list[Message[str, str]]":
    """Parts that are shown, in order: of a multipart/alternative one, of others all; a message in a message too."""
    if depth > 50:  # noqa: PLR2004 # more than any program nests
        raise ValueError("nested too deeply")
    if not message.is_multipart():
        return [message]
    inner = cast("list[Message[str, str]]", message.get_payload())
    if message.get_content_type() == "multipart/alternative":
        kinds = [part.get_content_type() for part in inner]
        if "text/plain" in kinds and _payload(inner[kinds.index("text/plain")]).strip():
            return [inner[kinds.index("text/plain")]]
        return _parts(inner[-1], depth + 1) if inner else []
    found: list[Message[str, str]] = []
    for part in inner:
        found.extend(_parts(part, depth + 1))
        if len(found) > _MAX_PARTS:
            raise ValueError("too many parts")
    return found


def _payload(part: "Message[str, str]") -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _write_part(draft: Draft, part: "Message[str, str]") -> None:
    data = _payload(part)
    if not data.strip():
        return
    charset = part.get_content_charset()
    text = decode(Source(data, media_type=f"text/plain; charset={charset}" if charset else None))
    if part.get_content_subtype() == "html":
        html_page.write(draft, parse_html(text))
    else:
        draft.block(text)


def _header(message: "Message[str, str]", name: str) -> str:
    """Decode a header, whatever state it is in."""
    value = message.get(name)
    if value is None:
        return ""
    pieces: list[str] = []
    try:
        for piece, charset in email.header.decode_header(str(value)[:_MAX_HEADER]):
            if isinstance(piece, bytes):
                pieces.append(_decode_piece(piece, charset))
            else:
                pieces.append(piece)
    except (MessageError, ValueError):
        pieces = [str(value)[:_MAX_HEADER]]
    return " ".join("".join(pieces).split())


def _decode_piece(piece: bytes, charset: str | None) -> str:
    try:
        return piece.decode(charset or "utf-8", "replace")
    except LookupError:
        return piece.decode("latin-1")


def _file_name(part: "Message[str, str]") -> str:
    name = part.get_filename()
    if not name:
        return ""
    holder = EmailMessage(policy=email.policy.compat32)
    holder["Subject"] = name
    return _header(cast("Message[str, str]", holder), "Subject")
