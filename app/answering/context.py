"""Pack numbered passages into a token budget. Whole passages only; what is left out is said, never cut silently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.core.values import Passage

PASSAGE_OVERHEAD_TOKENS = 24  # "[n] name, p. 12" and line ends, generously


@dataclass(frozen=True, slots=True)
class PackedContext:
    passages: tuple[Passage, ...]  # numbered 1..n in the order they are given to the model
    used_tokens: int
    budget_tokens: int
    left_out: int


def pack(passages: Sequence[Passage], token_counts: Sequence[int], budget_tokens: int) -> PackedContext:
    """Best first, as many as fit; a passage that does not fit is skipped and a smaller one may still come."""
    chosen: list[Passage] = []
    used = 0
    for passage, count in zip(passages, token_counts, strict=True):
        cost = count + PASSAGE_OVERHEAD_TOKENS
        if used + cost <= budget_tokens:
            chosen.append(replace(passage, number=len(chosen) + 1))
            used += cost
    return PackedContext(tuple(chosen), used, budget_tokens, len(passages) - len(chosen))
