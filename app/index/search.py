"""Search over the library: full text, dictionary and vectors, fused into one list of chunks.

Question and chunks are each Chinese or not. Chunks in the question's language are ranked by full text and vectors;
chunks in the other one by the dictionary's terms, terms that both share (names, numbers) and vectors. The group whose
best hit says more of the question leads, and the other one has slots of its own (fusion.py). Without vectors (no
embedder, not embedded yet) search still works on text.

Belongs to the thread that owns the library, and never waits for the embedder: the caller brings the question's
vector. Holds vectors and one flag per chunk; all of it can be rebuilt from the library.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.core.folding import is_chinese
from app.core.ports import Embedder, Library, ScoredChunk, SearchHit
from app.core.values import ChunkId, DocumentId
from app.index.coverage import share_held, share_held_across
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
ENOUGH_HELD = 0.5  # a passage that says half of the question is a good answer, whatever the other language has


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question, ready for every leg."""

    chinese: bool
    terms: Mapping[str, float]
    translated: Mapping[str, float]
    vector: Float32Row | None
    within: frozenset[DocumentId] | None
    depth: int  # candidates per leg


@dataclass(frozen=True, slots=True)
class _Found:
    """What the legs found, as they score it: BM25, BM25, cosine above that of an unrelated chunk."""

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
        for _ in self.rebuild_steps():
            pass

    def rebuild_steps(self) -> Iterator[int]:
        """The same in steps of about 2,000 vectors (about 40 ms), each giving the number so far.

        Between the steps the library thread may search and add; vectors that are not read yet are not found yet.
        """
        self._forget_all()
        for chunk_ids, document_ids, vectors in self._library.vectors(self._embedder.fingerprint):
            self.add(chunk_ids, document_ids, vectors)
            yield self.vector_count

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
        chinese = bool(is_chinese(question))
        asked = _Asked(
            chinese,
            query_terms(question),
            self._dictionary.expand(question, to_chinese=not chinese) if "dictionary" in legs else {},
            question_vector if "vector" in legs and question_vector is not None and question_vector.any() else None,
            within,
            max(MIN_CANDIDATES, CANDIDATES_PER_RESULT * limit),
        )
        text = self._library.bm25(asked.terms, asked.depth, within) if "text" in legs else ()
        across = self._library.bm25(asked.translated, asked.depth, within)
        self._learn_languages(hit.chunk_id for hit in (*text, *across))
        own = self._ranked(asked, chinese, text, ())[:limit]
        other = self._ranked(asked, not chinese, text, across)[:limit]
        if own and other and self._other_leads(asked, own[0], other[0]):
            own, other = other, own
        return _descending(in_slots(own, other, limit))

    def _ranked(
        self, asked: _Asked, chinese: bool, text: Sequence[ScoredChunk], across: Sequence[ScoredChunk]
    ) -> list[SearchHit]:
        """The chunks of one language group, best first."""
        documents = {hit.chunk_id: hit.document_id for hit in (*text, *across)}
        vector: dict[ChunkId, float] = {}
        if asked.vector is not None:
            index = self._vectors[chinese]
            similar = index.search(asked.vector, asked.depth, asked.within)
            documents.update({chunk_id: document_id for chunk_id, document_id, _ in similar})
            cosines = {chunk_id: cosine for chunk_id, _, cosine in similar}
            vector = above_mean(cosines, index.mean_score(asked.vector, asked.within))
        found = _Found(self._in_language(text, chinese), self._in_language(across, chinese), vector)
        return _fused(found, _text_weight(asked.chinese, chinese), documents)

    def _other_leads(self, asked: _Asked, own: SearchHit, other: SearchHit) -> bool:
        """Whether the best hit of the question's language says too little of it, and that of the other one more."""
        texts = {c.chunk_id: f"{c.heading} {c.text}" for c in self._library.chunks([other.chunk_id, own.chunk_id])}
        held = share_held(texts.get(own.chunk_id, ""), asked.terms)  # "": removed from the library meanwhile
        across = share_held_across(texts.get(other.chunk_id, ""), asked.terms, asked.translated)
        return held < ENOUGH_HELD and across > held

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


def _fused(found: _Found, text_weight: float, documents: Mapping[ChunkId, DocumentId]) -> list[SearchHit]:
    """Best first. BM25 adds up over terms, so the two BM25 legs are one score."""
    lexical = {c: found.text.get(c, 0.0) + found.dictionary.get(c, 0.0) for c in found.text.keys() | found.dictionary}
    by_leg = {
        "text": relative_to_best(found.text),
        "dictionary": relative_to_best(found.dictionary),
        "vector": found.vector,
    }
    fused = fuse(relative_to_best(lexical), found.vector, text_weight)
    return [
        SearchHit(c, documents[c], fused[c], {name: leg[c] for name, leg in by_leg.items() if c in leg})
        for c in sorted(fused, key=lambda c: (-fused[c], c))
    ]


def _descending(hits: Iterable[SearchHit]) -> tuple[SearchHit, ...]:
    """Scores made to follow the order: slots may put a hit behind one with a lower score of its own kind."""
    kept: list[SearchHit] = []
    for hit in hits:
        score = min(hit.score, kept[-1].score) if kept else hit.score
        kept.append(SearchHit(hit.chunk_id, hit.document_id, score, hit.legs))
    return tuple(kept)
