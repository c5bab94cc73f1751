"""Frames over pipes: whole ones in, whole ones out, lengths capped before a byte is allocated.

Not the meaning of a frame (protocol) and not who waits for it (link). A pipe that ends in the middle of a frame is an
end like any other: its writer died.
"""

from __future__ import annotations

import os
import select
import struct
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO

from app.core.limits import MAX_FRAME_BODY_BYTES, MAX_FRAME_HEADER_BYTES
from app.workers.protocol import ProtocolError

_PREFIX = struct.Struct("<II")
_JOIN_BELOW_BYTES = 16 * 1024  # copying less than this is cheaper than a second buffer in the system call
READ_BUFFER_BYTES = 64 * 1024

Body = bytes | memoryview


class PipeStallError(Exception):
    """The other side has not taken a byte for the whole time-out."""


class FrameReader:
    """Reads frames from a buffered stream; one thread only."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self) -> tuple[bytes, bytes] | None:
        """(header, body), or None at the end of the pipe. Raises ProtocolError for a length above its cap."""
        prefix = self._stream.read(_PREFIX.size)
        if len(prefix) < _PREFIX.size:
            return None
        header_bytes, body_bytes = _PREFIX.unpack(prefix)
        if header_bytes > MAX_FRAME_HEADER_BYTES or body_bytes > MAX_FRAME_BODY_BYTES:
            raise ProtocolError("frame too long")
        header = self._stream.read(header_bytes)
        body = self._stream.read(body_bytes) if body_bytes else b""
        if len(header) < header_bytes or len(body) < body_bytes:
            return None
        return header, body

    def close(self) -> None:
        self._stream.close()


class FrameWriter:
    """Writes frames to a pipe, from any thread, each one whole.

    With `stall_timeout_s` a reader that takes nothing for so long raises PipeStallError; the pipe is torn then and
    the child has to go. Windows pipes cannot be polled: there `on_stall` is called from a timer and has to kill the
    other side, which makes the write fail. Raises OSError when the pipe is closed.
    """

    def __init__(self, fd: int, *, stall_timeout_s: float | None = None, on_stall: Callable[[], None] | None = None):
        self._fd = fd
        self._lock = threading.Lock()
        self._closed = False
        self._stall_timeout_s = stall_timeout_s
        self._on_stall = on_stall
        if stall_timeout_s is not None and sys.platform != "win32":
            os.set_blocking(fd, False)

    def write(self, header: bytes, body: Body = b"", *, timeout_s: float | None = None) -> None:
        """`timeout_s` shortens the stall time-out for this frame."""
        if len(header) > MAX_FRAME_HEADER_BYTES or len(body) > MAX_FRAME_BODY_BYTES:
            raise ValueError("frame too long")
        prefix = _PREFIX.pack(len(header), len(body))
        if len(body) < _JOIN_BELOW_BYTES:
            parts: list[Body] = [b"".join((prefix, header, body))]
        else:
            parts = [prefix + header, memoryview(body)]
        stall_s = self._stall_timeout_s
        if stall_s is not None and timeout_s is not None:
            stall_s = min(stall_s, timeout_s)
        with self._lock:
            if self._closed:
                raise BrokenPipeError
            if sys.platform == "win32":
                self._write_watched(parts, stall_s)
            else:
                self._write_polled(parts, stall_s)

    def close(self, *, timeout_s: float) -> bool:
        """The other side reads the end of the pipe. False when a write was stuck in it for so long."""
        if not self._lock.acquire(timeout=timeout_s):
            return False
        try:
            if not self._closed:
                self._closed = True
                os.close(self._fd)
        finally:
            self._lock.release()
        return True

    def _write_polled(self, parts: list[Body], stall_s: float | None) -> None:
        while parts:
            try:
                written = os.writev(self._fd, parts) if len(parts) > 1 else os.write(self._fd, parts[0])
            except BlockingIOError:
                self._wait_for_room(stall_s)
                continue
            while parts and written >= len(parts[0]):
                written -= len(parts.pop(0))
            if parts and written:
                parts[0] = memoryview(parts[0])[written:]

    def _wait_for_room(self, stall_s: float | None) -> None:
        poller = select.poll()
        poller.register(self._fd, select.POLLOUT)
        if not poller.poll(None if stall_s is None else max(0.0, stall_s) * 1000):
            raise PipeStallError

    def _write_watched(self, parts: list[Body], stall_s: float | None) -> None:
        timer = None
        if stall_s is not None and self._on_stall is not None:
            timer = threading.Timer(stall_s, self._on_stall)
            timer.daemon = True
            timer.start()
        try:
            for part in parts:
                rest = memoryview(part)
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
        finally:
            if timer is not None:
                timer.cancel()
