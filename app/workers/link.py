"""One end of the conversation over two pipes; parent and child each hold one. Knows calls, not processes.

One thread runs `read_until_end`; it takes frames apart, hands answers and events to whoever waits for them, cancels
and credits to running calls, and runs pushes itself, in order. Calls from the other side are run by the threads that
execute `work`. What happens when the other side breaks the protocol or the pipe ends is decided by the owner.
"""

from __future__ import annotations

import itertools
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping

from app.core.errors import JingyanError, Reason
from app.core.limits import MAX_FRAME_BODY_BYTES, MAX_FRAME_HEADER_BYTES
from app.workers.calls import Call, Exchange, Handler
from app.workers.frames import Body, FrameReader, FrameWriter, PipeStallError
from app.workers.protocol import (
    AnswerHeader,
    CallHeader,
    CancelHeader,
    CreditHeader,
    EventHeader,
    FailureHeader,
    Header,
    JsonValue,
    ProtocolError,
    PushHeader,
    Reply,
    Role,
    decode,
    encode,
    to_error,
    to_failure,
)

MAX_RUNNING_CALLS = 64  # more unanswered calls than any use case makes; a child that asks more is flooding
MAX_QUEUED_BYTES = 256 * 1024 * 1024  # bodies of calls not yet answered; two of the largest


class Link:
    """`role` gives the codes for a handler's bug and a time-out; only a child takes pushes, cancels and credits."""

    def __init__(
        self,
        source: FrameReader,
        sink: FrameWriter,
        handlers: Mapping[str, Handler],
        *,
        role: Role,
        in_child: bool,
    ) -> None:
        self._source = source
        self._sink = sink
        self._handlers = handlers
        self._role = role
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._pending: dict[int, Exchange] = {}
        self._running: dict[int, Call] = {}
        self._queued_bytes = 0
        self._jobs: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._ended_with: Reason | None = None
        self._takers: dict[type, Callable[..., None]] = {
            EventHeader: self._take_event,
            AnswerHeader: self._take_last,
            FailureHeader: self._take_last,
            CallHeader: self._take_call,
        }
        if in_child:  # anywhere else they are a lie, or a way to keep the reader thread busy
            self._takers |= {
                PushHeader: self._take_push,
                CancelHeader: self._take_cancel,
                CreditHeader: self._take_credit,
            }
        self._in_child = in_child

    # ---- asking --------------------------------------------------------------------------------
    def begin(self, method: str, args: Mapping[str, object], body: Body, timeout_s: float) -> Exchange:
        """Send a call. Raises OSError or PipeStallError when the pipe does not take it, JingyanError after the end."""
        exchange = Exchange(next(self._ids))
        header = encode(CallHeader(exchange.call_id, method, dict(args)))
        with self._lock:
            if self._ended_with is not None:
                raise to_error(self._ended_with)
            self._pending[exchange.call_id] = exchange
        try:
            self._sink.write(header, body, timeout_s=timeout_s)
        except ValueError:  # too long; nothing was sent
            with self._lock:
                self._pending.pop(exchange.call_id, None)
            raise
        return exchange

    def send(self, header: Header, body: Body = b"", *, timeout_s: float | None = None) -> int:
        """Write one frame; returns its size without the prefix."""
        header_bytes = encode(header)
        self._sink.write(header_bytes, body, timeout_s=timeout_s)
        return len(header_bytes) + len(body)

    def ask(self, method: str, args: Mapping[str, object], body: Body, timeout_s: float) -> Reply:
        """A call as a handler makes it; events are dropped, and so is an answer that comes too late."""
        deadline = time.monotonic() + timeout_s
        exchange = self.begin(method, args, body, timeout_s)
        while True:
            try:
                item = exchange.take(deadline - time.monotonic())
            except queue.Empty:
                raise JingyanError(self._role.timed_out) from None
            if isinstance(item, Reason):
                raise to_error(item)
            if isinstance(item, tuple) and not isinstance(item[0], EventHeader):
                return to_reply(item[0], item[1])

    # ---- the reader thread ---------------------------------------------------------------------
    def read_until_end(self) -> None:
        """Take frames until the pipe ends. Raises ProtocolError when the other side breaks the protocol."""
        while (frame := self._source.read()) is not None:
            untrusted = decode(frame[0])
            taker = self._takers.get(type(untrusted))
            if taker is None:
                raise ProtocolError("out of turn")
            taker(untrusted, frame[1], len(frame[0]) + len(frame[1]))

    def end(self, reason: Reason) -> None:
        """The other side is gone: everyone who waits gets `reason`, running calls are cancelled, workers stop."""
        with self._lock:
            self._ended_with = self._ended_with or reason
            pending = list(self._pending.values())
            self._pending.clear()
            running = list(self._running.values())
        for exchange in pending:
            exchange.put_last(reason)
        for call in running:
            call.cancel()
        self._jobs.put(None)

    def _take_event(self, untrusted: EventHeader, body: bytes, size_bytes: int) -> None:
        self._exchange(untrusted.id).put_event(untrusted, body, size_bytes)

    def _take_last(self, untrusted: AnswerHeader | FailureHeader, body: bytes, size_bytes: int) -> None:
        exchange = self._exchange(untrusted.id)
        with self._lock:
            self._pending.pop(untrusted.id, None)
        exchange.put_last((untrusted, body, size_bytes))

    def _take_call(self, untrusted: CallHeader, body: bytes, _size_bytes: int) -> None:
        call = self._call(untrusted.id, untrusted.method, untrusted.args, body)
        with self._lock:
            self._queued_bytes += len(body)
            if untrusted.id in self._running:
                raise ProtocolError("call id used twice")
            if len(self._running) >= MAX_RUNNING_CALLS or self._queued_bytes > MAX_QUEUED_BYTES:
                raise ProtocolError("flood of calls")
            self._running[untrusted.id] = call
        if not self._handlers:
            raise ProtocolError("nobody to call")
        self._jobs.put(call)

    def _take_push(self, untrusted: PushHeader, body: bytes, _size_bytes: int) -> None:
        handler = self._handlers.get(untrusted.method)
        if handler is None:
            raise ProtocolError("unknown push")
        handler(self._call(0, untrusted.method, untrusted.args, body))

    def _take_cancel(self, untrusted: CancelHeader, _body: bytes, _size_bytes: int) -> None:
        if (call := self._running.get(untrusted.id)) is not None:
            call.cancel()

    def _take_credit(self, untrusted: CreditHeader, _body: bytes, _size_bytes: int) -> None:
        if (call := self._running.get(untrusted.id)) is not None:
            call.add_credit(untrusted.frames, untrusted.size_bytes)

    def _exchange(self, untrusted_id: int) -> Exchange:
        exchange = self._pending.get(untrusted_id)
        if exchange is None:
            raise ProtocolError("answer to no question")
        return exchange

    def _call(self, call_id: int, method: str, args: Mapping[str, JsonValue], body: bytes) -> Call:
        return Call(call_id, method, args, body, self._emit, self.ask)

    # ---- worker threads ------------------------------------------------------------------------
    def work(self) -> None:
        """Run calls from the other side, one after the other, until the end."""
        while (call := self._jobs.get()) is not None:
            header, body = self._run(call)
            call.finish()
            with self._lock:
                self._running.pop(call.call_id, None)
                self._queued_bytes -= len(call.body)
            try:
                self._sink.write(header, body)
            except (OSError, PipeStallError):
                break  # the pipe is gone; the reader thread sees it too and decides
        self._jobs.put(None)  # for the next worker

    def _run(self, call: Call) -> tuple[bytes, Body]:
        """The encoded last word on this call, and its body."""
        try:
            result = self._handlers[call.method](call)
            value, body = result if isinstance(result, tuple) else (result, b"")
            header = encode(AnswerHeader(call.call_id, value))
            if len(header) > MAX_FRAME_HEADER_BYTES or len(body) > MAX_FRAME_BODY_BYTES:
                raise ValueError("answer too long")
        except JingyanError as error:
            return encode(to_failure(call.call_id, error)), b""
        except Exception:  # noqa: BLE001  the edge: a bug in a handler must not take the others along
            traceback.print_exc(file=sys.stderr)
            return encode(to_failure(call.call_id, JingyanError(self._role.died))), b""
        return header, body

    def _emit(self, call_id: int, event: str, value: object, body: Body) -> int:
        if not self._in_child:
            raise TypeError("only a child's handlers emit events: nobody would open their window again")
        return self.send(EventHeader(call_id, event, value), body)


def to_reply(untrusted: AnswerHeader | FailureHeader | EventHeader, body: bytes) -> Reply:
    """The answer, or its failure raised."""
    if isinstance(untrusted, FailureHeader):
        raise to_error(Reason(untrusted.code, dict(untrusted.facts)))
    return Reply(untrusted.value, body)
