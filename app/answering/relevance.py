"""Rank sentences of passages by how much of the question they hold.

Weighted word overlap: a question term counts more the fewer sentences hold it. The terms come from the
search index (folded, with translations across languages), so this file knows no language of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.answering.locate import comparable
from app.core.sentences import Span, sentences
from app.core.values import Passage

MAX_SENTENCE_CHARS = 420  # a table without full stops is one "sentence": cut at line ends above this
Fold = Callable[[str], str]
"""Text to space-separated index terms, as the search index makes them."""


@dataclass(frozen=True, slots=True)
class RankedSentence:
    """A sentence of a passage; `span` counts inside the passage's chunk text; score 0 to about 1."""

    passage: Passage
    span: Span
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class QuestionTerms:
    """`weights`: folded term -> weight (translations below 1). `stem` brings inflected forms together."""

    weights: Mapping[str, float]
    fold: Fold
    stem: Callable[[str], str]


def rank_sentences(passages: Sequence[Passage], terms: QuestionTerms) -> tuple[RankedSentence, ...]:
    """All sentences that share a term with the question, best first. A better passage wins between equals."""
    weights = _stemmed(terms)
    rows = [(p, s, _terms_of(p.chunk.text[s.start : s.end], terms)) for p in passages for s in passage_sentences(p)]
    rarity = {t: math.log(1 + len(rows) / (1 + sum(t in found for _, _, found in rows))) for t in weights}
    ideal = sum(weights[t] * rarity[t] for t in weights) or 1.0
    ranked = []
    for passage, span, found in rows:
        overlap = sum(weights[t] * rarity[t] for t in weights if t in found) / ideal
        heading = sum(weights[t] * rarity[t] for t in weights if t in _terms_of(passage.chunk.heading, terms)) / ideal
        if overlap > 0 and not _is_heading(passage, span):
            score = overlap + 0.25 * heading + 0.25 * passage.score
            ranked.append(RankedSentence(passage, span, passage.chunk.text[span.start : span.end], score))
    return tuple(sorted(ranked, key=lambda r: (-r.score, r.passage.number, r.span.start)))


def _is_heading(passage: Passage, span: Span) -> bool:
    """A bare heading repeats the question's words and answers nothing."""
    words = comparable(passage.chunk.text[span.start : span.end]).text
    return words in comparable(passage.chunk.heading).text


def passage_sentences(passage: Passage) -> tuple[Span, ...]:
    return tuple(part for span in sentences(passage.chunk.text) for part in _cut_long(passage.chunk.text, span))


def _cut_long(text: str, span: Span) -> list[Span]:
    if span.end - span.start <= MAX_SENTENCE_CHARS:
        return [span]
    parts, start, at = [], span.start, span.start
    for line in text[span.start : span.end].splitlines(keepends=True):
        if at + len(line) - start > MAX_SENTENCE_CHARS and at > start:
            parts.append(Span(start, at))
            start = at
        at += len(line)
    parts.append(Span(start, span.end))
    return [s for s in parts if text[s.start : s.end].strip()]


def _stemmed(terms: QuestionTerms) -> dict[str, float]:
    weights: dict[str, float] = {}
    for term, weight in terms.weights.items():
        stem = terms.stem(term)
        weights[stem] = max(weight, weights.get(stem, 0.0))
    return weights


def _terms_of(text: str, terms: QuestionTerms) -> frozenset[str]:
    return frozenset(terms.stem(t) for t in terms.fold(text).split())
