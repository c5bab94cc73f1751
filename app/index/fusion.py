"""How the rankings of one question become one. Pure: scores in, scores out.

Weighted scores, not ranks: merging by rank with equal weights costs up to six points of recall here, because a
ranking says nothing about how sure it is. Every leg is brought to 0..1 first: full text by its best hit, cosines
so that an unrelated chunk is 0 and the best is 1. Chunks in the question's language and in the other
one are ranked apart, because their scores cannot be compared; the weaker group gets result slots of its own, so that
neither pushes the other out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from app.core.values import ChunkId

ENGLISH_TEXT_WEIGHT = 0.9  # the rest is the vectors' share; all three: models/foundry/embedder/README.md
CHINESE_TEXT_WEIGHT = 1.0  # vectors only fill up what full text leaves empty
ACROSS_TEXT_WEIGHT = 0.55  # full text is the dictionary's terms then
FILL_SHARE = 0.5  # of the last full-text hit's score: where vectors only fill up, the best of them gets this
SLOT_EVERY = 3  # every third result is for the language that does not lead, when both have something

T = TypeVar("T")
Scores = Mapping[ChunkId, float]


def relative_to_best(scores: Scores) -> dict[ChunkId, float]:
    best = max(scores.values(), default=0.0)
    return {c: s / best for c, s in scores.items()} if best > 0 else {}


def above_mean(cosines: Scores, mean: float) -> dict[ChunkId, float]:
    """0 for the collection's mean cosine and below, 1 for the best."""
    span = max(cosines.values(), default=0.0) - mean
    return {c: max(0.0, (s - mean) / span) for c, s in cosines.items()} if span > 0 else {}


def fuse(text: Scores, vector: Scores, text_weight: float) -> dict[ChunkId, float]:
    """Scores 0..1 of every chunk that a leg found; both legs are 0..1. An empty leg leaves all to the other one."""
    if not text or not vector:
        return dict(text or vector)
    fused = {
        c: text_weight * text.get(c, 0.0) + (1.0 - text_weight) * vector.get(c, 0.0)
        for c in text.keys() | vector.keys()
    }
    if text_weight == 1.0:
        below_text = FILL_SHARE * min(text.values())
        fused.update({c: below_text * s for c, s in vector.items() if c not in text})
    return fused


def in_slots(leading: Sequence[T], other: Sequence[T], limit: int) -> list[T]:
    """At most `limit` of both, each in its own order; every third place is `other`'s while both last."""
    merged: list[T] = []
    leading_left, other_left = list(reversed(leading)), list(reversed(other))
    while len(merged) < limit and (leading_left or other_left):
        turn_of_other = (len(merged) + 1) % SLOT_EVERY == 0
        from_other = bool(other_left) and (turn_of_other or not leading_left)
        merged.append((other_left if from_other else leading_left).pop())
    return merged
