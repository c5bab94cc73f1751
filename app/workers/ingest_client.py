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
                if e.code in _DIED:
                    raise JingyanError(_code_of_page(e.code), page=page_no) from e
                raise
            return image

    def protection(self) -> Protection:
        """What was seen to hold in a reader; starts one when none runs."""
        with self._renderers.take(CancelToken()) as seat:
            return seat.child().protection

    def close(self) -> None:
        """End all children. A reading in progress ends with READER_DIED."""
        self._readers.close()
        self._renderers.close()


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
        self._opened: DocumentOpened | None = None

    def events(self) -> Iterator[ReadingEvent]:
        lost = 0
        while True:
            in_pages = False
            try:
                child = self._seat.child()
                opened = _open(child, self._name, self._content, self._password, self._cancel, self._timeouts)
                if self._opened is None:
                    self._opened = opened
                    yield opened
                elif opened != self._opened:
                    raise JingyanError(ErrorCode.CHILD_LIED)
                in_pages = True
                yield from self._pages(child, opened.page_count)
                return
            except JingyanError as e:
                reason = e.reason
            if reason.code in _DIED:
                self._seat.discard()
                lost += 1
            if reason.code is ErrorCode.CANCELLED or reason.code is ErrorCode.CHILD_LIED or self._opened is None:
                raise _again(reason)
            if reason.code in _DIED and in_pages:
                yield PageProblem(self._next_page, Reason(_code_of_page(reason.code), {"page": self._next_page}))
                self._next_page += 1
            if self._next_page > self._opened.page_count:
                return
            if lost >= MAX_LOST_CHILDREN or not in_pages or reason.code not in _DIED:
                yield self._given_up(reason, self._opened.page_count)
                return

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
            raise JingyanError(ErrorCode.TOO_MANY_PAGES, seconds=round(self._timeouts.document_s))
        return frame

    def _given_up(self, reason: Reason, page_count: int) -> PageProblem:
        facts = {**reason.facts, "first_page": self._next_page, "last_page": page_count}
        return PageProblem(0, Reason(reason.code, facts))


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


def _code_of_page(code: ErrorCode) -> ErrorCode:
    return ErrorCode.PAGE_TIMED_OUT if code is ErrorCode.READER_TIMED_OUT else ErrorCode.PAGE_BROKEN


def _again(reason: Reason) -> JingyanError:
    error = JingyanError(reason.code)
    error.reason = reason
    return error
