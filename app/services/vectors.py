"""Vectors of chunks: made by the embedder's child, kept by the store, searched by the index.

The call to the child happens on the caller's thread; store and index are touched on the library thread only.
"""

from __future__ import annotations

from collections.abc import Callable

from app.core.ports import Embedder, Library
from app.core.values import Chunk, DocumentId
from app.index.search import SearchIndex
from app.services.library_thread import LibraryThread

CATCH_UP_BATCH = 64


class VectorSink:
    def __init__(self, library: Library, index: SearchIndex, thread: LibraryThread) -> None:
        self._library = library
        self._index = index
        self._thread = thread

    def add(self, embedder: Embedder, chunks: tuple[Chunk, ...]) -> None:
        """Embed `chunks`, then store and index the vectors in one step."""
        if not chunks:
            return
        vectors = embedder.embed([_embedded_text(c) for c in chunks])
        fingerprint = embedder.fingerprint
        ids = tuple(c.chunk_id for c in chunks)

        def step() -> None:
            present = {c.chunk_id for c in self._library.chunks(ids)}  # the document may be gone by now
            keep = [i for i, chunk_id in enumerate(ids) if chunk_id in present]
            if keep:
                kept = tuple(chunks[i] for i in keep)
                self._library.save_vectors(fingerprint, [c.chunk_id for c in kept], vectors[keep])
                self._index.add([c.chunk_id for c in kept], [c.document_id for c in kept], vectors[keep])

        self._thread.run(step)

    def forget(self, document_id: DocumentId) -> None:
        """Take a document's chunks out of the index. On the library thread only."""
        self._index.remove([c.chunk_id for c in self._library.chunks_of(document_id)])

    def catch_up(self, embedder: Embedder, stopped: Callable[[], bool]) -> int:
        """Embed chunks that have no vector yet (an earlier run ended before). Returns how many."""
        done = 0
        while not stopped() and (
            chunks := self._thread.run(
                lambda: self._library.chunks_without_vector(embedder.fingerprint, CATCH_UP_BATCH)
            )
        ):
            self.add(embedder, chunks)
            done += len(chunks)
        return done


def _embedded_text(chunk: Chunk) -> str:
    return f"{chunk.heading}\n{chunk.text}" if chunk.heading else chunk.text
