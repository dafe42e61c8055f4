"""Reads the forms that clients send, byte by byte as they stand."""

from dataclasses import dataclass
from email.message import Message
from typing import cast


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a form."""

    name: str
    media_type: str
    data: bytes


def read_form(body: bytes, content_type: str) -> tuple[dict[str, str], dict[str, Upload]]:
    """Read a `multipart/form-data` body: its text fields and its files."""
    boundary = str(_message("content-type", content_type).get_param("boundary"))
    parts = (b"\r\n" + body).split(f"\r\n--{boundary}".encode())
    if parts[0] or not parts[-1].startswith(b"--"):
        raise ValueError("the form is not framed by its boundary")
    fields: dict[str, str] = {}
    files: dict[str, Upload] = {}
    for part in parts[1:-1]:
        head, _, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = (line.partition(":") for line in head.decode().split("\r\n"))
        headers = {name.lower(): value.strip() for name, _, value in lines}
        disposition = _message("content-disposition", headers["content-disposition"])
        name = cast("str", disposition.get_param("name", header="content-disposition"))
        if (file_name := disposition.get_filename()) is None:
            fields[name] = data.decode()
        else:
            files[name] = Upload(file_name, headers.get("content-type", ""), data)
    return fields, files


def _message(header: str, value: str) -> Message:
    message = Message()
    message[header] = value
    return message
