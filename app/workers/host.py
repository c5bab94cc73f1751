"""The parent's side of one child process: spawn, call, stream, push, cancel, kill.

Not what a child does (engine_main, ingest_main) and not when to start another one (supervisor). Promises: every wait
ends by itself; a child that hangs, floods, lies or ignores a cancel is killed and its callers get a JingyanError;
nothing a child sends grows this process beyond the caps of core.limits and protocol.WINDOW_*. Thread-safe.
"""

from __future__ import annotations

import io
import os
import queue
import subprocess  # only for the type and its exceptions; starting is in launch
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from app.core.cancel import CancelToken
from app.core.errors import ErrorCode, JingyanError, Reason
from app.core.limits import CHILD_START_TIMEOUT_S
from app.workers.calls import Exchange, Handler, Item, Woken
from app.workers.frames import READ_BUFFER_BYTES, Body, FrameReader, FrameWriter, PipeStallError
from app.workers.launch import command_of, launch
from app.workers.link import Link, to_reply
from app.workers.protocol import (
    PROTOCOL_VERSION,
    WINDOW_BYTES,
    WINDOW_FRAMES,
    CancelHeader,
    CreditHeader,
    EventHeader,
    Frame,
    Hello,
    ProtocolError,
    PushHeader,
    Reply,
    Role,
    Setup,
    decode,
    to_error,
)
from app.workers.sandbox import Protection, SandboxSpec
from app.workers.stderr_tail import StderrTail

if TYPE_CHECKING:
    from typing import BinaryIO

PIPE_STALL_S = 30.0  # a child whose reader thread takes nothing for so long is hung
CANCEL_GRACE_S = 3.0  # one micro-batch of a 9B can take longer, but nobody who cancels waits longer than this
HANG_GRACE_S = 0.5  # a child that was silent too long gets this to answer a cancel; it has had its time
EXIT_GRACE_S = 2.0  # from closing the pipe to the kill
_BURIAL_S = 5.0  # waiting for the system to take a killed process away


@dataclass(frozen=True, slots=True)
class ChildExit:
    """How a child ended. `asked`: close() or kill() was called before. `exit_code` is negative for a signal."""

    pid: int
    exit_code: int | None
    asked: bool
    lied: bool
    lived_s: float


class Child:
    """One running child. Made by `spawn`; `protection` says what was seen to hold in it."""

    def __init__(
        self,
        role: Role,
        command: Sequence[str],
        setup: Setup,
        handlers: Mapping[str, Handler],
        on_exit: Callable[[ChildExit], None] | None,
    ) -> None:
        self.role = role
        self.pid = 0
        self.protection = Protection()
        self._command = command
        self._setup = setup
        self._handlers = handlers
        self._on_exit = on_exit
        self._process: subprocess.Popen[bytes] | None = None
        self._link: Link | None = None
        self._writer: FrameWriter | None = None
        self._stderr = StderrTail()
        self._asked = False
        self._lied = False
        self._fault: Reason | None = None
        self._said_hello = False
        self._greeted = threading.Event()  # also set when there will be no greeting
        self._buried = threading.Event()
        # This thread starts the process too: on Linux a child dies with the *thread* that started it (PDEATHSIG).
        self._thread = threading.Thread(target=self._live, name=f"{role.value}-reader", daemon=True)
        self._worker: threading.Thread | None = None

    # ---- state -----------------------------------------------------------------------------------
    @property
    def alive(self) -> bool:
        return self._greeted.is_set() and not self._buried.is_set() and self._fault is None

    def stderr_tail(self) -> str:
        """The last 8 KiB the child printed; for the local log and `doctor`, untrusted."""
        return self._stderr.text()

    def kill(self) -> None:
        """End the process at once. Callers get the role's code of death."""
        self._asked = True
        self._kill()

    def close(self) -> None:
        """Ask the child to end, wait, kill; afterwards no thread and no pipe of it is left. May be called twice."""
        self._asked = True
        if self._writer is not None and not self._buried.is_set():
            asked = self._writer.close(timeout_s=EXIT_GRACE_S)
            if not asked or not self._buried.wait(EXIT_GRACE_S):
                self._kill()
        if threading.current_thread() is not self._thread:
            self._thread.join(_BURIAL_S)

    # ---- talking ---------------------------------------------------------------------------------
    def call(self, method: str, args: Mapping[str, object], body: Body = b"", *, timeout_s: float) -> Reply:
        """The child's answer; events on the way are dropped. Raises JingyanError.

        After `timeout_s` the call is cancelled, and the child killed when it does not answer even then.
        """
        deadline = time.monotonic() + timeout_s
        exchange = self._begin(method, args, body, timeout_s)
        try:
            while True:
                item = exchange.take(deadline - time.monotonic())
                if isinstance(item, Reason):
                    raise to_error(item)
                if not isinstance(item, Woken):
                    if not isinstance(item[0], EventHeader):
                        return to_reply(item[0], item[1])
                    self._consume(exchange, 1, item[2])
        except queue.Empty:
            raise JingyanError(self.role.timed_out) from None
        finally:
            if not exchange.ended:
                self._dismiss(exchange, HANG_GRACE_S)

    def stream(
        self,
        method: str,
        args: Mapping[str, object],
        body: Body = b"",
        *,
        silence_timeout_s: float,
        total_timeout_s: float | None = None,
        cancel: CancelToken | None = None,
    ) -> Iterator[Frame]:
        """The call's events as they come, then Frame("done", value, body). Raises JingyanError.

        The call is sent with the first next(). A slow consumer slows the child down. Closing the iterator cancels
        the call. After `cancel` events go on until the child ends the call by itself; if it does not within
        CANCEL_GRACE_S it is killed and JingyanError(CANCELLED) raised.
        """
        if cancel is not None:
            cancel.raise_if_cancelled()
        clock = _Clock(silence_timeout_s, total_timeout_s)
        exchange = self._begin(method, args, body, silence_timeout_s)
        forget = cancel.on_cancel(exchange.wake) if cancel is not None else None
        grace_s = CANCEL_GRACE_S
        taken_frames = taken_bytes = 0
        try:
            while True:
                item = exchange.take(clock.left_s())
                if cancel is not None and cancel.cancelled and not clock.cancelled:
                    clock.cancel()
                    self._try_send(CancelHeader(exchange.call_id))
                if isinstance(item, Woken):
                    continue
                frame = _to_frame(item)
                if exchange.ended:
                    yield frame
                    return
                taken_frames += 1
                taken_bytes += item[2] if isinstance(item, tuple) else 0
                yield frame
                clock.heard()
                if taken_frames >= WINDOW_FRAMES // 4 or taken_bytes >= WINDOW_BYTES // 4:
                    self._consume(exchange, taken_frames, taken_bytes)
                    taken_frames = taken_bytes = 0
        except queue.Empty:
            grace_s = HANG_GRACE_S
            code = ErrorCode.CANCELLED if clock.cancelled else self.role.timed_out
            raise JingyanError(code) from None
        finally:
            if forget is not None:
                forget()
            if not exchange.ended:
                self._dismiss(exchange, grace_s)

    def push(self, method: str, args: Mapping[str, object], body: Body = b"") -> None:
        """Send one piece one way; it is handled before any later push or call. Raises JingyanError."""
        link = self._living_link()
        try:
            link.send(PushHeader(method, dict(args)), body)
        except (OSError, PipeStallError) as error:
            raise self._pipe_error(error) from error

    # ---- inside ----------------------------------------------------------------------------------
    def _living_link(self) -> Link:
        if self._fault is not None or self._link is None:
            raise to_error(self._fault or Reason(self.role.died))
        return self._link

    def _begin(self, method: str, args: Mapping[str, object], body: Body, timeout_s: float) -> Exchange:
        link = self._living_link()
        try:
            return link.begin(method, args, body, timeout_s)
        except (OSError, PipeStallError) as error:
            raise self._pipe_error(error) from error

    def _pipe_error(self, error: Exception) -> JingyanError:
        """Why the pipe took nothing: the child hangs (and is killed now), or it is gone."""
        if isinstance(error, PipeStallError):
            self._kill()
            return JingyanError(self.role.timed_out)
        self._buried.wait(EXIT_GRACE_S)
        return to_error(self._fault or Reason(self.role.died))

    def _try_send(self, header: CancelHeader | CreditHeader) -> None:
        link = self._link
        try:
            if link is not None:
                link.send(header, timeout_s=1.0)
        except PipeStallError:
            self._kill()
        except OSError:
            pass  # it is dying; the inbox will say so

    def _consume(self, exchange: Exchange, frames: int, size_bytes: int) -> None:
        exchange.grant(frames, size_bytes)
        self._try_send(CreditHeader(exchange.call_id, frames, size_bytes))

    def _dismiss(self, exchange: Exchange, grace_s: float) -> None:
        """Nobody wants this answer any more: cancel, give a grace, kill."""
        self._try_send(CancelHeader(exchange.call_id))
        deadline = time.monotonic() + grace_s
        try:
            while not exchange.ended:
                exchange.take(deadline - time.monotonic())
        except queue.Empty:
            self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    # ---- the reader thread -----------------------------------------------------------------------
    def _live(self) -> None:
        started_s = time.monotonic()
        try:
            process = launch(self._command)
        except OSError as error:
            self._fault = Reason(ErrorCode.CHILD_WILL_NOT_START, {"role": self.role.value, "errno": error.errno or 0})
            self._greeted.set()
            self._buried.set()
            return
        self._process, self.pid = process, process.pid
        if self._asked:
            process.kill()  # whoever asked for it gave up while it was being started
        reader = self._connect(process)
        try:
            self._greet(reader)
            cast(Link, self._link).read_until_end()
        except ProtocolError:
            self._lied = True
        except (OSError, PipeStallError):
            pass  # the set-up could not be written: it died before it read
        finally:
            self._bury(process, reader, started_s)

    def _connect(self, process: subprocess.Popen[bytes]) -> FrameReader:
        stdin, stdout, stderr = (cast("BinaryIO", pipe) for pipe in (process.stdin, process.stdout, process.stderr))
        self._stderr.follow(stderr, f"{self.role.value}-stderr")
        self._writer = FrameWriter(os.dup(stdin.fileno()), stall_timeout_s=PIPE_STALL_S, on_stall=self._kill)
        stdin.close()
        reader = FrameReader(io.BufferedReader(cast(io.FileIO, stdout), READ_BUFFER_BYTES))
        self._link = Link(reader, self._writer, self._handlers, role=self.role, accepts_pushes=False)
        return reader

    def _greet(self, reader: FrameReader) -> None:
        cast(Link, self._link).send(self._setup)
        frame = reader.read()
        if frame is None:
            return
        untrusted = decode(frame[0])
        if not isinstance(untrusted, Hello) or untrusted.version != PROTOCOL_VERSION:
            raise ProtocolError("no greeting")
        self.protection = untrusted.protection
        self._said_hello = True
        if self._handlers:
            worker = threading.Thread(target=cast(Link, self._link).work, name=f"{self.role.value}-calls", daemon=True)
            worker.start()
            self._worker = worker
        self._greeted.set()

    def _bury(self, process: subprocess.Popen[bytes], reader: FrameReader, started_s: float) -> None:
        """Make sure it is dead, tell everyone who waits, leave no thread or pipe."""
        exit_code = _end_process(process, 0.0 if self._lied else EXIT_GRACE_S)
        if self._fault is None:
            code = ErrorCode.CHILD_LIED if self._lied else self.role.died
            self._fault = Reason(code, {"exit_code": exit_code or 0})
        cast(Link, self._link).end(self._fault)
        cast(FrameWriter, self._writer).close(timeout_s=EXIT_GRACE_S)
        self._stderr.join()
        if self._worker is not None:
            self._worker.join(EXIT_GRACE_S)
        reader.close()
        self._buried.set()
        self._greeted.set()
        if self._on_exit is not None and self._said_hello:
            lived_s = time.monotonic() - started_s
            self._on_exit(ChildExit(process.pid, exit_code, self._asked, self._lied, lived_s))

    def start(self, timeout_s: float) -> None:
        """Start the process and wait for its greeting. Raises CHILD_WILL_NOT_START; nothing is left then."""
        self._thread.start()
        greeted = self._greeted.wait(timeout_s)
        if not greeted or not self._said_hello:
            self.kill()
            self.close()
            exit_code = self._process.returncode if self._process is not None else None
            raise JingyanError(ErrorCode.CHILD_WILL_NOT_START, role=self.role.value, exit_code=exit_code or 0)


def spawn(
    role: Role,
    *,
    sandbox: SandboxSpec,
    on_exit: Callable[[ChildExit], None] | None = None,
    handlers: Mapping[str, Handler] | None = None,
    command: Sequence[str] | None = None,
    start_timeout_s: float = CHILD_START_TIMEOUT_S,
) -> Child:
    """A greeted, sandboxed child. Raises JingyanError(CHILD_WILL_NOT_START).

    `handlers` answer what the child asks us, one at a time. `on_exit` is called once for a child that was started,
    on its reader thread, after callers were told. `command` replaces the program's own command line (tests).
    """
    setup = Setup(
        PROTOCOL_VERSION,
        role,
        os.getpid(),
        read_paths=tuple(os.fsencode(path) for path in sandbox.read_paths),
        memory_bytes=sandbox.memory_bytes,
        cpu_s=sandbox.cpu_s,
        devices=sandbox.devices,
    )
    child = Child(role, command or command_of(role), setup, handlers or {}, on_exit)
    child.start(start_timeout_s)
    return child


class _Clock:
    """When to stop waiting: silence, the whole call, or the grace after a cancel, whichever comes first."""

    def __init__(self, silence_s: float, total_s: float | None) -> None:
        now = time.monotonic()
        self.cancelled = False
        self._silence_s = silence_s
        self._end = now + total_s if total_s is not None else float("inf")
        self._silent_until = now + silence_s

    def heard(self) -> None:
        self._silent_until = time.monotonic() + self._silence_s

    def cancel(self) -> None:
        self.cancelled = True
        self._end = min(self._end, time.monotonic() + CANCEL_GRACE_S)

    def left_s(self) -> float:
        """Raises queue.Empty when the call as a whole is over its time, even if there is more to take."""
        now = time.monotonic()
        if now > self._end:
            raise queue.Empty
        return min(self._end, self._silent_until) - now


def _to_frame(item: Item) -> Frame:
    """An event or the answer as a Frame. Raises JingyanError for a failure or the end of the child."""
    if isinstance(item, Reason):
        raise to_error(item)
    assert not isinstance(item, Woken)
    header, body, _size = item
    if isinstance(header, EventHeader):
        return Frame(header.event, header.value, body)
    reply = to_reply(header, body)
    return Frame("done", reply.value, reply.body)


def _end_process(process: subprocess.Popen[bytes], grace_s: float) -> int | None:
    """The exit code; None when even the kill did not end it in time."""
    for wait_s in (grace_s, _BURIAL_S):
        try:
            return process.wait(wait_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return None
