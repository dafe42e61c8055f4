"""Fusion: a sum of both scores, bounded, in an order that never changes."""

from llmstack_api.vectors.fusion import fuse


def test_the_best_by_words_counts_whole_and_the_others_in_proportion() -> None:
    cosines = {1: 0.5, 2: 0.1, 3: 0.9}

    assert fuse(cosines, {1: 4.0, 2: 8.0}, weights=(0.5, 0.5), limit=10) == [(2, 0.55), (1, 0.5), (3, 0.45)]
    assert fuse(cosines, {1: 4.0, 2: 8.0}, weights=(0.5, 0.5), limit=1) == [(2, 0.55)]


def test_without_words_meaning_decides_and_without_anything_there_is_nothing() -> None:
    assert fuse({1: 0.5, 2: 0.9}, {}, weights=(0.5, 0.5), limit=10) == [(2, 0.45), (1, 0.25)]
    assert fuse({1: 0.5}, {1: 0.0}, weights=(0.5, 0.5), limit=10) == [(1, 0.25)]
    assert fuse(dict[int, float](), {}, weights=(0.5, 0.5), limit=10) == []


def test_equal_scores_come_in_the_order_of_their_keys() -> None:
    assert [key for key, _ in fuse({3: 0.5, 1: 0.5, 2: 0.5}, {}, weights=(1, 0), limit=3)] == [1, 2, 3]


def test_a_score_is_relative_to_the_best_that_is_given_and_never_below_zero() -> None:
    assert fuse({1: 0.5, 2: -0.5}, {1: 4.0}, weights=(0.5, 0.5), limit=2, best=8.0) == [(1, 0.5), (2, 0.0)]
    assert fuse({1: 0.5}, {1: 4.0}, weights=(0.5, 0.5), limit=2, best=2.0) == [(1, 0.75)]
