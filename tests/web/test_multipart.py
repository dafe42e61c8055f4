"""Forms: names, types and data in each of the ways of clients, and what is no form."""

import base64
from io import BytesIO

import httpx
import pytest
import requests

from llmstack_api.engine.ports import File
from llmstack_api.engine.sent import FormText, SentFile
from llmstack_api.errors import InvalidInputError, MalformedRequestError
from llmstack_api.web.multipart import MAX_PARTS, Part, form_identity, read_parts

DATA = base64.b64encode(b"hello").decode()


def form(*parts: tuple[str, bytes], end: str = "--b--\r\n") -> list[Part]:
    """Read a form of parts, each given by its headers and its content."""
    body = b"".join(f"--b\r\n{head}\r\n\r\n".encode() + data + b"\r\n" for head, data in parts)
    return read_parts("multipart/form-data; boundary=b", body + end.encode())


def sent(parameters: str, *, headers: str = "", data: bytes = b"hello") -> File:
    """Read the one file of a form."""
    (part,) = form((f'Content-Disposition: form-data; name="file"{parameters}{headers}', data))
    return part.file


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
    assert sent(parameters) == File(b"hello", name, None)


@pytest.mark.parametrize(
    "written", ["text/plain\x00x", "text/\x7fplain", "text/plain; a=é", "te\u2028xt/plain"]
)
def test_a_form_cannot_say_a_type_that_is_none(written: str) -> None:
    file = sent('; filename="a.txt"', headers=f"\r\nContent-Type: {written}")
    assert file == File(b"hello", "a.txt", None)


def test_a_part_may_be_encoded_as_mail_is() -> None:
    for encoding, data in (("base64", DATA.encode()), ("Quoted-Printable", b"he=6Clo"), ("binary", b"hello")):
        assert sent("", headers=f"\r\nContent-Transfer-Encoding: {encoding}", data=data).data == b"hello"
    with pytest.raises(MalformedRequestError):
        sent("", headers="\r\nContent-Transfer-Encoding: base64", data=b"abc")


def test_bytes_of_any_kind_arrive_as_they_are_from_httpx_and_from_requests() -> None:
    data = bytes(range(256)) * 5000 + b"\r\n--b" * 3 + b"\r\n-- b--\r\n\r\n"
    kind = "application/octet-stream"
    of_httpx = httpx.Request(
        "POST", "http://x.test", files={"file": ("a.bin", BytesIO(data), kind)}, data={"name": "a"}
    )
    of_requests = requests.Request(
        "POST", "http://x.test", files={"file": ("a.bin", BytesIO(data), kind)}, data={"name": "a"}
    ).prepare()
    assert isinstance(of_requests.body, bytes)
    for content_type, body in (
        (of_httpx.headers["content-type"], of_httpx.read()),
        (str(of_requests.headers["Content-Type"]), of_requests.body),
    ):
        assert read_parts(content_type, body) == [
            Part("name", File(b"a"), has_file_name=False),
            Part("file", File(data, "a.bin", kind), has_file_name=True),
        ]


def test_a_field_in_which_no_file_was_chosen_can_be_told_from_an_empty_text_and_an_empty_file() -> None:
    parts = form(
        ('Content-Disposition: form-data; name="none"; filename=""', b""),
        ('Content-Disposition: form-data; name="text"', b""),
        ('Content-Disposition: form-data; name="empty"; filename="a.txt"', b""),
    )
    assert [part.is_unchosen for part in parts] == [True, False, False]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([('Content-Disposition: form-data; name="a"', b"a")] * 2, "a: is there twice"),
        (
            [(f'Content-Disposition: form-data; name="{n}"', b"a") for n in range(MAX_PARTS + 1)],
            f"body: has more than {MAX_PARTS} parts",
        ),
        ([("Content-Disposition: form-data", b"a")], "has no name"),
        ([("Content-Type: text/plain", b"a")], "has no name"),
    ],
    ids=["twice", "many", "no name", "no disposition"],
)
def test_parts_that_make_no_sense_are_refused(parts: list[tuple[str, bytes]], said: str) -> None:
    with pytest.raises((InvalidInputError, MalformedRequestError), match=said):
        form(*parts)


@pytest.mark.parametrize(("data", "said"), [(b"\xff", "is no UTF-8"), (b"a\x00", "holds a NUL character")])
def test_a_part_that_is_no_text_is_refused_by_its_name(data: bytes, said: str) -> None:
    (part,) = form(('Content-Disposition: form-data; name="question"', data))

    with pytest.raises(InvalidInputError, match=f"^question: {said}"):
        part.text()
    with pytest.raises(InvalidInputError, match=f"^input.question: {said}"):
        part.text("input.question")


def test_a_form_without_boundary_or_end_is_malformed() -> None:
    for content_type in (
        "multipart/form-data",
        "multipart/form-data; boundary=",
        f"multipart/form-data; boundary={'b' * 999}",
    ):
        with pytest.raises(MalformedRequestError, match="no form"):
            read_parts(content_type, b"--b--\r\n")
    with pytest.raises(MalformedRequestError, match="not whole"):
        form(('Content-Disposition: form-data; name="name"', b"a"), end="")


def test_forms_are_the_same_where_their_names_texts_and_files_are() -> None:
    file = File(b"hello", "a.txt", "text/plain")
    same = [form_identity({"text": FormText("1", 1), "file": SentFile.of(file), "raw": file}) for _ in "ab"]

    assert same[0] == same[1]
    for other in (File(b"hullo", "a.txt", "text/plain"), File(b"hello", "b.txt"), File(b"hello", "a.txt")):
        assert form_identity(SentFile.of(other)) != form_identity(SentFile.of(file))
        assert form_identity(other) != form_identity(file)
    assert form_identity(FormText("1.0", 1.0)) != form_identity(FormText("1", 1))
