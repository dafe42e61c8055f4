"""The bundled embedding model: unit vectors, near for what is alike, made without the network or its package."""

import asyncio
import math
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from llmstack_api.vectors import bundled
from llmstack_api.vectors.bundled import DIMENSION, FORGET_AFTER, INLINE, MODEL, SLICE, BundledEmbedder
from llmstack_api.vectors.word_pieces import BLANK
from tests.vectors.vocabulary import pieces, tokenizer_file

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_it_says_what_it_is() -> None:
    embedder = BundledEmbedder()
    assert embedder.model == MODEL == "builtin/wordllama-256"
    assert await embedder.dimension() == DIMENSION == 256


async def test_what_is_alike_is_near() -> None:
    near, far = await BundledEmbedder().embed_passages(
        ["The dog sleeps on the sofa.", "Interest rates rose again in March."]
    )
    asked = await BundledEmbedder().embed_query("Where is the puppy?")
    assert cosine(asked, near) > cosine(asked, far) + 0.1


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "\0", "</s>", "<unk>", "🦄", "日本語", "\u0301", "a" * INLINE * 2]
)
async def test_odd_texts_have_a_direction_too(text: str) -> None:
    embedder = BundledEmbedder()
    vector = await embedder.embed_query(text)
    assert len(vector) == DIMENSION
    assert math.isclose(math.hypot(*vector), 1.0, rel_tol=1e-5)
    assert await embedder.embed_passages([text]) == [vector]


@given(st.lists(TEXTS, max_size=8))
async def test_a_text_has_the_same_vector_alone_and_among_others(texts: list[str]) -> None:
    embedder = BundledEmbedder()
    together = await embedder.embed_passages(texts)
    assert together == [await embedder.embed_query(text) for text in texts]
    assert all(math.isclose(math.hypot(*vector), 1.0, rel_tol=1e-5) for vector in together)


@settings(deadline=None)  # the first one loads the vectors
@given(TEXTS, st.integers(1, 3))
def test_words_have_the_pieces_that_they_have_in_the_text_as_a_whole(text: str, times: int) -> None:
    spaced = f"{text} {' ' * times}the wing{text}".replace("\0", " ▁")
    vectors = bundled._load_once()  # pyright: ignore[reportPrivateUsage] # the cut shows nowhere else
    assert vectors._pieces(spaced) == whole().encode(spaced, add_special_tokens=False).ids  # pyright: ignore[reportPrivateUsage]


@cache
def whole() -> Tokenizer:
    tokenizer: Any = Tokenizer.from_file(str(tokenizer_file()))
    tokenizer.encode_special_tokens = True
    return tokenizer


def test_no_piece_goes_over_the_end_of_what_is_cut_and_remembered_by_itself() -> None:
    for piece in pieces():
        text = piece.replace(BLANK, " ")
        assert bundled._WORD.findall(text) == [text]  # pyright: ignore[reportPrivateUsage] # the cut shows nowhere else


def test_nothing_of_a_text_is_lost_between_what_is_cut() -> None:
    text = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    assert "".join(bundled._WORD.findall(text)) == text  # pyright: ignore[reportPrivateUsage] # likewise


def test_numbers_of_half_precision_are_widened_exactly() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.int16)
    finite = every[np.isfinite(every.view(np.float16))]
    assert np.array_equal(bundled._widen(finite), finite.view(np.float16).astype(np.float32))  # pyright: ignore[reportPrivateUsage] # a fault would show as slightly worse searches only


async def test_the_vectors_are_the_same_after_their_memory_was_given_back() -> None:
    embedder = BundledEmbedder()
    text = "The dog sleeps on the sofa."
    before = await embedder.embed_query(text)
    many = await embedder.embed_passages([text] * FORGET_AFTER)
    assert many == [before] * FORGET_AFTER
    assert await embedder.embed_query(text) == before


async def test_passages_come_back_in_order_over_slices() -> None:
    embedder = BundledEmbedder()
    texts = [f"passage number {number}" for number in range(3 * SLICE + 1)]
    vectors = await embedder.embed_passages(texts)
    assert vectors == [await embedder.embed_query(text) for text in texts]
    assert await embedder.embed_passages([]) == []


async def test_many_first_calls_at_once_load_it_once_and_agree() -> None:
    vectors = await asyncio.gather(*(BundledEmbedder().embed_query("hello") for _ in range(20)))
    assert all(vector == vectors[0] for vector in vectors)


async def test_the_loop_goes_on_while_passages_are_embedded() -> None:
    embedder = BundledEmbedder()
    texts = ["Some words that stand for a passage of text. " * 25] * 2000
    task = asyncio.create_task(embedder.embed_passages(texts))
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > len(texts) / SLICE
    assert len(await task) == len(texts)


async def test_a_cancelled_call_stops_soon() -> None:
    embedder = BundledEmbedder()
    await embedder.embed_query("loaded")
    task = asyncio.create_task(embedder.embed_passages(["Some words. " * 100] * 100_000))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(task, 0.05)
    assert len(await embedder.embed_passages(["and it goes on"])) == 1


async def test_a_context_draws_a_passage_towards_itself_and_an_empty_one_does_not() -> None:
    embedder = BundledEmbedder()
    text, around = "Oil it once a week.", "Lathe > Upkeep"
    asked, context = await embedder.embed_query("lathe"), await embedder.embed_query(around)
    (alone,) = await embedder.embed_passages([text])
    without, within = await embedder.embed_passages([text, text], ["", around])

    assert without == alone
    mean = [0.7 * own + 0.3 * other for own, other in zip(alone, context, strict=True)]
    length = math.hypot(*mean)
    assert within == pytest.approx([number / length for number in mean], abs=1e-6)
    assert sum(map(float.__mul__, within, asked)) > sum(map(float.__mul__, alone, asked))


def test_it_imports_nothing_slow_before_it_is_needed_and_its_package_never() -> None:
    code = """
import asyncio, sys
from llmstack_api.vectors.bundled import BundledEmbedder
embedder = BundledEmbedder()
slow = {"numpy", "qdrant_edge"} & set(sys.modules)
asyncio.run(embedder.embed_query("hello"))
never = {"wordllama", "tokenizers", "requests", "safetensors", "huggingface_hub"}
print(sorted(slow), sorted(never & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 # our own code
    assert ran.stdout.strip() == "[] []"
