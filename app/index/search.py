"""Search over the library: full text, dictionary and vectors, fused into one list of chunks.

Question and chunks are each Chinese or not. Chunks in the question's language are ranked by full text and vectors;
chunks in the other one by the dictionary's terms, terms that both share (names, numbers) and vectors; then each
group takes its slots (fusion.py). Without vectors (no embedder, not embedded yet) search still works on text.

Belongs to the thread that owns the library, and never waits for the embedder: the caller brings the question's
vector. Holds vectors and one flag per chunk; all of it can be rebuilt from the library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.core.folding import is_chinese
from app.core.ports import Embedder, Library, ScoredChunk, SearchHit
from app.core.values import ChunkId, DocumentId
from app.index.dictionary import Dictionary
from app.index.fusion import (
    ACROSS_TEXT_WEIGHT,
    CHINESE_TEXT_WEIGHT,
    ENGLISH_TEXT_WEIGHT,
    above_mean,
    fuse,
    in_slots,
    relative_to_best,
)
from app.index.terms import query_terms
from app.index.vectors import Float32Matrix, Float32Row, VectorIndex

LEGS = frozenset({"text", "dictionary", "vector"})
MIN_CANDIDATES = 100  # per leg, however few results are wanted: fusion needs the second half of each ranking too
CANDIDATES_PER_RESULT = 4


@dataclass(frozen=True, slots=True)
class _Legs:
    """What each leg found in one language group, as the legs score it: BM25, BM25, cosine."""

    text: Mapping[ChunkId, float]
    dictionary: Mapping[ChunkId, float]
    vector: Mapping[ChunkId, float]


class SearchIndex:
    def __init__(self, library: Library, embedder: Embedder, dictionary: Dictionary) -> None:
        """Empty of vectors until `rebuild`. Only the embedder's `dim` and `fingerprint` are used, not `embed`."""
        self._library = library
        self._embedder = embedder
        self._dictionary = dictionary
        self._vectors: dict[bool, VectorIndex] = {}
        self._is_chinese: dict[ChunkId, bool] = {}
        self._forget_all()

    @property
    def vector_count(self) -> int:
        return sum(map(len, self._vectors.values()))

    def rebuild(self) -> None:
        """Read all vectors of this embedder from the library; what was here before is forgotten."""
        self._forget_all()
        for chunk_ids, document_ids, vectors in self._library.vectors(self._embedder.fingerprint):
            self.add(chunk_ids, document_ids, vectors)

    def add(self, chunk_ids: Sequence[ChunkId], document_ids: Sequence[DocumentId], vectors: Float32Matrix) -> None:
        """Make saved vectors searchable. The chunks must be in the library; others are passed over."""
        self._learn_languages(chunk_ids)
        for chinese, index in self._vectors.items():
            rows = [row for row, chunk_id in enumerate(chunk_ids) if self._is_chinese.get(chunk_id) is chinese]
            index.add([chunk_ids[r] for r in rows], [document_ids[r] for r in rows], vectors[rows])

    def remove(self, chunk_ids: Sequence[ChunkId]) -> None:
        for index in self._vectors.values():
            index.remove(chunk_ids)
        for chunk_id in chunk_ids:
            self._is_chinese.pop(chunk_id, None)

    def search(
        self,
        question: str,
        limit: int,
        within: frozenset[DocumentId] | None = None,
        *,
        question_vector: Float32Row | None = None,
        legs: frozenset[str] = LEGS,
    ) -> tuple[SearchHit, ...]:
        """At most `limit` chunks, best first; scores fall from at most 1 and can be compared within one search only.

        A hit's `legs` has the score of each leg that found it, 0..1 of that leg's best in the chunk's language.
        `legs` leaves legs out, to measure what each one does.
        """
        if limit <= 0:
            return ()
        depth = max(MIN_CANDIDATES, CANDIDATES_PER_RESULT * limit)
        chinese = bool(is_chinese(question))
        text = self._library.bm25(query_terms(question), depth, within) if "text" in legs else ()
        translated = self._dictionary.expand(question, to_chinese=not chinese) if "dictionary" in legs else {}
        across = self._library.bm25(translated, depth, within)
        if "vector" not in legs:
            question_vector = None
        documents = {hit.chunk_id: hit.document_id for hit in (*text, *across)}
        self._learn_languages(documents)
        ranked: dict[bool, list[SearchHit]] = {}
        for group in (chinese, not chinese):
            found = self._found_by_vectors(question_vector, group, depth, within)
            documents.update({chunk_id: document_id for chunk_id, document_id, _ in found})
            scores = _Legs(
                self._in_language(text, group),
                self._in_language(across, group) if group is not chinese else {},
                {chunk_id: cosine for chunk_id, _, cosine in found},
            )
            mean = 0.0 if question_vector is None else self._vectors[group].mean_score(question_vector, within)
            ranked[group] = _ranked(scores, mean, _text_weight(chinese, group), documents)
        return _descending(in_slots(ranked[chinese], ranked[not chinese], limit))

    def _found_by_vectors(
        self, question_vector: Float32Row | None, chinese: bool, depth: int, within: frozenset[DocumentId] | None
    ) -> list[tuple[ChunkId, DocumentId, float]]:
        if question_vector is None or not question_vector.any():
            return []
        return self._vectors[chinese].search(question_vector, depth, within)

    def _in_language(self, hits: Sequence[ScoredChunk], chinese: bool) -> dict[ChunkId, float]:
        return {hit.chunk_id: hit.score for hit in hits if self._is_chinese.get(hit.chunk_id) is chinese}

    def _learn_languages(self, chunk_ids: Iterable[ChunkId]) -> None:
        unknown = [chunk_id for chunk_id in chunk_ids if chunk_id not in self._is_chinese]
        for chunk in self._library.chunks(unknown) if unknown else ():
            self._is_chinese[chunk.chunk_id] = bool(is_chinese(f"{chunk.heading} {chunk.text}"))

    def _forget_all(self) -> None:
        self._vectors = {chinese: VectorIndex(self._embedder.dim) for chinese in (False, True)}
        self._is_chinese = {}


def _text_weight(question_is_chinese: bool, chunk_is_chinese: bool) -> float:
    if question_is_chinese is not chunk_is_chinese:
        return ACROSS_TEXT_WEIGHT
    return CHINESE_TEXT_WEIGHT if question_is_chinese else ENGLISH_TEXT_WEIGHT


def _ranked(
    legs: _Legs, mean_cosine: float, text_weight: float, documents: Mapping[ChunkId, DocumentId]
) -> list[SearchHit]:
    """One language group, best first. BM25 adds up over terms, so text and dictionary are one score."""
    lexical = {c: legs.text.get(c, 0.0) + legs.dictionary.get(c, 0.0) for c in legs.text.keys() | legs.dictionary}
    vector = above_mean(legs.vector, mean_cosine)
    by_leg = {
        "text": relative_to_best(legs.text),
        "dictionary": relative_to_best(legs.dictionary),
        "vector": vector,
    }
    fused = fuse(relative_to_best(lexical), vector, text_weight)
    best_first = sorted(fused, key=lambda c: (-fused[c], c))
    return [
        SearchHit(c, documents[c], fused[c], {name: leg[c] for name, leg in by_leg.items() if c in leg})
        for c in best_first
    ]


def _descending(hits: Iterable[SearchHit]) -> tuple[SearchHit, ...]:
    """Scores made to follow the order: slots may put a hit behind one with a lower score of its own kind."""
    kept: list[SearchHit] = []
    for hit in hits:
        score = min(hit.score, kept[-1].score) if kept else hit.score
        kept.append(SearchHit(hit.chunk_id, hit.document_id, score, hit.legs))
    return tuple(kept)
