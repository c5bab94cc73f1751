"""Scores of several legs become one list."""

from __future__ import annotations

from app.core.values import ChunkId
from app.index.fusion import above_mean, fuse, in_slots, relative_to_best

A, B, C = ChunkId(1), ChunkId(2), ChunkId(3)


def test_text_scores_are_shares_of_the_best() -> None:
    assert relative_to_best({A: 8.0, B: 2.0}) == {A: 1.0, B: 0.25}


def test_an_average_cosine_counts_nothing() -> None:
    assert above_mean({A: 0.9, B: 0.5, C: 0.1}, mean=0.5) == {A: 1.0, B: 0.0, C: 0.0}


def test_text_outweighs_vectors_by_its_weight() -> None:
    fused = fuse({A: 1.0, B: 0.5}, {B: 1.0, C: 0.8}, text_weight=0.9)
    assert fused[A] == 0.9
    assert abs(fused[B] - 0.55) < 1e-9
    assert sorted(fused, key=lambda c: -fused[c]) == [A, B, C]


def test_with_full_text_weight_vectors_only_fill_up_behind_the_last_text_hit() -> None:
    fused = fuse({A: 1.0, B: 0.2}, {B: 0.1, C: 1.0}, text_weight=1.0)
    assert fused[A] == 1.0
    assert fused[B] == 0.2
    assert 0 < fused[C] < fused[B]


def test_a_leg_that_found_nothing_leaves_all_to_the_other() -> None:
    assert fuse({}, {A: 1.0}, text_weight=0.9) == {A: 1.0}
    assert fuse({A: 1.0}, {}, text_weight=0.9) == {A: 1.0}


def test_every_third_place_belongs_to_the_other_language() -> None:
    assert in_slots("abcdef", "XYZ", 8) == list("abXcdYef")


def test_empty_slots_go_to_whoever_has_more() -> None:
    assert in_slots("ab", "XYZ", 10) == list("abXYZ")
    assert in_slots("", "XYZ", 2) == list("XY")
    assert in_slots("abc", "", 10) == list("abc")
