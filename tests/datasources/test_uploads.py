"""Uploads: what the file of an entry is, in JSON and in a form."""

import base64
from typing import Any

import pytest

from llmstack_api.datasources.uploads import parse_form, read_file
from llmstack_api.engine.files import MAX_HEAD
from llmstack_api.engine.ports import File
from llmstack_api.errors import InvalidInputError

DATA = base64.b64encode(b"hello").decode()


def form(*parts: tuple[str, bytes]) -> dict[str, Any]:
    """Read a form of parts, each given by its headers and its content."""
    body = b"".join(f"--b\r\n{head}\r\n\r\n".encode() + data + b"\r\n" for head, data in parts)
    read: Any = parse_form("multipart/form-data; boundary=b", body + b"--b--\r\n")
    return read["entry_data"]


@pytest.mark.parametrize(
    ("value", "file"),
    [
        (DATA, File(b"hello")),
        (f" {DATA[:3]}\r\n{DATA[3:]}\n", File(b"hello")),
        (f"data:text/plain;name=a,b.txt;base64,{DATA}", File(b"hello", "a,b.txt", "text/plain")),
        (f"DATA:;BASE64,{DATA}", File(b"hello")),
        (File(b"hello", "a.txt"), File(b"hello", "a.txt")),
    ],
)
def test_a_file_is_base64_or_a_data_uri_or_the_part_of_a_form(value: str | File, file: File) -> None:
    assert read_file(value) == file


@pytest.mark.parametrize(
    "value",
    [
        f"data:text/plain,{DATA}",
        f"data:text/plain;base64{DATA}",
        f'data:text/plain;name="x;base64",{DATA}',
        f"data:text/plain;name={'x' * MAX_HEAD};base64,{DATA}",
    ],
    ids=["not base64", "no comma", "base64 in a name", "endless"],
)
def test_another_data_uri_is_refused(value: str) -> None:
    with pytest.raises(InvalidInputError, match=r"entry_data\.file: .*write .*data:<mime>"):
        read_file(value)


@pytest.mark.parametrize("value", ["héllo", "aGVsbG8", "aGVs*bG8="])
def test_what_is_no_base64_is_refused(value: str) -> None:
    with pytest.raises(InvalidInputError, match=r"entry_data\.file: is no base64"):
        read_file(value)


@pytest.mark.parametrize("value", ["", "data:text/plain;base64,", File(b"", "a.txt")])
def test_an_empty_file_is_refused(value: str | File) -> None:
    with pytest.raises(InvalidInputError, match="the file is empty"):
        read_file(value)


def test_a_file_field_in_which_none_was_chosen_is_no_file() -> None:
    assert form(
        ('Content-Disposition: form-data; name="file"; filename=""', b""),
        ('Content-Disposition: form-data; name="content"', "è".encode()),
    ) == {"content": "è"}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (('Content-Disposition: form-data; name="nobody"', b"a"), "nobody: unknown part"),
        (('Content-Disposition: form-data; name="name"', b"\xff"), "entry_data.name: is no UTF-8"),
        (('Content-Disposition: form-data; name="name"', b"\x00"), "entry_data.name: holds a NUL"),
        (('Content-Disposition: form-data; name="entry_data"', b"[]"), "entry_data: must be a JSON object"),
        (('Content-Disposition: form-data; name="entry_metadata"', b"{"), "entry_metadata: it is no JSON"),
    ],
    ids=["unknown", "no text", "NUL", "no object", "no JSON"],
)
def test_parts_that_make_no_sense_are_refused(part: tuple[str, bytes], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        form(part)
