"""Measure retrieval: questions whose right passages or pages are known, asked of the real search.

Says how good each leg is alone and what their fusion makes of them. Figures: recall at 1, 5 and 10 (share of questions
with a right passage among the first so many) and the mean reciprocal rank within the first ten.
The library, index and embedder are given; nothing here knows files or prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from app.core.ports import Embedder, Library, PageRead, SearchHit
from app.core.values import (
    Chunk,
    ChunkId,
    DocumentId,
    DocumentKind,
    DocumentState,
    DraftChunk,
    PageText,
)
from app.index.search import LEGS, SearchIndex
from app.services.library_thread import LibraryThread
from app.services.vectors import VectorSink

RESULTS = 10
PAGE_CHUNKS = 50  # chunks looked at to find ten pages: a page has up to eight chunks, and several may match
_PASSAGES_PER_STEP = 256

Float32Row: TypeAlias = npt.NDArray[np.float32]
Place: TypeAlias = tuple[DocumentId, int]
"""A page: document and page number."""

LEG_NAMES: Mapping[str, frozenset[str]] = {
    "text": frozenset({"text"}),
    "dictionary": frozenset({"dictionary"}),
    "vector": frozenset({"vector"}),
    "fused": LEGS,
}


@dataclass(frozen=True, slots=True)
class KnownPassage:
    passage_id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class KnownQuestion:
    """A question and what answers it. `group` is the set it is counted in; `within` None = the whole library."""

    group: str
    text: str
    right: frozenset[Place]
    within: frozenset[DocumentId] | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """Over `questions` questions; `ms_per_question` is search alone, without embedding the question."""

    questions: int
    recall_1: float
    recall_5: float
    recall_10: float
    mrr_10: float
    ms_per_question: float


@dataclass(frozen=True, slots=True)
class Report:
    """Figures per group and leg, and how fast things were."""

    figures: Mapping[str, Mapping[str, Figures]]
    embed_question_ms: float


class Evaluation:
    """Asks the index directly, on the library thread's behalf: give it a library nobody else uses."""

    def __init__(self, library: Library, index: SearchIndex, thread: LibraryThread, embedder: Embedder) -> None:
        self._library = library
        self._index = index
        self._thread = thread
        self._embedder = embedder

    def add_passages(self, name: str, passages: Sequence[KnownPassage]) -> Mapping[str, Place]:
        """One document of `name`, one page and one chunk per passage, with vectors. Returns where each one is."""

        def step() -> DocumentId:
            document = self._library.add_document(Path(name), 0)
            self._library.begin_reading(document.document_id, DocumentKind.TEXT, name, len(passages))
            for first in range(0, len(passages), _PASSAGES_PER_STEP):
                some = passages[first : first + _PASSAGES_PER_STEP]
                self._library.save_pages(
                    document.document_id, [_as_page(first + i, p) for i, p in enumerate(some, start=1)]
                )
            self._library.finish(document.document_id, DocumentState.READY)
            return document.document_id

        document_id = self._thread.run(step)
        VectorSink(self._library, self._index, self._thread).catch_up(self._embedder, stopped=lambda: False)
        return {p.passage_id: (document_id, page_no) for page_no, p in enumerate(passages, start=1)}

    def measure(
        self, questions: Sequence[KnownQuestion], progress: Callable[[int], None] = lambda done: None
    ) -> Report:
        """Every question on every leg. `progress` hears how many questions are done."""
        started = time.perf_counter()
        vectors = [self._embedder.embed([q.text], as_question=True)[0] for q in questions]
        embed_ms = 1000 * (time.perf_counter() - started) / max(1, len(questions))
        outcomes: dict[str, dict[str, list[tuple[int, float]]]] = {}
        for done, (question, vector) in enumerate(zip(questions, vectors, strict=True), start=1):
            of_group = outcomes.setdefault(question.group, {name: [] for name in LEG_NAMES})
            for name, legs in LEG_NAMES.items():
                of_group[name].append(self._ask(question, vector, legs))
            progress(done)
        figures = {
            group: {name: _figures(ranks) for name, ranks in by_leg.items()} for group, by_leg in outcomes.items()
        }
        return Report(figures, embed_ms)

    def _ask(self, question: KnownQuestion, vector: Float32Row, legs: frozenset[str]) -> tuple[int, float]:
        """The rank of the right page, and how long the search took in seconds."""

        def step() -> tuple[int, float]:
            started = time.perf_counter()
            hits = self._index.search(question.text, PAGE_CHUNKS, question.within, question_vector=vector, legs=legs)
            took_s = time.perf_counter() - started
            return self._rank(hits, question.right), took_s

        return self._thread.run(step)

    def _rank(self, hits: Sequence[SearchHit], right: frozenset[Place]) -> int:
        """Place of the first right page among the pages hit, from 1; 0 when it is not there."""
        chunks: dict[ChunkId, Chunk] = {c.chunk_id: c for c in self._library.chunks([h.chunk_id for h in hits])}
        pages = dict.fromkeys((h.document_id, chunks[h.chunk_id].page_no) for h in hits if h.chunk_id in chunks)
        return next((rank for rank, page in enumerate(pages, start=1) if page in right), 0)


def _as_page(page_no: int, passage: KnownPassage) -> PageRead:
    page = PageText(page_no, passage.passage_id, 0.0, 0.0, passage.text)
    chunk = DraftChunk(page_no, 0, len(passage.text), passage.text, passage.title, ())
    return PageRead(page, (chunk,))


def _figures(outcomes: Iterable[tuple[int, float]]) -> Figures:
    ranks, times_s = (np.array(values) for values in zip(*outcomes, strict=True))
    at_1, at_5, at_10 = (float(np.mean((ranks > 0) & (ranks <= k))) for k in (1, 5, RESULTS))
    reciprocal = float(np.mean(np.where((ranks > 0) & (ranks <= RESULTS), 1 / np.maximum(ranks, 1), 0.0)))
    return Figures(len(ranks), at_1, at_5, at_10, reciprocal, 1000 * float(np.mean(times_s)))
