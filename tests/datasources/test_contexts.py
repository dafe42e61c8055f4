"""Contexts: what a chunk is found by besides its text says something, once."""

import pytest

from llmstack_api.datasources.contexts import beginning, contexts
from llmstack_api.ingest.document import Chunk

TEXT = "Wear ear protection. Read the signs.\n\nLeave by the north door."
PLAIN = Chunk(number=0, start=0, end=20)


def context(chunk: Chunk = PLAIN, *, name: str, title: str | None = None) -> str:
    (found,) = contexts(TEXT, [chunk], name=name, title=title)
    return found


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ZX-3 manual", "ZX-3 manual"),
        ("safety_rules-2024.PDF", "safety rules-2024"),
        ("Node.js", "Node.js"),
        ("https://example.com/shop/late-payment.html?id=7#top", "shop late-payment"),
        ("https://example.com", ""),
        ("0192f0c4-7d1e-7c3a-9a57-0f4c1d2e3b4a.pdf", ""),
        ("scan d41d8cd98f00b204e9800998ecf8427e.pdf", "scan"),
        ("2024", "2024"),
        (beginning(TEXT), ""),
        ("Wear ear protection", "Wear ear protection"),
    ],
)
def test_a_name_counts_by_its_words(name: str, words: str) -> None:
    assert context(name=name) == words


def test_a_context_has_headings_sheet_table_name_and_title() -> None:
    chunk = Chunk(number=0, start=0, end=9, heading="Plant > Pump", sheet="Prices", table="Spare parts")

    assert context(chunk, name="list.xlsx", title="Catalogue") == (
        "Plant > Pump\nPrices\nSpare parts\nlist\nCatalogue"
    )


def test_what_a_line_says_is_not_said_again() -> None:
    chunk = Chunk(number=0, start=0, end=9, heading="Safety rules > Ears")

    assert context(chunk, name="safety_rules.md", title="Safety Rules") == "Safety rules > Ears"
    assert context(name="Page", title="page") == "Page"


def test_long_names_and_titles_are_cut() -> None:
    assert len(context(name="n" * 200, title="t " * 10_000)) < 600
