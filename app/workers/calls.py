"""The two ends of one call: `Exchange` for who asked, `Call` for who answers. No pipe in here.

Both count what flows, so that neither a slow consumer nor a flooding child can grow the other's memory: the answering
side stops at a window of unconsumed events, and the asking side calls more than that a lie.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from app.core.cancel import CancelToken
from app.core.errors import Reason
from app.workers.frames import Body
from app.workers.protocol import (
    WINDOW_BYTES,
    WINDOW_FRAMES,
    AnswerHeader,
    EventHeader,
    FailureHeader,
    JsonValue,
    ProtocolError,
    Reply,
)

_CREDIT_WAIT_S = 1.0  # how often a waiting emit looks whether its link still lives


class Woken:
    """Put into an inbox to make its owner look at the clock and the cancel token."""


WOKEN: Final = Woken()
Arrival: TypeAlias = tuple[EventHeader | AnswerHeader | FailureHeader, bytes, int]  # header, body, size of both
Item: TypeAlias = Arrival | Reason | Woken


class Exchange:
    """A call we made, from the first byte sent until it is answered or the other side is gone.

    One reader thread puts, one consumer takes; each counter has a single writer, so no lock is needed.
    """

    __slots__ = ("_granted_bytes", "_granted_frames", "_inbox", "_put_bytes", "_put_frames", "call_id", "ended")

    def __init__(self, call_id: int) -> None:
        self.call_id = call_id
        self.ended = False  # set by the consumer side once it has seen the last word
        self._inbox: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._put_frames = self._put_bytes = self._granted_frames = self._granted_bytes = 0

    def put_event(self, header: EventHeader, body: bytes, size_bytes: int) -> None:
        """Raises ProtocolError when the window was full already."""
        if (
            self._put_frames - self._granted_frames >= WINDOW_FRAMES
            or self._put_bytes - self._granted_bytes >= WINDOW_BYTES
        ):
            raise ProtocolError("flood")
        self._put_frames += 1
        self._put_bytes += size_bytes
        self._inbox.put((header, body, size_bytes))

    def put_last(self, item: Arrival | Reason) -> None:
        self._inbox.put(item)

    def wake(self) -> None:
        self._inbox.put(WOKEN)

    def take(self, timeout_s: float) -> Item:
        """The next item. Raises queue.Empty after `timeout_s`."""
        item = self._inbox.get(timeout=max(0.0, timeout_s))
        if isinstance(item, Reason) or (isinstance(item, tuple) and not isinstance(item[0], EventHeader)):
            self.ended = True
        return item

    def grant(self, frames: int, size_bytes: int) -> None:
        """So much was consumed; has to come before the credit is sent."""
        self._granted_frames += frames
        self._granted_bytes += size_bytes


class Call:
    """One call as its handler sees it. `emit`, `ask` and `cancelled` may be used from any thread."""

    __slots__ = (
        "_answered",
        "_ask",
        "_credit",
        "_emit",
        "_frames_left",
        "_size_left",
        "args",
        "body",
        "call_id",
        "method",
        "token",
    )

    def __init__(
        self,
        call_id: int,
        method: str,
        args: Mapping[str, JsonValue],
        body: bytes,
        emit: Callable[[int, str, object, Body], int],
        ask: Callable[[str, Mapping[str, object], Body, float], Reply],
    ) -> None:
        self.call_id = call_id  # 0 for a push
        self.method = method
        self.args = args
        self.body = body
        self.token = CancelToken()
        self._emit = emit
        self._ask = ask
        self._credit = threading.Condition()
        self._frames_left = WINDOW_FRAMES
        self._size_left = WINDOW_BYTES
        self._answered = False

    @property
    def cancelled(self) -> bool:
        """Whoever asked no longer wants the answer; end soon, with any answer or JingyanError(CANCELLED)."""
        return self.token.cancelled

    def emit(self, event: str, value: object = None, body: Body = b"") -> None:
        """Send one event to the caller; waits while its window is full. After a cancel a full window drops the event.

        `value`: anything msgspec can write as JSON (dicts, lists, frozen dataclasses, structs).
        """
        if self.call_id == 0:
            raise TypeError("a push has nobody to send events to")
        with self._credit:  # held while sending, so that the count stays in step with the pipe
            while not self._answered and (self._frames_left <= 0 or self._size_left <= 0):
                if self.token.cancelled:
                    return
                self._credit.wait(_CREDIT_WAIT_S)
            if self._answered:
                raise RuntimeError("emit after the answer")
            self._frames_left -= 1
            self._size_left -= self._emit(self.call_id, event, value, body)

    def ask(self, method: str, args: Mapping[str, object], body: Body = b"", *, timeout_s: float) -> Reply:
        """Call the other side back (a handler it was given at spawn)."""
        return self._ask(method, args, body, timeout_s)

    def add_credit(self, frames: int, size_bytes: int) -> None:
        with self._credit:
            self._frames_left += frames
            self._size_left += size_bytes
            self._credit.notify_all()

    def finish(self) -> None:
        """The handler has returned: from here on `emit` raises RuntimeError, in whatever thread it runs."""
        with self._credit:
            self._answered = True
            self._credit.notify_all()

    def cancel(self) -> None:
        """Set the token and wake an emit that waits for credit."""
        self.token.cancel()
        with self._credit:
            self._credit.notify_all()


HandlerResult: TypeAlias = JsonValue | tuple[JsonValue, bytes] | None
Handler: TypeAlias = Callable[[Call], HandlerResult]
