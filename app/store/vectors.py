"""Vectors of chunks, per embedder. Exact float32: an index built from them equals the one built when embedding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from app.core.values import ChunkId, DocumentId
from app.store.database import Database

if TYPE_CHECKING:
    from app.core.ports import Float32Matrix

_ROWS_PER_STEP = 2_048  # 2 MB at 256 dimensions, about 20 ms


class VectorRows:
    """Single steps; the library puts transactions around those that belong together."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, fingerprint: str, chunk_ids: Sequence[ChunkId], vectors: Float32Matrix) -> None:
        """A chunk that was removed meanwhile is passed over; one that has a vector gets the new one."""
        if vectors.ndim != 2 or len(vectors) != len(chunk_ids):
            raise ValueError(f"{len(chunk_ids)} chunks, but vectors of shape {vectors.shape}")
        embedder_id = self._embedder_id(fingerprint, vectors.shape[1])
        rows = np.ascontiguousarray(vectors, dtype="<f4")
        self._database.run_many(
            "INSERT OR REPLACE INTO vectors (embedder_id, chunk_id, vector) SELECT ?, id, ? FROM chunks WHERE id = ?",
            [(embedder_id, row.tobytes(), chunk_id) for chunk_id, row in zip(chunk_ids, rows, strict=True)],
        )

    def _embedder_id(self, fingerprint: str, dim: int) -> int:
        self._database.run("INSERT OR IGNORE INTO embedders (fingerprint, dim) VALUES (?, ?)", (fingerprint, dim))
        ((embedder_id, known_dim),) = self._database.rows(
            "SELECT id, dim FROM embedders WHERE fingerprint = ?", (fingerprint,)
        )
        if known_dim != dim:
            raise ValueError(f"this embedder has {known_dim} dimensions, not {dim}")
        return int(embedder_id)

    def missing(self, fingerprint: str, limit: int) -> tuple[ChunkId, ...]:
        """The first chunks without a vector, in the order they were saved."""
        rows = self._database.rows(
            "SELECT id FROM chunks WHERE NOT EXISTS (SELECT 1 FROM vectors WHERE chunk_id = chunks.id"
            " AND embedder_id = (SELECT id FROM embedders WHERE fingerprint = ?)) ORDER BY id LIMIT ?",
            (fingerprint, limit),
        )
        return tuple(ChunkId(row[0]) for row in rows)

    def iterate(self, fingerprint: str) -> Iterator[tuple[tuple[ChunkId, ...], tuple[DocumentId, ...], Float32Matrix]]:
        """All of them in blocks, in the order of chunk ids."""
        embedder = self._database.row("SELECT id, dim FROM embedders WHERE fingerprint = ?", (fingerprint,))
        last_id = 0
        while embedder and (
            rows := self._database.rows(
                "SELECT v.chunk_id, c.document_id, v.vector FROM vectors v JOIN chunks c ON c.id = v.chunk_id"
                " WHERE v.embedder_id = ? AND v.chunk_id > ? ORDER BY v.chunk_id LIMIT ?",
                (embedder[0], last_id, _ROWS_PER_STEP),
            )
        ):
            chunk_ids, document_ids, vectors = zip(*rows, strict=True)
            matrix = np.frombuffer(b"".join(vectors), dtype="<f4").reshape(len(rows), embedder[1])
            yield chunk_ids, document_ids, matrix.astype(np.float32, copy=False)
            last_id = chunk_ids[-1]
