"""The library: documents, pages, chunks, their words and vectors in one SQLite file. The port `Library`.

Promises: every method that changes something is one transaction, so a killed process or a full disk leaves either
all of it or nothing; what returned is on the disk. One thread owns a library, and one process owns its file.
Iterators read in short steps and never hold the file between two items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.core.ports import PageRead, ScoredChunk
from app.core.values import (
    Chunk,
    ChunkId,
    Document,
    DocumentId,
    DocumentKind,
    DocumentState,
    PageProblem,
    PageText,
)
from app.store import erasing, search
from app.store.database import Database
from app.store.documents import DocumentRows, clean
from app.store.opening import LOCK_WAIT_S, memory_database, open_database
from app.store.pages import PageRows
from app.store.vectors import VectorRows

if TYPE_CHECKING:
    from app.core.ports import Float32Matrix


def open_library(
    path: Path,
    key: bytes,
    *,
    fold: Callable[[str], str],
    fold_version: str = "1",
    lock_wait_s: float = LOCK_WAIT_S,
) -> EncryptedLibrary:
    """The library in the file at `path`; made when there is none.

    `fold` gives the index form of a text: words divided by spaces, unstemmed. When `fold_version` is not the one
    the file was written with, the full-text table is made again from the pages (seconds for thousands of pages).
    Raises LIBRARY_LOCKED, KEY_MISSING (found="another"), LIBRARY_DAMAGED, LIBRARY_TOO_NEW, FOLDER_NOT_WRITABLE
    or DISK_FULL; the file is then as it was.
    """
    return _fit(EncryptedLibrary(open_database(path, key, lock_wait_s=lock_wait_s), fold), fold_version)


def in_memory_library(fold: Callable[[str], str]) -> EncryptedLibrary:
    """A library that is gone when it is closed, for one-off questions. Nothing of it reaches the disk."""
    return EncryptedLibrary(memory_database(), fold)


def _fit(library: EncryptedLibrary, fold_version: str) -> EncryptedLibrary:
    try:
        library.use_fold_version(fold_version)
    except BaseException:
        library.close()
        raise
    return library


class EncryptedLibrary:
    def __init__(self, database: Database, fold: Callable[[str], str]) -> None:
        self._database = database
        self._documents = DocumentRows(database)
        self._pages = PageRows(database, fold)
        self._vectors = VectorRows(database)

    # ---- documents ---------------------------------------------------------------------------
    def add_document(self, path: Path, size_bytes: int) -> Document:
        with self._database.transaction():
            return self._documents.get(self._documents.insert(path, size_bytes))

    def document(self, document_id: DocumentId) -> Document:
        return self._documents.get(document_id)

    def documents(self) -> tuple[Document, ...]:
        return self._documents.all()

    def find_by_content(self, content_sha256: str) -> Document | None:
        """The document added first, when several have this content."""
        return self._documents.first_with_content(content_sha256)

    def find_by_path(self, path: Path) -> Document | None:
        return self._documents.first_with_path(path)

    def set_content(self, document_id: DocumentId, content_sha256: str, size_bytes: int) -> Document:
        with self._database.transaction():
            self._documents.set(document_id, content_sha256=content_sha256, size_bytes=size_bytes)
            return self._documents.get(document_id)

    def set_path(self, document_id: DocumentId, path: Path) -> Document:
        with self._database.transaction():
            self._documents.set_path(document_id, path)
            return self._documents.get(document_id)

    # ---- reading -----------------------------------------------------------------------------
    def begin_reading(self, document_id: DocumentId, kind: DocumentKind, title: str, page_count: int) -> Document:
        """Forget pages and problems of an earlier reading; state READING."""
        with self._database.transaction():
            self._documents.set(
                document_id,
                kind=kind,
                title=clean(title),
                page_count=page_count,
                pages_read=0,
                state=DocumentState.READING,
            )
            self._documents.clear_problems(document_id)
            if self._pages.delete_of(document_id):
                erasing.request(self._database)
            return self._documents.get(document_id)

    def save_pages(
        self, document_id: DocumentId, pages: Sequence[PageRead], problems: Sequence[PageProblem] = ()
    ) -> tuple[Chunk, ...]:
        """One transaction: pages, chunks and their full-text rows. Keyword search finds them from here on.

        `Document.pages_read` counts the pages that have text. Titles and file names are searched with the text.
        """
        with self._database.transaction():
            document = self._documents.get(document_id)
            with_text = sum(1 for read in pages if read.page.text.strip())
            self._documents.set(document_id, pages_read=document.pages_read + with_text)
            self._documents.add_problems(document_id, problems)
            return self._pages.insert(document_id, _search_title(document), pages)

    def save_vectors(self, fingerprint: str, chunk_ids: Sequence[ChunkId], vectors: Float32Matrix) -> None:
        with self._database.transaction():
            self._vectors.save(fingerprint, chunk_ids, vectors)

    def finish(self, document_id: DocumentId, state: DocumentState, problems: Sequence[PageProblem] = ()) -> Document:
        """Set the state and add `problems`; QUEUED, a new attempt, forgets the earlier ones first."""
        if not state.is_final and state is not DocumentState.QUEUED:
            raise ValueError(f"a reading cannot finish as {state.value}")
        with self._database.transaction():
            self._documents.set(document_id, state=state)
            if state is DocumentState.QUEUED:
                self._documents.clear_problems(document_id)
            self._documents.add_problems(document_id, problems)
            return self._documents.get(document_id)

    def recover_interrupted(self) -> tuple[DocumentId, ...]:
        """Documents whose reading was cut off by the end of the last process; they are QUEUED again."""
        with self._database.transaction():
            rows = self._database.rows(
                "UPDATE documents SET state = ? WHERE state = ? RETURNING id",
                (DocumentState.QUEUED, DocumentState.READING),
            )
        return tuple(sorted(DocumentId(row[0]) for row in rows))

    def remove(self, document_id: DocumentId) -> tuple[ChunkId, ...]:
        """Everything of it, in one transaction; returns the chunk ids that are gone.

        Rows are overwritten at once; call `tidy` until it is done to purge its words from the full-text table too.
        """
        with self._database.transaction():
            self._documents.get(document_id)
            gone = self._pages.delete_of(document_id)
            self._documents.delete(document_id)
            erasing.request(self._database)
        return gone

    def tidy(self) -> bool:
        """One short step of purging what was removed; True while there is more to do. Survives a restart."""
        return erasing.step(self._database)

    # ---- looking up --------------------------------------------------------------------------
    def page(self, document_id: DocumentId, page_no: int) -> PageText:
        return self._pages.get(document_id, page_no)

    def pages(self, document_id: DocumentId) -> Iterator[PageText]:
        return self._pages.iterate(document_id)

    def chunks(self, chunk_ids: Sequence[ChunkId]) -> tuple[Chunk, ...]:
        return self._pages.chunks(chunk_ids)

    def chunks_of(self, document_id: DocumentId) -> tuple[Chunk, ...]:
        return self._pages.chunks_of(document_id)

    def chunks_without_vector(self, fingerprint: str, limit: int) -> tuple[Chunk, ...]:
        return self._pages.chunks(self._vectors.missing(fingerprint, limit))

    def vectors(self, fingerprint: str) -> Iterator[tuple[tuple[ChunkId, ...], tuple[DocumentId, ...], Float32Matrix]]:
        return self._vectors.iterate(fingerprint)

    def bm25(
        self, terms: Mapping[str, float], limit: int, within: frozenset[DocumentId] | None = None
    ) -> tuple[ScoredChunk, ...]:
        return search.bm25(self._database, terms, limit, within)

    # ---- the file ----------------------------------------------------------------------------
    def use_fold_version(self, fold_version: str) -> None:
        """Make the full-text table again when it was made by another version of `fold`."""
        known = self._database.row("SELECT value FROM meta WHERE name = 'fold_version'")
        if known == (fold_version,):
            return
        with self._database.transaction():
            if known is not None:
                self._pages.rebuild_words((d.document_id, _search_title(d)) for d in self.documents())
            self._database.run("INSERT OR REPLACE INTO meta VALUES ('fold_version', ?)", (fold_version,))

    def is_sound(self) -> bool:
        """Whether every page of the file passes its check; reads the whole file."""
        return self._database.rows("PRAGMA quick_check(1)") == [("ok",)]

    def close(self) -> None:
        self._database.close()


def _search_title(document: Document) -> str:
    """What is searched besides the text: the title, and the file's name without its ending."""
    stem = clean(document.path.stem)
    return stem if document.title in ("", document.name, stem) else f"{document.title} {stem}"
