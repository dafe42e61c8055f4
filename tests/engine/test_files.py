"""Data URIs: what is written is read again, and nothing else is taken for one."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack_api.engine.files import (
    MAX_HEAD,
    MAX_NAME,
    MAX_PERCENT_ENCODED,
    base_name,
    clean_media_type,
    describe_data_uri,
    describe_file,
    is_data_uri,
    read_base64,
    read_data_uri,
    read_head,
    write_data_uri,
)
from llmstack_api.engine.ports import File

DATA = base64.b64encode(b"hello").decode()
LARGE = bytes(range(256)) * 4096
MEDIA_TYPES = [None, "text/plain", "image/svg+xml", "application/vnd.a-b.c", "text/plain;charset=latin-1"]


@given(st.binary(max_size=200), st.none() | st.text(max_size=MAX_NAME), st.sampled_from(MEDIA_TYPES))
def test_what_is_written_is_read_again(data: bytes, name: str | None, media_type: str | None) -> None:
    named = base_name(name) if name else None
    uri = write_data_uri(File(data, named, media_type))

    assert uri.isascii()
    assert read_data_uri(uri) == File(data, named, media_type or "application/octet-stream")
    assert describe_data_uri(uri) == describe_file(read_data_uri(uri))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_words(text: str) -> None:
    for uri in (text, f"data:{text}", f"data:text/plain;{text};base64,{DATA}"):
        try:
            read_data_uri(uri)
        except ValueError as error:
            assert str(error).startswith("is ")  # noqa: PT017 # most texts are read


@pytest.mark.parametrize(
    ("head", "name", "media_type"),
    [
        ("text/plain;name=a.txt;base64", "a.txt", "text/plain"),
        ('text/plain;name="q;x.txt";base64', "q;x.txt", "text/plain"),
        (r'text/plain;name="say \"hi\", you.txt";base64', 'say "hi", you.txt', "text/plain"),
        ("text/plain;name=a,b.txt;base64", "a,b.txt", "text/plain"),
        ("text/plain;NAME=na%C3%AFve%3B.txt ; BASE64 ", "naïve;.txt", "text/plain"),
        ("text/plain;name=100%.txt;base64", "100%.txt", "text/plain"),
        ("text/plain;name=;base64,.txt;base64", None, "text/plain"),
        ("text/plain;name=a.txt;name=b.txt;base64", "a.txt", "text/plain"),
        ("text/plain;name=..%2F%00a.txt;base64", "a.txt", "text/plain"),
        ('text/plain;name="open;base64', '"open', "text/plain"),
        ("text/plain;charset=latin-1;base64", None, "text/plain;charset=latin-1"),
        ("audio/webm;codecs=opus;name=audio_recording.webm;base64", "audio_recording.webm", "audio/webm"),
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
    assert read_data_uri(f" data:{head},{DATA} ") == File(b"hello", name, media_type)


@pytest.mark.parametrize(
    ("uri", "data"),
    [
        ("data:,hello", b"hello"),
        ("data:text/plain,a%20b%2Cc, d", b"a b,c, d"),
        ("data:text/plain,see ;base64, there", b"see ;base64, there"),
        ('data:text/plain;name="x;base64",hello', b"hello"),
        ('data:text/plain;name="a,b.txt",hello', b"hello"),
        ("DATA:text/plain;charset=utf-8,%C3%A9 ", "é".encode()),
    ],
)
def test_data_that_is_not_base64_is_percent_encoded(uri: str, data: bytes) -> None:
    assert read_head(uri).is_base64 is False
    assert read_data_uri(uri).data == data


@pytest.mark.parametrize(
    "text",
    [
        "",
        "data",
        "hello",
        "https://example.com/a.pdf",
        DATA,
        "data:",
        f"data:text/plain;base64{DATA}",
        f"data:text/plain;name={'x' * MAX_HEAD};base64,{DATA}",
        'data:text/plain;name="open,hello',
    ],
)
def test_another_text_is_no_data_uri(text: str) -> None:
    with pytest.raises(ValueError, match="is no data URI: write data:<mime>"):
        read_data_uri(text)


@pytest.mark.parametrize(
    "encoded",
    ["aGVsbG8", "aGVsbG8==", "aGVs*bG8=", "aGV-bG8_", "aGVsbG8=aGVs", "=", "====", "aGVé", "a", "aGVs%3D"],
)
def test_what_is_no_base64_is_refused(encoded: str) -> None:
    for text in (encoded, f"{'AAAA' * 100_000}{encoded}"):
        with pytest.raises(ValueError, match="is no base64"):
            read_base64(text)
        with pytest.raises(ValueError, match="is no base64"):
            describe_data_uri(f"data:;base64,{text}")


def test_padding_stands_at_the_end_alone_wherever_the_data_is_cut() -> None:
    for letters in (262_140, 262_144, 262_148, 524_288):
        for padded in ("QQ==", "QUI="):
            with pytest.raises(ValueError, match="is no base64"):
                read_base64("A" * (letters - 4) + padded + "AAAA")
            assert len(read_base64("A" * (letters - 4) + padded)) == (letters - 4) // 4 * 3 + len(
                base64.b64decode(padded)
            )


@pytest.mark.parametrize("every", [1, 3, 76, 262_143])
def test_white_space_in_base64_does_no_harm(every: int) -> None:
    encoded = base64.b64encode(LARGE[: 4 * every + 5]).decode()
    folded = "\r\n".join(encoded[at : at + every] for at in range(0, len(encoded), every))

    assert read_base64(f" {folded}\t") == LARGE[: 4 * every + 5]


def test_a_large_file_is_described_as_it_is() -> None:
    uri = write_data_uri(File(LARGE, "a.bin", "application/x-a"))
    facts = describe_data_uri(uri)

    assert facts.as_json() == {
        "name": "a.bin",
        "media_type": "application/x-a",
        "size": len(LARGE),
        "sha256": hashlib.sha256(LARGE).hexdigest(),
    }
    assert read_data_uri(uri).data == LARGE


def test_much_percent_encoded_data_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(ValueError, match="too long for a data URI that is not base64"):
        read_data_uri("data:," + "%" * (MAX_PERCENT_ENCODED + 1))


def test_heads_made_to_be_slow_are_refused_like_others() -> None:
    for head in (
        ";" * MAX_HEAD,
        ';a="' * 1024,
        '"' * MAX_HEAD,
        ";" + " " * 4000,
        ';a="\\' * 800,
        "; " * 2000,
    ):
        with pytest.raises(ValueError, match="is no data URI"):
            read_data_uri(f"data:{head}" + head)


@pytest.mark.parametrize(
    ("text", "is_one"), [("data:,", True), (" \nDaTa:", True), ("data :", False), ("a data:", False)]
)
def test_a_data_uri_is_known_by_its_beginning(text: str, *, is_one: bool) -> None:
    assert is_data_uri(text) is is_one


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
    ("name", "base"),
    [
        ("a.txt", "a.txt"),
        ("C:\\dir\\a.txt", "a.txt"),
        ("/etc/passwd", "passwd"),
        ("dir/", None),
        ("\x00\x1f\u202e", None),
        (" a\ud800b\n.txt ", "ab.txt"),
        ("x" * 300, "x" * MAX_NAME),
    ],
)
def test_a_name_is_the_last_part_of_a_path_that_can_be_shown(name: str, base: str | None) -> None:
    assert base_name(name) == base
