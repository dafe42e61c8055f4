"""Filters on a growing text: however it is cut, the chunks stitch to what the whole text would give."""

import html
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack_api.engine.textfilters import text_filter
from llmstack_api.errors import TemplateError

FILTERS: list[tuple[str, tuple[object, ...], Callable[[str], str]]] = [
    ("upcase", (), str.upper),
    ("downcase", (), str.lower),
    ("escape", (), html.escape),
    ("append", ("!",), lambda text: text + "!"),
    ("prepend", (1,), lambda text: "1" + text),
    ("default", ("none",), lambda text: text or "none"),
    ("default", (), lambda text: text),
]
TEXTS = st.lists(st.text(st.sampled_from("aB ΣΑσς.İß<&\n'"), max_size=6), max_size=8)


@pytest.mark.parametrize(
    ("name", "arguments", "whole"), FILTERS, ids=[f"{name}{args}" for name, args, _ in FILTERS]
)
@given(chunks=TEXTS)
def test_chunks_stitch_to_what_the_whole_text_gives(
    name: str, arguments: tuple[object, ...], whole: Callable[[str], str], chunks: list[str]
) -> None:
    filtered = text_filter(name, *arguments)

    assert "".join([*map(filtered.feed, chunks), filtered.end()]) == whole("".join(chunks))


def test_a_text_without_white_space_is_not_held_for_ever() -> None:
    lower = text_filter("downcase")
    given = "".join(lower.feed("Σ" + "A" * 99) for _ in range(10))

    assert len(given) > 700


def test_a_filter_that_takes_no_such_arguments_is_refused() -> None:
    with pytest.raises(TemplateError, match="append"):
        text_filter("append")
