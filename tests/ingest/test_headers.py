"""What headers say of a body."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from llmstack_api.ingest.headers import (
    MAX_FILE_NAME,
    charset_of,
    file_name_of,
    media_type_of,
    retry_after_of,
)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, None),
        ("attachment", None),
        ("attachment; filename=report.pdf", "report.pdf"),
        ('attachment; filename="report final.pdf"', "report final.pdf"),
        ('ATTACHMENT; FileName = "a.pdf" ; x=y', "a.pdf"),
        (r'attachment; filename="a \"quoted\" name.txt"', 'a "quoted" name.txt'),
        ('attachment; filename="semi;colon.txt"', "semi;colon.txt"),
        ('attachment; filename="naïve.txt"', "naïve.txt"),
        ("attachment; filename*=UTF-8''%e2%82%ac%20rates.txt", "€ rates.txt"),
        ("attachment; filename*=iso-8859-1'en'%A3%20rates.txt", "£ rates.txt"),
        ("attachment; filename=\"EURO.txt\"; filename*=utf-8''%e2%82%ac.txt", "€.txt"),
        ("attachment; filename*=utf-8''%e2%82%ac.txt; filename=EURO.txt", "€.txt"),
        ("attachment; filename*=koi8-r''%C1.txt; filename=a.txt", "a.txt"),
        ("attachment; filename*=broken.txt; filename=a.txt", "a.txt"),
        ("attachment; filename*=utf-8''%ff.txt", "\ufffd.txt"),
        ("attachment; filename=../../etc/passwd", "passwd"),
        ("attachment; filename*=utf-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
        ('attachment; filename="C:\\\\docs\\\\a.doc"', "a.doc"),
        ('attachment; filename=".."', None),
        ('attachment; filename="a/"', None),
        ('attachment; filename=""', None),
        ('attachment; filename="   "', None),
        ("attachment; filename*=utf-8''a%00%0d%0ab%E2%80%AEtxt.exe", "abtxt.exe"),
        ("attachment; filename=first.txt; filename=second.txt", "first.txt"),
        ('attachment; filename="unclosed.txt', "unclosed.txt"),
        ('attachment; filename="' + "x" * 300 + '.pdf"', "x" * (MAX_FILE_NAME - 4) + ".pdf"),
        ('attachment; filename="' + "x" * 300 + '"', "x" * MAX_FILE_NAME),
        ('attachment; filename="a.' + "x" * 300 + '"', "a." + "x" * (MAX_FILE_NAME - 2)),
    ],
)
def test_a_file_name_is_read_and_made_harmless(header: str | None, name: str | None) -> None:
    assert file_name_of(header) == name


@pytest.mark.parametrize(
    ("header", "media_type", "charset"),
    [
        (None, None, None),
        ("", None, None),
        ("text/html", "text/html", None),
        (" Text/HTML ;charset=UTF-8", "text/html", "utf-8"),
        ('text/plain; x=y; charset="windows-1252"', "text/plain", "windows-1252"),
        ("application/vnd.ms-excel; charset=latin1", "application/vnd.ms-excel", "latin1"),
        ("image/svg+xml", "image/svg+xml", None),
        ("text/html, text/plain", None, None),
        ("nonsense; charset=utf-8", None, "utf-8"),
        ("text/html; charset=x-sjis", "text/html", "cp932"),
        ("text/html; charset=nothing-known", "text/html", None),
        ("text/html; charset=rot13", "text/html", None),
        ("text/html; charset=zip", "text/html", None),
        ("text/html; charset=unicode_escape", "text/html", None),
        ("text/html; charset=unicode-escape", "text/html", None),
        ("text/html; charset=punycode", "text/html", None),
        ("text/html; charset=punycode-", "text/html", None),
        ("text/html; charset=idna_", "text/html", None),
        ("text/html; charset=unicode--escape!", "text/html", None),
        ("text/html; charset=utf-7", "text/html", None),
        ("text/html; charset=" + "x" * 50, "text/html", None),
        ("text/html; charset=utf\0", "text/html", None),
    ],
)
def test_a_content_type_is_read(header: str | None, media_type: str | None, charset: str | None) -> None:
    assert media_type_of(header) == media_type
    assert charset_of(header) == charset


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("7", 7.0),
        ("-7", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 99 Oct 99999 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_from_now(header: str | None, seconds: float | None) -> None:
    assert retry_after_of(header) == seconds


def test_retry_after_may_be_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 <= (retry_after_of(later) or 0) <= 30
