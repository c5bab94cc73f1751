"""The last 8 KiB a child printed to stderr, drained by a thread so that the child never blocks on it."""

from __future__ import annotations

import threading
from typing import BinaryIO

from app.core.limits import STDERR_TAIL_BYTES

_READ_BYTES = 4096
_JOIN_S = 2.0


class StderrTail:
    def __init__(self) -> None:
        self._tail = bytearray()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def follow(self, stream: BinaryIO, thread_name: str) -> None:
        """Read `stream` to its end and close it, in a thread of its own."""
        self._thread = threading.Thread(target=self._drain, args=(stream,), name=thread_name, daemon=True)
        self._thread.start()

    def text(self) -> str:
        with self._lock:
            return self._tail.decode("utf-8", "replace")

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join(_JOIN_S)

    def _drain(self, stream: BinaryIO) -> None:
        with stream:
            while piece := stream.read(_READ_BYTES):
                with self._lock:
                    self._tail += piece
                    del self._tail[:-STDERR_TAIL_BYTES]
