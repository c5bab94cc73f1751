"""A cancel token: set once by whoever asked, looked at by whoever works. Thread-safe, never reset."""

from __future__ import annotations

import threading
from collections.abc import Callable

from app.core.errors import ErrorCode, JingyanError


class CancelToken:
    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def cancel(self) -> None:
        """Set the token; runs the callbacks once, in this thread."""
        with self._lock:
            if self._event.is_set():
                return
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Run `callback` on cancel, at once if already cancelled. Returns a function that forgets it."""
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(callback)
                return lambda: self._forget(callback)
        callback()
        return lambda: None

    def wait(self, timeout_s: float) -> bool:
        return self._event.wait(timeout_s)

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise JingyanError(ErrorCode.CANCELLED)

    def _forget(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)
