"""The life of one child process: started, greeted, followed until its end, buried. Not what is said to it (host).

Owns the process, its pipes and its threads. The reader thread starts the process itself, because on Linux a child dies
with the *thread* that started it (parent-death signal); it ends last and tells everyone who waits. Thread-safe.
"""

from __future__ import annotations

import io
import os
import subprocess  # only for the type and its exceptions; starting is in launch
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from app.core.errors import ErrorCode, JingyanError, Reason
from app.workers.calls import Handler
from app.workers.frames import READ_BUFFER_BYTES, FrameReader, FrameWriter, PipeStallError
from app.workers.launch import launch
from app.workers.link import Link
from app.workers.protocol import PROTOCOL_VERSION, Hello, ProtocolError, Role, Setup, decode, to_error
from app.workers.sandbox import Protection
from app.workers.stderr_tail import StderrTail

PIPE_STALL_S = 30.0  # a child whose reader thread takes nothing for so long is hung
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


class Life:
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
        self._thread = threading.Thread(target=self._live, name=f"{role.value}-reader", daemon=True)
        self._worker: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        return self._said_hello and self._fault is None

    @property
    def link(self) -> Link:
        """Raises JingyanError when the child is gone."""
        if self._fault is not None or self._link is None:
            raise self.fault()
        return self._link

    def fault(self) -> JingyanError:
        """Why it is gone (or, while it is not, the code of its death)."""
        return to_error(self._fault or Reason(self.role.died))

    def wait_for_end(self, timeout_s: float) -> bool:
        return self._buried.wait(timeout_s)

    def stderr_tail(self) -> str:
        return self._stderr.text()

    def start(self, timeout_s: float) -> None:
        """Start the process and wait for its greeting. Raises CHILD_WILL_NOT_START; nothing is left then."""
        self._thread.start()
        greeted = self._greeted.wait(timeout_s)
        if not greeted or not self._said_hello:
            self._asked = True
            self.kill()
            self.close()
            exit_code = self._process.returncode if self._process is not None else None
            raise JingyanError(ErrorCode.CHILD_WILL_NOT_START, role=self.role.value, exit_code=exit_code or 0)

    def kill(self, *, asked: bool = False) -> None:
        """End the process at once."""
        self._asked = self._asked or asked
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Ask the child to end, wait, kill; afterwards no thread and no pipe of it is left. May be called twice."""
        self._asked = True
        if self._writer is not None and not self._buried.is_set():
            asked = self._writer.close(timeout_s=EXIT_GRACE_S)
            if not asked or not self._buried.wait(EXIT_GRACE_S):
                self.kill()
        if threading.current_thread() is not self._thread:
            self._thread.join(_BURIAL_S)

    # ---- the reader thread ---------------------------------------------------------------------
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
        stdin, stdout, stderr = (cast(BinaryIO, pipe) for pipe in (process.stdin, process.stdout, process.stderr))
        self._stderr.follow(stderr, f"{self.role.value}-stderr")
        self._writer = FrameWriter(os.dup(stdin.fileno()), stall_timeout_s=PIPE_STALL_S, on_stall=self.kill)
        stdin.close()
        reader = FrameReader(io.BufferedReader(cast(io.FileIO, stdout), READ_BUFFER_BYTES))
        self._link = Link(reader, self._writer, self._handlers, role=self.role, in_child=False)
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
        asked = self._asked  # before anyone who learns of the death now asks for it
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
            self._on_exit(ChildExit(process.pid, exit_code, asked, self._lied, lived_s))


def _end_process(process: subprocess.Popen[bytes], grace_s: float) -> int | None:
    """The exit code; None when even the kill did not end it in time."""
    for wait_s in (grace_s, _BURIAL_S):
        try:
            return process.wait(wait_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return None
