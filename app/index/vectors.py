"""The vectors of one group of chunks in FAISS: exact inner-product search, filtered by document.

Kept as half-precision floats: half the memory of float32, faster to scan, and the ranking is the same (measured in
docs/quality.md). A cache: rebuilt from the store at start, which takes well under a second per 10,000 chunks.
Not thread-safe; the library thread owns it. FAISS runs on one thread here: on small machines that is faster.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias

import faiss
import numpy as np
import numpy.typing as npt

from app.core.values import ChunkId, DocumentId

Float32Matrix: TypeAlias = npt.NDArray[np.float32]
"""Shape (n, dim)."""
Float32Row: TypeAlias = npt.NDArray[np.float32]
"""Shape (dim,)."""


class VectorIndex:
    def __init__(self, dim: int) -> None:
        exact = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        self._faiss = faiss.IndexIDMap2(exact)
        self._document_of: dict[ChunkId, DocumentId] = {}
        self._chunks_of: defaultdict[DocumentId, set[ChunkId]] = defaultdict(set)
        self._sum_of: dict[DocumentId, npt.NDArray[np.float64]] = {}
        self._dim = dim

    def __len__(self) -> int:
        return len(self._document_of)

    def __contains__(self, chunk_id: ChunkId) -> bool:
        return chunk_id in self._document_of

    def add(self, chunk_ids: Sequence[ChunkId], document_ids: Sequence[DocumentId], vectors: Float32Matrix) -> None:
        """Vectors of length 1 (or 0), one per chunk. A chunk that is there already gets its new vector."""
        self.remove(chunk_ids)
        if not chunk_ids:
            return
        self._faiss.add_with_ids(np.ascontiguousarray(vectors, np.float32), np.array(chunk_ids, np.int64))
        for chunk_id, document_id, vector in zip(chunk_ids, document_ids, vectors, strict=True):
            self._document_of[chunk_id] = document_id
            self._chunks_of[document_id].add(chunk_id)
            self._sum_of.setdefault(document_id, np.zeros(self._dim))
            self._sum_of[document_id] += vector

    def remove(self, chunk_ids: Sequence[ChunkId]) -> None:
        """Forget these chunks; unknown ids are no error."""
        known = [c for c in dict.fromkeys(chunk_ids) if c in self._document_of]
        if not known:
            return
        ids = np.array(known, np.int64)
        for chunk_id, vector in zip(known, self._faiss.reconstruct_batch(ids), strict=True):
            document_id = self._document_of.pop(chunk_id)
            self._chunks_of[document_id].discard(chunk_id)
            self._sum_of[document_id] -= vector
            if not self._chunks_of[document_id]:
                del self._chunks_of[document_id], self._sum_of[document_id]
        self._faiss.remove_ids(faiss.IDSelectorBatch(ids))

    def search(
        self, vector: Float32Row, limit: int, within: frozenset[DocumentId] | None = None
    ) -> list[tuple[ChunkId, DocumentId, float]]:
        """The chunks most like `vector`, with their cosine, best first; at most `limit`, fewer when few are there."""
        allowed = None if within is None else [c for d in within for c in self._chunks_of.get(d, ())]
        count = min(limit, len(self) if allowed is None else len(allowed))
        if count <= 0:
            return []
        only = None
        if allowed is not None:
            selector = faiss.IDSelectorBatch(np.array(allowed, np.int64))
            only = faiss.SearchParameters()
            only.sel = selector
        faiss.omp_set_num_threads(1)  # OpenMP keeps this per calling thread, so it is said here and not at import
        scores, ids = self._faiss.search(np.ascontiguousarray(vector[None], np.float32), count, params=only)
        found = [(ChunkId(int(i)), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]
        return [(chunk_id, self._document_of[chunk_id], score) for chunk_id, score in found]

    def mean_score(self, vector: Float32Row, within: frozenset[DocumentId] | None = None) -> float:
        """The mean cosine of all chunks that `search` would look at: what an unrelated chunk scores."""
        documents = [d for d in (self._sum_of if within is None else within) if d in self._sum_of]
        count = sum(len(self._chunks_of[d]) for d in documents)
        return float(sum(self._sum_of[d] @ vector for d in documents) / count) if count else 0.0
