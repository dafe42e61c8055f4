"""Which files a field takes."""

from typing import Any

import pytest
from pydantic import ValidationError

from llmstack_api.engine.definition import InputField
from llmstack_api.engine.filetypes import VOICE, is_accepted


@pytest.mark.parametrize(
    ("accept", "name", "media_type", "fits"),
    [
        ("application/pdf", None, "application/pdf", True),
        ("application/pdf", "a.pdf", None, True),
        ("application/pdf", "a.PDF", "application/octet-stream", True),
        ("application/pdf", "a.pdf", "text/plain", False),
        ("application/pdf", None, None, False),
        ("image/*", "a.jpeg", "Image/JPEG; q=1", True),
        ("image/*", "a.webp", None, True),
        ("image/*", "image", "imagery/png", False),
        ("image/jpeg", None, "image/jpg", True),
        ("audio/wav", "a.wav", "audio/x-wav", True),
        (".csv", "a.csv", "application/vnd.ms-excel", True),
        (".csv", "a.CSV", None, True),
        (".csv", None, "text/csv; charset=utf-8", True),
        (".csv", "csv", None, False),
        (".csv", "a.txt", "text/csv", False),
        (".tar.gz", "a.tar.gz", None, False),
        (".docx", None, "application/vnd.openxmlformats-officedocument.wordprocessingml.document", True),
        (".zz", None, "text/plain", False),
        ("text/*", "notes.md", "application/octet-stream", True),
    ],
)
def test_a_kind_is_told_by_type_and_where_there_is_none_by_name(
    accept: str, name: str | None, media_type: str | None, *, fits: bool
) -> None:
    assert is_accepted([accept], name=name, media_type=media_type) is fits
    assert is_accepted(["font/woff", accept], name=name, media_type=media_type) is fits


@pytest.mark.parametrize(
    ("name", "media_type", "fits"),
    [
        (None, "audio/webm", True),
        (None, "video/webm", True),
        ("a.mp3", "application/octet-stream", True),
        ("a.m4a", None, True),
        ("a.webm", None, True),
        ("a.bin", None, False),
        (None, "video/mp4", False),
        ("a.mp3", "application/pdf", False),
    ],
)
def test_a_voice_is_what_browsers_record_and_any_audio(
    name: str | None, media_type: str | None, *, fits: bool
) -> None:
    assert is_accepted(VOICE, name=name, media_type=media_type) is fits


@pytest.mark.parametrize(
    ("written", "accept"),
    [
        ({"accept": ["Application/PDF", " image/* ", ".CSV"]}, ("application/pdf", "image/*", ".csv")),
        ({"accept": "image/*, application/pdf,"}, ("image/*", "application/pdf")),
        ({"filesAccept": "image/*"}, ("image/*",)),
        ({"accept": ["text/plain", "*/*"]}, None),
        ({"accept": "*"}, None),
        ({"filesAccept": " "}, None),
        ({"accept": None}, None),
        ({}, None),
    ],
)
def test_accept_is_written_as_a_list_or_as_upstream_and_html_write_it(
    written: dict[str, Any], accept: tuple[str, ...] | None
) -> None:
    assert InputField.model_validate({"name": "file", "type": "file", **written}).accept == accept


@pytest.mark.parametrize("key", ["max_bytes", "maxSize", "filesMaxSize"])
def test_the_size_may_have_upstreams_names(key: str) -> None:
    assert InputField.model_validate({"name": "file", "type": "file", key: 2_000_000}).max_bytes == 2_000_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"accept": ["pdf"]},
        {"accept": "text"},
        {"accept": [5]},
        {"accept": 5},
        {"accept": {"image/*": []}},
        {"accept": []},
        {"accept": [".csv"] * 51},
        {"accept": ["." + "x" * 300]},
        {"accept": ["text/plain; charset=utf-8"]},
        {"max_bytes": 0},
        {"max_bytes": "5"},
        {"max_bytes": True},
    ],
    ids=str,
)
def test_what_names_no_kind_or_size_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        InputField.model_validate({"name": "file", "type": "file", **wrong})
