"""Read one document from the child into the store, page by page, then give its chunks their vectors.

Order of truth: pages and chunks are saved first (keyword search finds them from then on), vectors follow in
one step per batch, and only then is the document READY. A page that fails leaves the rest usable (PARTIAL).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from app.core.cancel import CancelToken
from app.core.errors import ErrorCode, JingyanError
from app.core.ports import DocumentOpened, DocumentReader, Embedder, Library, PageRead
from app.core.values import Chunk, Document, DocumentId, DocumentState, PageProblem
from app.services.files import FileContent
from app.services.library_thread import LibraryThread
from app.services.vectors import VectorSink

SAVE_EVERY_PAGES = 16  # one transaction costs about as much as saving ten pages
SAVE_EVERY_S = 0.25  # so that progress is seen on slow pages
EMBED_BATCH = 64  # about 25 ms of the static embedder

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pending:
    """Pages and problems that have arrived and are not saved yet, and totals for the end."""

    pages: list[PageRead] = field(default_factory=list)
    problems: list[PageProblem] = field(default_factory=list)
    saved_at: float = field(default_factory=time.monotonic)
    chunks: list[Chunk] = field(default_factory=list)
    any_text: bool = False
    any_problem: bool = False

    @property
    def due(self) -> bool:
        return len(self.pages) >= SAVE_EVERY_PAGES or time.monotonic() - self.saved_at >= SAVE_EVERY_S


class ReadingJob:
    def __init__(
        self,
        library: Library,
        thread: LibraryThread,
        reader: DocumentReader,
        embedder: Embedder,
        vectors: VectorSink,
        report: Callable[[Document], None],
    ) -> None:
        self._library = library
        self._thread = thread
        self._reader = reader
        self._embedder = embedder
        self._vectors = vectors
        self._report = report

    def run(self, document: Document, file: FileContent, password: str, cancel: CancelToken) -> Document:
        """The document in its final state. Raises JingyanError when nothing of the file could be had."""
        pending = self._read_pages(document, file, password, cancel)
        if not pending.any_text:
            raise JingyanError(ErrorCode.NO_TEXT)
        self._embed(pending.chunks, cancel)
        state = DocumentState.PARTIAL if pending.any_problem else DocumentState.READY
        return self._thread.run(lambda: self._library.finish(document.document_id, state))

    def _read_pages(self, document: Document, file: FileContent, password: str, cancel: CancelToken) -> _Pending:
        pending = _Pending()
        for event in self._reader.read(document.name, file.content, password=password, cancel=cancel):
            match event:
                case DocumentOpened():
                    self._begin(document.document_id, event)
                case PageRead():
                    pending.pages.append(event)
                    pending.any_text = pending.any_text or bool(event.page.text.strip())
                case PageProblem():
                    pending.problems.append(event)
                    pending.any_problem = True
            if pending.due:
                self._save(document.document_id, pending)
        self._save(document.document_id, pending)
        return pending

    def _begin(self, document_id: DocumentId, opened: DocumentOpened) -> None:
        def step() -> Document:
            self._vectors.forget(document_id)  # of an earlier reading
            return self._library.begin_reading(document_id, opened.kind, opened.title, opened.page_count)

        self._report(self._thread.run(step))

    def _save(self, document_id: DocumentId, pending: _Pending) -> None:
        pages, problems = tuple(pending.pages), tuple(pending.problems)
        pending.pages.clear()
        pending.problems.clear()
        pending.saved_at = time.monotonic()
        if not pages and not problems:
            return

        def step() -> tuple[tuple[Chunk, ...], Document]:
            chunks = self._library.save_pages(document_id, pages, problems)
            return chunks, self._library.document(document_id)

        chunks, document = self._thread.run(step)
        pending.chunks += chunks
        self._report(document)

    def _embed(self, chunks: list[Chunk], cancel: CancelToken) -> None:
        """Without an embedder the document is still READY: keywords find it, vectors come at the next start."""
        try:
            for at in range(0, len(chunks), EMBED_BATCH):
                cancel.raise_if_cancelled()
                self._vectors.add(self._embedder, tuple(chunks[at : at + EMBED_BATCH]))
        except JingyanError as error:
            if error.code is ErrorCode.CANCELLED:
                raise
            log.warning("embedding failed: %s", error.code)
