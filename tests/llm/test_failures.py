"""A provider's refusals in our errors, and its words without secrets."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from llmstack_api.errors import ProviderBusyError, ProviderFailedError, ProviderRefusedError
from llmstack_api.llm.endpoint import Endpoint
from llmstack_api.llm.failures import own_words, parse_retry_after, refused

KEY = "xq-secret-key-0123456789"
ENDPOINT = Endpoint(name="The server", base_url=httpx.URL("http://server/v1"), key=KEY)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ProviderRefusedError),
        (401, ProviderRefusedError),
        (403, ProviderRefusedError),
        (404, ProviderRefusedError),
        (413, ProviderRefusedError),
        (422, ProviderRefusedError),
        (429, ProviderBusyError),
        (302, ProviderFailedError),
        (500, ProviderFailedError),
        (503, ProviderFailedError),
        (504, ProviderFailedError),
    ],
)
def test_each_status_has_its_error(status: int, kind: type[Exception]) -> None:
    error = refused(ENDPOINT, status, body=b"", retry_after=None)
    assert type(error) is kind
    assert str(status) in str(error)


def test_a_busy_provider_always_says_when_to_come_back() -> None:
    assert refused(ENDPOINT, 429, body=b"", retry_after=None).retry_after == 5.0
    assert refused(ENDPOINT, 429, body=b"", retry_after=0.0).retry_after == 0.0
    assert refused(ENDPOINT, 429, body=b"", retry_after=99.5).retry_after == 99.5


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": {"message": "no\\n  such\\tmodel", "code": 1}}', "no such model"),
        (b'{"error": "plain"}', "plain"),
        (b'{"message": "here"}', "here"),
        (b'{"detail": [{"msg": "bad"}]}', '[{"msg":"bad"}]'),
        (b"just text", "just text"),
        (b"\xff\xfe text", "\ufffd\ufffd text"),
        (b'{"error": {"message": "a\\u0000b\\u001b[31mc\\u200bd\\u202ee"}}', "ab[31mcde"),
        (b'{"error": {"message": null, "code": "x"}}', '{"message":null,"code":"x"}'),
    ],
)
def test_a_providers_words_are_marked_as_its_own(body: bytes, words: str) -> None:
    assert own_words(body, secrets=()) == f' It said: "{words}"'


@pytest.mark.parametrize("body", [b"", b"  \n", b"null", b"<html><h1>502</h1></html>"])
def test_where_a_provider_said_nothing_nothing_is_told(body: bytes) -> None:
    assert own_words(body, secrets=()) == ""


def test_words_are_short() -> None:
    words = own_words(b"x" * 10_000, secrets=())
    assert len(words) < 320
    assert words.endswith('…"')


@pytest.mark.parametrize(
    "said",
    [
        f"Incorrect API key provided: {KEY}.",
        f"Authorization: Bearer {KEY}",
        "bearer abc.def.ghi is wrong",
        "key sk-abcdefghijklmnop was revoked",
        "your key sk-proj-****************mnop",
        f"x{KEY}x",
        f"{KEY[:10]}\u200b{KEY[10:]} and {KEY[:4]}\0{KEY[4:]}",
        "x" * 290 + f" {KEY}",
        'api_key="0123456789abcdef"',
        "API-Key: 0123456789abcdef",
    ],
)
def test_no_secret_is_in_a_providers_words(said: str) -> None:
    words = own_words({"error": {"message": said}}, secrets=[KEY])
    assert "***" in words
    for secret in (KEY, "secret-key", "abc.def", "abcdefghijk", "mnop", "0123456789abc"):
        assert secret not in words


@pytest.mark.parametrize("start", range(8192 - len(KEY), 8193))
def test_a_key_that_is_cut_in_two_is_not_shown(start: int) -> None:
    words = own_words((" " * start + KEY).encode(), secrets=[KEY])
    assert words in {"", ' It said: "***"'}


def test_words_are_found_however_deep_they_are_and_nonsense_is_passed_over() -> None:
    nested: object = "deep"
    for _ in range(3):
        nested = {"error": nested}
    assert own_words(nested, secrets=()) == ' It said: "deep"'
    assert own_words(b'{"error":' * 400 + b"1" + b"}" * 400, secrets=()) == ""
    assert own_words({"error": {1: "x"}}, secrets=["abc"]) == ""


def test_a_key_is_in_no_repr() -> None:
    assert KEY not in repr(ENDPOINT)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2", 2.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("-3", 0.0),
        ("1e12", 86_400.0),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_read_or_passed_over(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value) == seconds


def test_retry_after_may_be_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 27 < (parse_retry_after(soon) or 0) <= 30


@pytest.mark.parametrize("status", [429, 529])
def test_a_busy_server_is_asked_for_patience(status: int) -> None:
    error = refused(ENDPOINT, status, body=b"", retry_after=3.0)
    assert isinstance(error, ProviderBusyError)
    assert error.retry_after == 3.0


def test_an_accounts_headers_are_not_passed_on_either() -> None:
    endpoint = replace(ENDPOINT, further_headers={"X-Secret": "open-sesame", "X-Team": "blue"})
    error = refused(endpoint, 400, body=b"open-sesame is wrong for blue", retry_after=None)
    assert str(error).endswith('"*** is wrong for blue"')
