"""Background jobs of the window: run off the main thread, come back in it, and never fail silently.

A job that raises goes to its own `on_failure`, else to `failed` (the default error path, shown to the user).
After close() nothing is called any more; jobs still running are waited for in join().
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from PySide6.QtCore import QObject, Qt, Signal, Slot

from app.core.errors import JingyanError, Reason

T = TypeVar("T")

_THREADS = 6  # an answer, a model load, an add and a few pages at the same time; more would only queue in the services
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed; `reason` is None for a bug, whose traceback is in the log."""

    reason: Reason | None


class Tasks(QObject):
    failed = Signal(object)  # Failure
    _ended = Signal(object)  # a callable for the main thread

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="jobs")
        self._closed = False
        self._ended.connect(self._come_back, Qt.ConnectionType.QueuedConnection)

    def run(
        self,
        job: Callable[[], T],
        on_success: Callable[[T], None] | None = None,
        on_failure: Callable[[Failure], None] | None = None,
    ) -> None:
        """Run `job` on a thread; exactly one of the two callbacks runs later, in the main thread."""
        if not self._closed:
            self._pool.submit(self._work, job, on_success, on_failure or self.failed.emit)

    def close(self) -> None:
        """Drop what waits and all callbacks; does not wait."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def join(self) -> None:
        """Wait until the jobs that were running at close() have ended."""
        self._pool.shutdown(wait=True)

    def _work(
        self, job: Callable[[], T], on_success: Callable[[T], None] | None, on_failure: Callable[[Failure], None]
    ) -> None:
        try:
            value = job()
        except Exception as error:  # noqa: BLE001 - the edge: whatever a job raises is told, known errors by their code
            failure = failure_of(error)
            self._send(lambda: on_failure(failure))
        else:
            if on_success is not None:
                self._send(lambda: on_success(value))

    def _send(self, callback: Callable[[], None]) -> None:
        if not self._closed:
            self._ended.emit(callback)

    @Slot(object)
    def _come_back(self, callback: Callable[[], None]) -> None:
        if not self._closed:
            callback()


def failure_of(error: BaseException) -> Failure:
    if isinstance(error, JingyanError):
        return Failure(error.reason)
    _log.error("a background job failed", exc_info=error)
    return Failure(None)
