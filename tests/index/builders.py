"""Small real libraries and an index over them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from app.core.ports import Library, PageRead
from app.core.values import Chunk, ChunkId, DocumentId, DocumentKind, DraftChunk, PageText
from app.index.dictionary import Dictionary
from app.index.search import SearchIndex
from app.index.terms import fold
from app.index.vectors import Float32Matrix
from app.store import in_memory_library

DICTIONARY = Dictionary(
    {"押金": [("deposit", 0.9)], "租金": [("rent", 0.6), ("rental", 0.2)]},
    {"deposit": [("押金", 0.9)], "rent": [("租金", 0.6), ("租", 0.2)]},
)
FINGERPRINT = "letters-1"


class LetterEmbedder:
    """Counts letters: texts of the same letters are alike. Good enough to see which vectors were used."""

    fingerprint = FINGERPRINT
    dim = 26

    def embed(self, texts: Sequence[str], *, as_question: bool = False) -> Float32Matrix:
        rows = np.array([[t.lower().count(chr(97 + i)) for i in range(26)] for t in texts], np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


@contextlib.contextmanager
def library_of(*texts: str) -> Iterator[Library]:
    """One document, one page and one chunk per text."""
    library = in_memory_library(fold)
    try:
        add_document(library, *texts)
        yield library
    finally:
        library.close()


def add_document(library: Library, *texts: str, name: str = "file.txt", heading: str = "") -> tuple[Chunk, ...]:
    document_id = library.add_document(Path(name), 1).document_id
    library.begin_reading(document_id, DocumentKind.TEXT, "", len(texts))
    pages = [
        PageRead(PageText(n, str(n), 0, 0, text), (DraftChunk(n, 0, len(text), text, heading, ()),))
        for n, text in enumerate(texts, start=1)
    ]
    return library.save_pages(document_id, pages)


def add_with_vectors(index: SearchIndex, library: Library, *texts: str, name: str = "file.txt") -> tuple[Chunk, ...]:
    chunks = add_document(library, *texts, name=name)
    vectors = LetterEmbedder().embed(texts)
    library.save_vectors(FINGERPRINT, [c.chunk_id for c in chunks], vectors)
    index.add([c.chunk_id for c in chunks], [c.document_id for c in chunks], vectors)
    return chunks


def texts_found(library: Library, terms: Mapping[str, float], within: frozenset[DocumentId] | None = None) -> list[str]:
    return texts_of(library, [hit.chunk_id for hit in library.bm25(terms, 20, within)])


def texts_of(library: Library, chunk_ids: Sequence[ChunkId]) -> list[str]:
    return [chunk.text for chunk in library.chunks(chunk_ids)]
