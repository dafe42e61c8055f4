"""Identifiers: the ways to write one meet, and those that have the same words do not."""

import pytest

from llmstack_api.vectors.identifiers import MAX_LENGTH, grouped, suspects, variants


@pytest.mark.parametrize(
    ("piece", "words", "numbers"),
    [
        ("ERR-4012", "ERR4012", []),
        ("(ERR-4012),", "ERR4012", []),
        ("ERR4012", "ERR 4012", []),
        ("AX7-19B", "AX 7 19 B AX719B", []),
        ("ERR\u20114012", "ERR4012", []),
        ("MAT/A/07#3", "MATA073", []),
        ("rosa.muster@example.org", "rosamusterexampleorg", []),
        ("2.10.3", "", ["2.10.3"]),
        ("4500-0123", "45000123", ["4500.0123"]),
        ("978-3-16-148410-0", "9783161484100", ["978.3.16.148410.0"]),
        ("60601-1", "", ["60601.1"]),
        ("4012", "", []),
        ("machine.", "", []),
        ("...", "", []),
        ("well-known", "wellknown", []),
    ],
)
def test_a_piece_has_the_variants_of_its_identifiers(piece: str, words: str, numbers: list[str]) -> None:
    assert variants(piece) == (words, numbers)


def test_only_what_is_no_bare_word_is_looked_at() -> None:
    assert suspects("Send ERR-4012 to the desk, today") == ["ERR-4012", "desk,"]


def test_what_is_too_long_for_an_identifier_is_not_joined() -> None:
    assert variants("a-" * MAX_LENGTH + "b") == ("", [])
    assert len(variants("1a" * 50_000)[0]) == 0


def test_an_account_in_groups_is_one_word_too() -> None:
    assert grouped("Pay to DE89 3704 0044 0532 0130 00, or GB29 NWBK 6016 1331 9268 19.") == (
        "DE89370400440532013000 GB29NWBK60161331926819"
    )
    assert grouped("AX12 and the 1234 of 5678") == ""
