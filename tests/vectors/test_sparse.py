"""Sparse vectors: the same words meet, in every script, and weigh what BM25 says."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack_api.vectors.languages import Language
from llmstack_api.vectors.sparse import VERSION, encode_passage, encode_query
from llmstack_api.vectors.store import SparseVector

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def weight(query: str, passage: str) -> float:
    """Score a passage as if every word were equally rare."""
    stored = encode_passage(passage)
    weights = dict(zip(stored.indices, stored.values, strict=True))
    asked = encode_query(query)
    return sum(
        value * weights.get(index, 0.0) for index, value in zip(asked.indices, asked.values, strict=True)
    )


@pytest.mark.parametrize(
    ("query", "passage"),
    [
        ("running shoes", "She runs in a new shoe."),
        ("CAFÉ", "the cafe\u0301 at the corner"),
        ("cafe", "Le café"),
        ("Straße", "die STRASSE"),
        ("foo bar", "call foo_bar() now"),
        ("3.14", "pi is 3.14 or so"),
        ("C", "written in C"),
        ("привет", "Скажи ПРИВЕТ всем"),
        ("ﬁnance", "finance"),
        ("ﬀ５", "ff5"),
        ("エンジン", "日本語の検索エンジン"),
        ("ｴﾝｼﾞﾝ", "日本語の検索エンジン"),
        ("東京", "東京都に住む"),
        ("猫", "黒い猫がいる"),
        ("引擎", "搜索引擎的设计"),
        ("北京", "我爱北京天安门"),
        ("엔진", "검색엔진을 만든다"),
        ("ไทย", "ภาษาไทยไม่มีช่องว่าง"),
        ("ខ្មែរ", "ភាសាខ្មែរ"),
        ("FastAPI", "東京のFastAPI入門"),
        ("𠮷野", "𠮷野家で食べる"),
    ],
)
def test_a_question_finds_its_words(query: str, passage: str) -> None:
    assert weight(query, passage) > 0
    assert weight(query, "nothing of the kind, 全く別 другое") == 0


def test_a_question_of_stop_words_alone_asks_for_nothing() -> None:
    for text in ("", "   ", "the of and", "?!", "。、"):
        assert encode_query(text) == SparseVector([], [])
        assert encode_passage(text) == SparseVector([], [])


def test_a_word_that_is_asked_for_twice_counts_twice() -> None:
    assert sorted(encode_query("the rust rust belt 日本日本").values) == [1.0, 1.0, 2.0, 2.0]


def test_a_repeated_word_counts_for_more_but_less_each_time() -> None:
    once, twice, often = (weight("zebra", "zebra " * times + "horse") for times in (1, 2, 50))
    assert once < twice < 2 * once
    assert twice < often < 3.5


def test_a_word_counts_for_less_in_a_long_passage_of_any_script() -> None:
    for short, word in (("zebra and more", "zebra"), ("斑馬在這裡", "斑馬")):
        assert weight(word, short) > weight(word, short + " horse" * 100) > 0


@given(TEXTS)
def test_every_text_gives_unique_indices_and_positive_weights(text: str) -> None:
    for vector in (encode_passage(text), encode_query(text)):
        assert len(set(vector.indices)) == len(vector.indices) == len(vector.values)
        assert all(0 <= index < 2**31 for index in vector.indices)
        assert all(value > 0 for value in vector.values)


@given(TEXTS)
def test_a_passage_has_the_terms_that_itself_asks_for_in_its_language(text: str) -> None:
    for language in (Language.ENGLISH, Language.GERMAN):
        asked = encode_query(re.sub(r"[\u0370-\u1fff]", " ", text), language=language)
        found = encode_passage(re.sub(r"[\u0370-\u1fff]", " ", text), language=language)
        assert set(asked.indices) <= set(found.indices)


def test_counts_are_exact_in_long_passages() -> None:
    vector = encode_query("the " + "zebra " * 1999 + "horse")
    assert sorted(vector.values) == [1.0, 1999.0]


def test_terms_have_the_hashes_that_are_stored_under_this_version() -> None:
    # Others make every stored vector worthless: they need another VERSION.
    assert VERSION == "bm25-2"
    assert sorted(encode_passage("two words 漢字").indices) == [
        358389376,
        425835439,
        579229296,
        631901978,
        968174432,
    ]
