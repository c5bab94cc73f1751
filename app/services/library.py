"""The library: add, read, list, search, show and remove documents.

Rows appear at once; one background thread reads files in the order they came. Store and index are only
touched on the library thread. A failure of one file never touches another.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.core.cancel import CancelToken
from app.core.errors import ErrorCode, JingyanError, Reason
from app.core.events import DocumentChanged, DocumentRemoved, LibraryEvent
from app.core.ports import DocumentReader, Embedder, Library, Unsubscribe
from app.core.values import Document, DocumentId, DocumentState, PageImage, PageProblem, PageText, Passage
from app.index.search import SearchIndex
from app.services.files import check_file, read_file
from app.services.library_thread import LibraryThread
from app.services.reading_job import ReadingJob
from app.services.searching import Searching
from app.services.subscribers import Subscribers
from app.services.vectors import VectorSink

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Task:
    document_id: DocumentId
    password: str


@dataclass(frozen=True, slots=True)
class _CatchUp:
    """Embed what an earlier run left without vectors."""


class LibraryService:
    def __init__(
        self,
        library: Library,
        index: SearchIndex,
        thread: LibraryThread,
        reader: DocumentReader,
        embedder: Embedder,
    ) -> None:
        self._library = library
        self._index = index
        self._thread = thread
        self._reader = reader
        self._vectors = VectorSink(library, index, thread)
        self._embedder = embedder
        self._searching = Searching(library, index, thread, embedder)
        self._subscribers: Subscribers[LibraryEvent] = Subscribers()
        self._job = ReadingJob(library, thread, reader, embedder, self._vectors, self._report)
        self._tasks: queue.Queue[_Task | _CatchUp | None] = queue.Queue()
        self._idle = threading.Condition()
        self._open_tasks = 0
        self._closing = threading.Event()
        self._unsaved: dict[DocumentId, Document] = {}  # states the disk had no room for; read again at the next start
        self._passwords: dict[DocumentId, str] = {}  # of this run only, so that pages of a locked file can be shown
        self._running: tuple[DocumentId, CancelToken] | None = None
        self._worker = threading.Thread(target=self._work, name="jobs-reading", daemon=True)
        self._worker.start()

    # ---- what is there -------------------------------------------------------------------------
    def documents(self) -> tuple[Document, ...]:
        return tuple(self._unsaved.get(d.document_id, d) for d in self._thread.run(self._library.documents))

    def page_text(self, document_id: DocumentId, page_no: int) -> PageText:
        return self._thread.run(lambda: self._library.page(document_id, page_no))

    def render_page(self, document_id: DocumentId, page_no: int, width_px: int) -> PageImage:
        """The page as an image, read afresh from the user's file; FILE_CHANGED when it is no longer the same."""
        document = self._thread.run(lambda: self._library.document(document_id))
        file = read_file(document.path)
        if file.sha256 != document.content_sha256:
            raise JingyanError(ErrorCode.FILE_CHANGED, name=document.name)
        password = self._passwords.get(document_id, "")
        return self._reader.render(document.name, file.content, page_no, width_px, password=password)

    def search(self, text: str, limit: int = 10, within: frozenset[DocumentId] | None = None) -> tuple[Passage, ...]:
        return self._searching.search(text, limit, within)

    def subscribe(self, callback: Callable[[LibraryEvent], None]) -> Unsubscribe:
        return self._subscribers.add(callback)

    # ---- changes -------------------------------------------------------------------------------
    def add(self, paths: Sequence[Path]) -> tuple[Document, ...]:
        """A row per path at once: QUEUED, or REFUSED with its reason. A path already there is read again only
        when its content changed or it was not usable."""
        return tuple(self._add_one(path.absolute()) for path in paths)

    def retry(self, document_id: DocumentId, password: str = "") -> Document:
        document = self._thread.run(lambda: self._library.finish(document_id, DocumentState.QUEUED))
        self._report(document)
        self._enqueue(_Task(document_id, password))
        return document

    def remove(self, document_id: DocumentId) -> None:
        running = self._running
        if running and running[0] == document_id:
            running[1].cancel()

        def step() -> None:
            self._index.remove(self._library.remove(document_id))

        self._thread.run(step)
        self._passwords.pop(document_id, None)
        self._subscribers.tell(DocumentRemoved(document_id))
        self._thread.submit(self._tidy)

    def resume(self) -> None:
        """Read again what an earlier run left unfinished, and embed chunks that have no vector yet."""
        self._thread.submit(self._tidy)
        self._tasks.put(_CatchUp())
        try:
            self._thread.run(self._library.recover_interrupted)
        except JingyanError as error:  # a full disk must not keep people from what they have
            log.warning("interrupted readings stay as they are: %s", error.code)
        for document in self._thread.run(self._library.documents):
            if document.state is DocumentState.QUEUED:
                self._enqueue(_Task(document.document_id, ""))

    def wait_idle(self, timeout_s: float | None = None) -> bool:
        """True when every file added so far is in its final state."""
        with self._idle:
            return self._idle.wait_for(lambda: self._open_tasks == 0, timeout_s)

    def close(self) -> None:
        """Stop after the current page; what was being read is read again at the next start."""
        self._closing.set()
        if running := self._running:
            running[1].cancel()
        self._tasks.put(None)
        self._worker.join(timeout=10.0)

    # ---- one file ------------------------------------------------------------------------------
    def _add_one(self, path: Path) -> Document:
        try:
            size_bytes, reason = check_file(path), None
        except JingyanError as error:
            size_bytes, reason = 0, error.reason

        def step() -> tuple[Document, bool]:
            known = self._library.find_by_path(path)
            if known and not known.state.is_final:
                return known, False
            document = known or self._library.add_document(path, size_bytes)
            if reason:
                return self._library.finish(
                    document.document_id, DocumentState.REFUSED, _whole(reason, path.name)
                ), False
            if known:
                document = self._library.finish(known.document_id, DocumentState.QUEUED)
            return document, True

        document, read = self._thread.run(step)
        self._report(document)
        if read:
            self._enqueue(_Task(document.document_id, ""))
        return document

    def _enqueue(self, task: _Task) -> None:
        with self._idle:
            self._open_tasks += 1
        self._tasks.put(task)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None and not self._closing.is_set():
            if isinstance(task, _Task):
                self._run_task(task)
            else:
                self._catch_up_vectors()

    def _run_task(self, task: _Task) -> None:
        cancel = CancelToken()
        self._running = (task.document_id, cancel)
        try:
            self._read_one(task, cancel)
        except Exception:
            # The edge of this thread: a bug in one file's reading must not stop the reading of the others.
            log.exception("reading failed")
            self._end_early(task.document_id, Reason(ErrorCode.DOCUMENT_BROKEN))
        finally:
            self._running = None
            with self._idle:
                self._open_tasks -= 1
                self._idle.notify_all()

    def _tidy(self) -> None:
        """Erase what removed documents left behind, in short steps between those that somebody waits for."""
        try:
            more = self._library.tidy()
        except JingyanError as error:
            log.warning("tidying stopped: %s", error.code)
            return
        if more and not self._closing.is_set():
            self._thread.submit(self._tidy)

    def _catch_up_vectors(self) -> None:
        try:
            self._vectors.catch_up(self._embedder, self._closing.is_set)
        except JingyanError as error:
            log.warning("vectors not caught up: %s", error.code)

    def _read_one(self, task: _Task, cancel: CancelToken) -> None:
        try:
            document = self._thread.run(lambda: self._library.document(task.document_id))
            file = read_file(document.path, cancel)
            if self._is_unchanged(document, file.sha256) or self._is_duplicate(document, file.sha256):
                return
            document = self._thread.run(
                lambda: self._library.set_content(document.document_id, file.sha256, len(file.content))
            )
            self._report(self._job.run(document, file, task.password, cancel))
            if task.password:
                self._passwords[task.document_id] = task.password
        except JingyanError as error:
            if error.code not in (ErrorCode.CANCELLED, ErrorCode.DOCUMENT_NOT_THERE):
                self._end_early(task.document_id, error.reason)

    def _is_unchanged(self, document: Document, sha256: str) -> bool:
        """Added again with the same content and pages already there: nothing to read."""
        if document.content_sha256 != sha256 or document.pages_read < max(1, document.page_count):
            return False
        state = DocumentState.PARTIAL if document.problems else DocumentState.READY
        self._report(self._thread.run(lambda: self._library.finish(document.document_id, state)))
        return True

    def _is_duplicate(self, document: Document, sha256: str) -> bool:
        """The same content is there under another path: keep that row (with the new path if the old is gone)."""

        def step() -> Document | None:
            twin = self._library.find_by_content(sha256)
            if twin is None or twin.document_id == document.document_id or twin.state is DocumentState.REFUSED:
                return None
            self._index.remove(self._library.remove(document.document_id))
            return twin if twin.path.exists() else self._library.set_path(twin.document_id, document.path)

        twin = self._thread.run(step)
        if twin is None:
            return False
        self._subscribers.tell(DocumentRemoved(document.document_id))
        self._report(twin)
        return True

    def _end_early(self, document_id: DocumentId, reason: Reason) -> None:
        """Nothing of it is usable, or, when pages had been saved before it failed, not all of it."""

        try:
            document = self._thread.run(lambda: self._library.document(document_id))
        except JingyanError as error:  # removed meanwhile
            log.warning("no document to end: %s", error.code)
            return
        usable = document.pages_read > 0 and reason.code is not ErrorCode.NO_TEXT
        state, problems = DocumentState.PARTIAL if usable else DocumentState.REFUSED, _whole(reason, document.name)
        try:
            self._report(self._thread.run(lambda: self._library.finish(document_id, state, problems)))
        except JingyanError as error:
            log.warning("could not record how a reading ended: %s", error.code)
            ended = replace(document, state=state, problems=(*document.problems, *problems))
            self._report(ended)
            self._unsaved[document_id] = ended

    def _report(self, document: Document) -> None:
        self._unsaved.pop(document.document_id, None)
        self._subscribers.tell(DocumentChanged(document))


def _whole(reason: Reason, name: str) -> tuple[PageProblem, ...]:
    """A problem of the whole document; sentences name the file."""
    return (PageProblem(0, Reason(reason.code, {"name": name, **reason.facts})),)
