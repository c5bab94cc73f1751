"""The parent's DocumentReader: sandboxed ingest children, one document each at a time, nothing they say believed.

Reading and rendering use children of their own, so that a click on a citation never waits for a long reading.
A page that hangs or kills its child becomes a PageProblem and reading goes on behind it in a fresh child; after
MAX_LOST_CHILDREN of those the rest of the document is given up, with one PageProblem (page 0) that says from where.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

from app.core.cancel import CancelToken
from app.core.errors import ErrorCode, JingyanError, Reason
from app.core.limits import (
    MAX_DOCUMENT_TEXT_CHARS,
    MAX_FILE_BYTES,
    READER_DOCUMENT_TIMEOUT_S,
    READER_MEMORY_BYTES,
    READER_PAGE_TIMEOUT_S,
    RENDER_TIMEOUT_S,
    UPLOAD_PIECE_BYTES,
)
from app.core.ports import DocumentOpened, PageRead, ReadingEvent
from app.core.values import PageImage, PageProblem
from app.workers.host import Child, spawn
from app.workers.ingest_wire import unpack_image, unpack_missing, unpack_opened, unpack_page
from app.workers.protocol import Frame, Role
from app.workers.sandbox import Protection, SandboxSpec
from app.workers.seats import Seat, Seats

MAX_LOST_CHILDREN = 3  # hostile or damaged beyond use: each loss costs up to READER_PAGE_TIMEOUT_S
MAX_LOST_BEFORE_OPEN = 2
_DIED = (ErrorCode.READER_DIED, ErrorCode.READER_TIMED_OUT)


@dataclass(frozen=True, slots=True)
class ReaderTimeouts:
    """How long to wait for a sign of life; the values in core.limits except in tests."""

    page_s: float = READER_PAGE_TIMEOUT_S
    document_s: float = READER_DOCUMENT_TIMEOUT_S
    render_s: float = RENDER_TIMEOUT_S


def spawn_reader() -> Child:
    """An ingest child that may read nothing but the program itself."""
    return spawn(Role.INGEST, sandbox=SandboxSpec(memory_bytes=READER_MEMORY_BYTES))


class ReaderClient:
    """Implements core.ports.DocumentReader. Thread-safe; a call waits for a free child."""

    def __init__(
        self,
        *,
        readers: int = 1,
        start_child: Callable[[], Child] = spawn_reader,
        timeouts: ReaderTimeouts | None = None,
    ) -> None:
        self._timeouts = timeouts or ReaderTimeouts()
        self._readers = Seats(readers, start_child)
        self._renderers = Seats(1, start_child)

    def read(
        self, name: str, content: bytes, *, password: str = "", cancel: CancelToken | None = None
    ) -> Iterator[ReadingEvent]:
        """See DocumentReader.read. Close the iterator to stop early."""
        cancel = cancel or CancelToken()
        with self._readers.take(cancel) as seat:
            yield from _Reading(seat, name, content, password, cancel, self._timeouts).events()

    def render(self, name: str, content: bytes, page_no: int, width_px: int, *, password: str = "") -> PageImage:
        """The page as a picture. Raises what `read` raises, and PAGE_NOT_THERE, PAGE_BROKEN or PAGE_TIMED_OUT."""
        key = hashlib.sha256(content).hexdigest() + "\n" + password + "\n" + name
        with self._renderers.take(CancelToken()) as seat:
            child = seat.child()
            if seat.holds != key:
                seat.holds = ""
                _open(child, name, content, password, CancelToken(), self._timeouts)
                seat.holds = key
            try:
                args = {"page_no": page_no, "width_px": width_px}
                image = unpack_image(child.call("render", args, timeout_s=self._timeouts.render_s), page_no)
            except JingyanError as e:
                if e.code not in _DIED:
                    raise
                error = JingyanError(e.code)
                error.reason = _page_lost(e.code, page_no, self._timeouts.render_s)
                raise error from e
            return image

    def protection(self) -> Protection:
        """What was seen to hold in a reader; starts one when none runs."""
        with self._renderers.take(CancelToken()) as seat:
            return seat.child().protection

    def close(self) -> None:
        """End all children. A reading in progress ends with READER_DIED."""
        self._readers.close()
        self._renderers.close()


class _OutOfTimeError(Exception):
    """The document as a whole takes longer than allowed, though each page comes in time."""


class _Reading:
    """One document on its way through as many children as it takes."""

    def __init__(
        self, seat: Seat, name: str, content: bytes, password: str, cancel: CancelToken, timeouts: ReaderTimeouts
    ) -> None:
        self._seat = seat
        self._name = name
        self._content = content
        self._password = password
        self._cancel = cancel
        self._timeouts = timeouts
        self._next_page = 1
        self._chars = 0
        self._waited_s = 0.0
        self._lost_children = 0
        self._in_pages = False  # whether the child at work got as far as the pages
        self._opened: DocumentOpened | None = None
        self._finished = False

    def events(self) -> Iterator[ReadingEvent]:
        while not self._finished:
            try:
                yield from self._with_one_child()
                self._finished = True
            except _OutOfTimeError:
                yield from self._give_up(Reason(ErrorCode.READER_TIMED_OUT, {"timeout_s": self._timeouts.document_s}))
            except JingyanError as e:
                yield from self._after(e)

    def _with_one_child(self) -> Iterator[ReadingEvent]:
        """Open the document in a child and read from the next page on."""
        self._in_pages = False
        child = self._seat.child()
        opened = _open(child, self._name, self._content, self._password, self._cancel, self._timeouts)
        if self._opened is None:
            self._opened = opened
            yield opened
        elif opened != self._opened:
            raise JingyanError(ErrorCode.CHILD_LIED)
        self._in_pages = True
        yield from self._pages(child, opened.page_count)

    def _after(self, error: JingyanError) -> Iterator[PageProblem]:
        """What a failure means: a lost page and another child, the end of the document, or the error itself."""
        died = error.code in _DIED
        if died:
            self._seat.discard()
            self._lost_children += 1
        if error.code in (ErrorCode.CANCELLED, ErrorCode.CHILD_LIED) or self._seat.closed:
            raise error
        if self._opened is None:
            # A child that died may have been spoilt by the document before this one: once more with a fresh one.
            if error.code is ErrorCode.READER_DIED and self._lost_children < MAX_LOST_BEFORE_OPEN:
                return
            raise error
        if died and self._in_pages:
            yield PageProblem(self._next_page, _page_lost(error.code, self._next_page, self._timeouts.page_s))
            self._next_page += 1
        if self._next_page > self._opened.page_count:
            self._finished = True
        elif self._lost_children >= MAX_LOST_CHILDREN or not (died and self._in_pages):
            yield from self._give_up(error.reason)

    def _give_up(self, reason: Reason) -> Iterator[PageProblem]:
        """The rest of the pages, named in one problem of the whole document."""
        assert self._opened is not None
        facts = {**reason.facts, "first_page": self._next_page, "last_page": self._opened.page_count}
        yield PageProblem(0, Reason(reason.code, facts))
        self._finished = True

    def _pages(self, child: Child, page_count: int) -> Iterator[PageRead | PageProblem]:
        args = {"start_page": self._next_page}
        frames = child.stream("read", args, silence_timeout_s=self._timeouts.page_s, cancel=self._cancel)
        with closing(frames):  # left early, it cancels the call
            while (frame := self._next_frame(frames)).event != "done":
                if self._next_page > page_count:
                    raise JingyanError(ErrorCode.CHILD_LIED)
                yield from self._page(frame)
        if self._next_page <= page_count:
            raise JingyanError(ErrorCode.CHILD_LIED)

    def _page(self, frame: Frame) -> Iterator[PageRead | PageProblem]:
        if frame.event == "missing":
            missing = unpack_missing(frame.value, self._next_page)
            self._next_page += 1
            yield missing
            return
        if frame.event != "page":
            raise JingyanError(ErrorCode.CHILD_LIED)
        read, problem = unpack_page(frame.value, frame.body, self._next_page)
        self._chars += len(read.page.text)
        if self._chars > MAX_DOCUMENT_TEXT_CHARS:
            raise JingyanError(ErrorCode.TOO_MUCH_TEXT, limit=MAX_DOCUMENT_TEXT_CHARS)
        self._next_page += 1
        yield read
        if problem is not None:
            yield problem

    def _next_frame(self, frames: Iterator[Frame]) -> Frame:
        """The next frame, only the time spent waiting for the child counted."""
        started_s = time.monotonic()
        frame = next(frames)
        self._waited_s += time.monotonic() - started_s
        if self._waited_s > self._timeouts.document_s:
            raise _OutOfTimeError
        return frame


def _open(
    child: Child, name: str, content: bytes, password: str, cancel: CancelToken, timeouts: ReaderTimeouts
) -> DocumentOpened:
    """Send the bytes and open them."""
    if len(content) > MAX_FILE_BYTES:
        raise JingyanError(ErrorCode.FILE_TOO_LARGE, size_bytes=len(content), limit_bytes=MAX_FILE_BYTES)
    child.push("begin", {})
    view = memoryview(content)
    for start in range(0, len(content), UPLOAD_PIECE_BYTES):
        cancel.raise_if_cancelled()
        child.push("piece", {}, view[start : start + UPLOAD_PIECE_BYTES])
    args = {"name": name, "password": password, "size_bytes": len(content)}
    return unpack_opened(child.call("open", args, timeout_s=timeouts.page_s).value)


def _page_lost(code: ErrorCode, page_no: int, timeout_s: float) -> Reason:
    """What the end of a child means for the page it was at."""
    if code is ErrorCode.READER_TIMED_OUT:
        return Reason(ErrorCode.PAGE_TIMED_OUT, {"page_no": page_no, "timeout_s": timeout_s})
    return Reason(ErrorCode.PAGE_BROKEN, {"page_no": page_no})
