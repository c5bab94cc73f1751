"""Who wants to hear about changes. Callbacks run on the thread that reports; they must be quick and not raise."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from app.core.ports import Unsubscribe

Event = TypeVar("Event")


class Subscribers(Generic[Event]):
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[Event], None]] = []

    def add(self, callback: Callable[[Event], None]) -> Unsubscribe:
        with self._lock:
            self._callbacks.append(callback)
        return lambda: self._remove(callback)

    def tell(self, event: Event) -> None:
        with self._lock:
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            callback(event)

    def _remove(self, callback: Callable[[Event], None]) -> None:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)
