"""A fixed number of seats for children: whoever takes one gets its child, started when needed and kept for the next.

Not a supervisor: nothing restarts by itself. A child that died, lied or has served long enough is replaced when the
seat is next used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from app.core.cancel import CancelToken
from app.core.errors import ErrorCode, JingyanError
from app.core.limits import MIB
from app.workers.host import Child

MAX_USES = 200  # MuPDF keeps fonts and caches; a fresh start costs a quarter of a second
MAX_IDLE_BYTES = 300 * MIB  # resident; a fresh ingest child has about 60 MiB
# After these the child is not to be used again, even if it still runs.
_SPOILT = frozenset({ErrorCode.CHILD_LIED, ErrorCode.READER_DIED, ErrorCode.READER_TIMED_OUT, ErrorCode.PAGE_TIMED_OUT})


class Seat:
    """One place for one child; used by one thread at a time. `holds` is for its user to note what the child has."""

    def __init__(self, start_child: Callable[[], Child]) -> None:
        self._start_child = start_child
        self._child: Child | None = None
        self._uses = 0
        self.holds = ""
        self.closed = False  # set once, when no child may be started any more

    def child(self) -> Child:
        """A living child. Raises CHILD_WILL_NOT_START, or READER_DIED after the seats were closed."""
        if self.closed:
            raise JingyanError(ErrorCode.READER_DIED)
        if self._child is not None and not self._child.alive:
            self.discard()
        if self._child is None:
            self._child = self._start_child()
            self._uses = 0
            self.holds = ""
        return self._child

    def recycle(self) -> None:
        """Count a use; a child that served often enough or grew too large is let go."""
        self._uses += 1
        if self._child is not None and (self._uses >= MAX_USES or _resident_bytes(self._child.pid) > MAX_IDLE_BYTES):
            self.discard()

    def kill(self) -> None:
        """End the child under its user; safe from any thread."""
        child = self._child
        if child is not None:
            child.kill()

    def discard(self) -> None:
        """End the child, whatever it does."""
        child, self._child, self.holds = self._child, None, ""
        if child is not None:
            child.kill()
            child.close()


class Seats:
    """Seats for at most `count` users at once; more wait in line."""

    def __init__(self, count: int, start_child: Callable[[], Child]) -> None:
        self._all = [Seat(start_child) for _ in range(count)]
        self._free = list(self._all)
        self._changed = threading.Condition()
        self._closed = False

    @contextmanager
    def take(self, cancel: CancelToken) -> Iterator[Seat]:
        """Wait for a free seat. Raises CANCELLED, or READER_DIED after close()."""
        seat = self._wait(cancel)
        try:
            yield seat
        except JingyanError as e:
            if e.code in _SPOILT:
                seat.discard()
            raise
        finally:
            seat.recycle()
            with self._changed:
                self._free.append(seat)
                if self._closed:
                    seat.discard()
                self._changed.notify_all()

    def close(self) -> None:
        """End every child; those in use die under their users."""
        with self._changed:
            self._closed = True
            for seat in self._all:
                seat.closed = True
                if seat in self._free:
                    seat.discard()
                else:
                    seat.kill()
            self._changed.notify_all()

    def _wait(self, cancel: CancelToken) -> Seat:
        forget = cancel.on_cancel(self._wake)
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._free or self._closed or cancel.cancelled)
                cancel.raise_if_cancelled()
                if self._closed:
                    raise JingyanError(ErrorCode.READER_DIED)
                return self._free.pop()
        finally:
            forget()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _resident_bytes(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
