"""Word pieces: the same as the tokenizer's that the vectors were trained with, from its vocabulary alone."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers

from llmstack_api.vectors.word_pieces import BLANK, WordPieces
from tests.vectors.vocabulary import pieces, tokenizer_file, vocabulary

ANYTHING = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
PIECES = st.lists(st.sampled_from(pieces()), max_size=8).map("".join)
REPEATED = st.builds(
    str.__mul__, st.sampled_from([BLANK, "a", "=", "-", "é", "ab", "1", "\n", "文"]), st.integers(0, 70)
)


@cache
def cutter() -> WordPieces:
    return WordPieces(vocabulary())


@cache
def reference() -> Tokenizer:
    tokenizer: Any = Tokenizer.from_file(str(tokenizer_file()))
    tokenizer.normalizer = normalizers.Replace(" ", BLANK)  # without the blank that it puts before a text
    tokenizer.encode_special_tokens = True
    return tokenizer


def expected(word: str) -> list[int]:
    return reference().encode(word, add_special_tokens=False).ids


@settings(deadline=None)  # the first one reads the vocabulary
@given(st.one_of(ANYTHING, PIECES, REPEATED, st.builds(str.__add__, PIECES, REPEATED)))
def test_words_are_cut_as_the_tokenizer_cuts_them(text: str) -> None:
    word = text.replace(" ", BLANK)
    assert cutter().cut(word) == expected(word)


def test_a_word_that_is_a_piece_is_not_cut() -> None:
    assert all(cutter().cut(piece) == [number] == expected(piece) for piece, number in known())


def known() -> list[tuple[str, int]]:
    return [(piece, vocabulary()[piece]) for piece in pieces()]


@pytest.mark.parametrize("word", ["<unk>", "<s>", "</s>", "<0x0A>", "\n", "\0", "\x7f", "🦄", "", BLANK])
def test_names_of_marks_and_bytes_are_text(word: str) -> None:
    assert cutter().cut(word) == expected(word)


@pytest.mark.parametrize("letters", ["a", "ab", "qwertyuiopasdfghjklzxcvbnm", "文字", "0x1F"])
def test_words_without_an_end_are_cut_too(letters: str) -> None:
    word = letters * (20_000 // len(letters))
    assert cutter().cut(word) == expected(word)
