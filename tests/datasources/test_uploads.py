"""Uploads: what a file is called and said to be, in a data URI and in a form."""

import base64
from io import BytesIO
from typing import Any

import httpx
import pytest

from llmstack_api.datasources.uploads import (
    MAX_HEAD,
    MAX_PARTS,
    Upload,
    clean_media_type,
    parse_form,
    read_file,
)
from llmstack_api.errors import InvalidInputError, MalformedRequestError

DATA = base64.b64encode(b"hello").decode()


def form(*parts: tuple[str, bytes], end: str = "--b--\r\n") -> dict[str, Any]:
    """Read a form of parts, each given by its headers and its content."""
    body = b"".join(f"--b\r\n{head}\r\n\r\n".encode() + data + b"\r\n" for head, data in parts)
    read: Any = parse_form(body + end.encode(), "multipart/form-data; boundary=b")
    return read["entry_data"]


def sent(parameters: str, *, headers: str = "", data: bytes = b"hello") -> Upload:
    """Read the one file of a form."""
    return form((f'Content-Disposition: form-data; name="file"{parameters}{headers}', data))["file"]


@pytest.mark.parametrize(
    ("head", "name", "media_type"),
    [
        ("text/plain;name=a.txt;base64", "a.txt", "text/plain"),
        ('text/plain;name="q;x.txt";base64', "q;x.txt", "text/plain"),
        (r'text/plain;name="say \"hi\", you.txt";base64', 'say "hi", you.txt', "text/plain"),
        ("text/plain;name=a,b.txt;base64", "a,b.txt", "text/plain"),
        ("text/plain;NAME=na%C3%AFve%3B.txt ; BASE64", "naïve;.txt", "text/plain"),
        ("text/plain;name=a.txt;name=b.txt;base64", "a.txt", "text/plain"),
        ("text/plain;name=..%2F%00a.txt;base64", "a.txt", "text/plain"),
        ('text/plain;name="open;base64', '"open', "text/plain"),
        ("text/plain;charset=latin-1;base64", None, "text/plain;charset=latin-1"),
        (";base64", None, None),
        (";name=;base64", None, None),
        ("text/plain\x00x;base64", None, None),
        ("text/pl\nain;base64", None, None),
        ("téxt/plain;base64", None, None),
        ("\ud800/plain;name=a\ud800.txt;base64", "a.txt", None),
        ("text;base64", None, None),
    ],
)
def test_a_data_uri_says_name_and_type(head: str, name: str | None, media_type: str | None) -> None:
    assert read_file(f"data:{head},{DATA}") == Upload(b"hello", name, media_type)


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
    with pytest.raises(InvalidInputError, match="write a data URI as"):
        read_file(value)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ('; filename="a.txt"', "a.txt"),
        ("; filename=a.txt", "a.txt"),
        ('; filename="say %22hi%22.txt"', 'say "hi".txt'),
        (r'; filename="say \"hi\".txt"', 'say "hi".txt'),
        ('; filename="100%25 a%0D%0Ab.txt"', "100%25 ab.txt"),
        ('; filename="q;x.txt"', "q;x.txt"),
        ('; filename="naïve.txt"', "naïve.txt"),
        ('; filename="C:\\dir\\a.txt"', "a.txt"),
        ('; filename="..%2Fa.txt"', "..%2Fa.txt"),
        ("; filename*=UTF-8''na%C3%AFve%3B%20x.txt", "naïve; x.txt"),
        ("; filename*=utf-8'en'..%2Fa%00.txt", "a.txt"),
        ("; filename*=iso-8859-1''na%EFve.txt", "naïve.txt"),
        ("; filename=\"a.txt\"; filename*=UTF-8''b.txt", "a.txt"),
        ("; filename*=klingon''a.txt", None),
        ('; filename=""', None),
        ("", None),
    ],
)
def test_a_form_says_the_name_in_each_of_the_ways_of_clients(parameters: str, name: str | None) -> None:
    assert sent(parameters) == Upload(b"hello", name, None)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("text/plain", "text/plain"),
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("application/vnd.a+json", "application/vnd.a+json"),
        ("text/plain\x00x", None),
        ("text/plain; charset=\x00", None),
        ("text/plain; charset=\udce9", None),
        ("text/plain/x", None),
        ("plain", None),
        ("", None),
        ("text/plain; x=" + "y" * 300, "text/plain"),
        ("text/" + "x" * 300, None),
    ],
)
def test_a_media_type_is_one_or_nothing(written: str, read: str | None) -> None:
    assert clean_media_type(written) == read


@pytest.mark.parametrize(
    "written", ["text/plain\x00x", "text/\x7fplain", "text/plain; a=é", "te\u2028xt/plain"]
)
def test_a_form_cannot_say_a_type_that_is_none(written: str) -> None:
    upload = sent('; filename="a.txt"', headers=f"\r\nContent-Type: {written}")
    assert upload == Upload(b"hello", "a.txt", None)


def test_a_part_may_be_encoded_as_mail_is() -> None:
    for encoding, data in (("base64", DATA.encode()), ("Quoted-Printable", b"he=6Clo"), ("binary", b"hello")):
        assert sent("", headers=f"\r\nContent-Transfer-Encoding: {encoding}", data=data).data == b"hello"
    with pytest.raises(MalformedRequestError):
        sent("", headers="\r\nContent-Transfer-Encoding: base64", data=b"abc")


def test_bytes_of_any_kind_arrive_as_they_are() -> None:
    data = bytes(range(256)) * 5000 + b"\r\n--b" * 3 + b"\r\n-- b--\r\n\r\n"
    files = {"file": ("a.bin", BytesIO(data), "application/octet-stream")}
    request = httpx.Request("POST", "http://x.test", files=files, data={"name": "a"})
    read = parse_form(request.read(), request.headers["content-type"])
    assert read == {"entry_data": {"name": "a", "file": Upload(data, "a.bin", "application/octet-stream")}}


def test_a_file_field_in_which_none_was_chosen_is_no_file() -> None:
    assert form(
        ('Content-Disposition: form-data; name="file"; filename=""', b""),
        ('Content-Disposition: form-data; name="content"', "è".encode()),
    ) == {"content": "è"}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([('Content-Disposition: form-data; name="name"', b"a")] * 2, "is there twice"),
        ([(f'Content-Disposition: form-data; name="{n}"', b"a") for n in range(MAX_PARTS + 1)], "more than"),
        ([('Content-Disposition: form-data; name="nobody"', b"a")], "unknown part"),
        ([("Content-Disposition: form-data", b"a")], "has no name"),
        ([("Content-Type: text/plain", b"a")], "has no name"),
        ([('Content-Disposition: form-data; name="name"', b"\xff")], "no UTF-8"),
        ([('Content-Disposition: form-data; name="name"', b"\x00")], "NUL"),
    ],
    ids=["twice", "many", "unknown", "no name", "no disposition", "no text", "NUL"],
)
def test_parts_that_make_no_sense_are_refused(parts: list[tuple[str, bytes]], said: str) -> None:
    with pytest.raises((InvalidInputError, MalformedRequestError), match=said):
        form(*parts)


def test_a_form_without_boundary_or_end_is_malformed() -> None:
    for content_type in (
        "multipart/form-data",
        "multipart/form-data; boundary=",
        f"multipart/form-data; boundary={'b' * 999}",
    ):
        with pytest.raises(MalformedRequestError, match="no form"):
            parse_form(b"--b--\r\n", content_type)
    with pytest.raises(MalformedRequestError, match="not whole"):
        form(('Content-Disposition: form-data; name="name"', b"a"), end="")
