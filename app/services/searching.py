"""Search the library: question in, passages out, with the scores that put them there."""

from __future__ import annotations

import logging

from app.core.errors import JingyanError
from app.core.ports import Embedder, Library, SearchHit
from app.core.values import DocumentId, Passage
from app.index.search import SearchIndex
from app.services.library_thread import LibraryThread

log = logging.getLogger(__name__)


class Searching:
    def __init__(self, library: Library, index: SearchIndex, thread: LibraryThread, embedder: Embedder) -> None:
        self._library = library
        self._index = index
        self._thread = thread
        self._embedder = embedder

    def search(self, text: str, limit: int, within: frozenset[DocumentId] | None = None) -> tuple[Passage, ...]:
        """Best passages first, numbered from 1. Without an embedder the text legs still answer."""
        try:
            vector = self._embedder.embed([text], as_question=True)[0]
        except JingyanError as error:
            log.warning("searching without vectors: %s", error.code)
            vector = None

        def step() -> tuple[Passage, ...]:
            return self._passages(self._index.search(text, limit, within, question_vector=vector))

        return self._thread.run(step)

    def _passages(self, hits: tuple[SearchHit, ...]) -> tuple[Passage, ...]:
        chunks = {c.chunk_id: c for c in self._library.chunks([h.chunk_id for h in hits])}
        names: dict[DocumentId, str] = {}
        passages: list[Passage] = []
        for hit in hits:
            chunk = chunks.get(hit.chunk_id)
            if chunk is None:
                continue
            if chunk.document_id not in names:
                names[chunk.document_id] = self._library.document(chunk.document_id).name
            label = self._library.page(chunk.document_id, chunk.page_no).label or str(chunk.page_no)
            passages.append(Passage(len(passages) + 1, chunk, names[chunk.document_id], label, hit.score, hit.legs))
        return tuple(passages)
