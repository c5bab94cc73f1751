"""The one thread that owns the store and the index. All SQLite and FAISS happens here, in order.

Steps are meant to stay under 100 ms; nobody waits for a child inside a step. Closing runs what is queued.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from app.core.errors import ErrorCode, JingyanError

T = TypeVar("T")


class LibraryThread:
    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="library")

    def submit(self, step: Callable[[], T]) -> Future[T]:
        try:
            return self._executor.submit(step)
        except RuntimeError as error:  # the program is closing
            raise JingyanError(ErrorCode.CANCELLED) from error

    def run(self, step: Callable[[], T]) -> T:
        """Run `step` on the library thread and wait for it. Never call this from the library thread."""
        return self.submit(step).result()

    def close(self) -> None:
        self._executor.shutdown(wait=True)
