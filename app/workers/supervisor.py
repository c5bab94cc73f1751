"""Keeps one kind of child available: starts it when it is wanted and gone, slower each time it dies young.

Not a watcher: nothing runs in the background, the next `child()` starts what is missing. A child that lived
`healthy_s` clears the record; after `max_quick_deaths` in a row `child()` raises CHILD_WILL_NOT_START at once, until
`forgive()` (the user asks again, another model is chosen) or until `forgiven_after_s` have passed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.core.errors import ErrorCode, JingyanError
from app.workers.host import Child, ChildExit
from app.workers.protocol import Role

Start = Callable[[Callable[[ChildExit], None]], Child]
"""Spawns the child with the given on_exit; may also prepare it (load a model). Raises JingyanError."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    first_delay_s: float = 0.25  # a single crash is hardly felt
    max_delay_s: float = 8.0
    max_quick_deaths: int = 5  # about eight seconds of trying in all
    healthy_s: float = 60.0
    forgiven_after_s: float = 300.0


class Record:
    """The deaths that count, and what follows from them. Knows no clock: every call is told the time."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self.quick_deaths = 0
        self._last_death_s = 0.0

    def died(self, now_s: float, lived_s: float) -> None:
        self.quick_deaths = 1 if lived_s >= self._policy.healthy_s else self.quick_deaths + 1
        self._last_death_s = now_s

    def forgive(self) -> None:
        self.quick_deaths = 0

    def gave_up(self, now_s: float) -> bool:
        if self.quick_deaths and now_s - self._last_death_s >= self._policy.forgiven_after_s:
            self.quick_deaths = 0
        return self.quick_deaths >= self._policy.max_quick_deaths

    def delay_left_s(self, now_s: float) -> float:
        """How long to wait before the next start; doubles with each death in a row."""
        if self.quick_deaths == 0:
            return 0.0
        delay_s = min(self._policy.first_delay_s * 2.0 ** (self.quick_deaths - 1), self._policy.max_delay_s)
        return max(0.0, self._last_death_s + delay_s - now_s)


class Supervisor:
    """Thread-safe; `on_exit` is passed on after the record is updated, on the dead child's reader thread."""

    def __init__(
        self,
        role: Role,
        start: Start,
        *,
        policy: RestartPolicy | None = None,
        on_exit: Callable[[ChildExit], None] | None = None,
    ) -> None:
        self._role = role
        self._start = start
        self._on_exit = on_exit
        self._record = Record(policy or RestartPolicy())
        self._lock = threading.Lock()  # the record and the child
        self._starting = threading.Lock()  # one start at a time; held while waiting
        self._closed = threading.Event()
        self._child: Child | None = None

    @property
    def current(self) -> Child | None:
        """The living child, if there is one; starts nothing."""
        with self._lock:
            return self._child if self._child is not None and self._child.alive else None

    def child(self) -> Child:
        """A living child, started when there is none, after the delay its record asks for.

        Raises CHILD_WILL_NOT_START after too many quick deaths or when closed, and whatever `start` raises (a child
        that does not start counts as a quick death; a missing model does not).
        """
        if (child := self.current) is not None:
            return child
        with self._starting:
            if (child := self.current) is not None:
                return child
            self._wait_for_turn()
            return self._start_one()

    def forgive(self) -> None:
        """Forget the deaths so far: try again at once."""
        with self._lock:
            self._record.forgive()

    def close(self) -> None:
        """End the child and start none any more. Waits for a start in progress."""
        self._closed.set()
        with self._starting:
            with self._lock:
                child, self._child = self._child, None
            if child is not None:
                child.close()

    def _wait_for_turn(self) -> None:
        with self._lock:
            now_s = time.monotonic()
            deaths = self._record.quick_deaths
            gave_up = self._record.gave_up(now_s)
            delay_s = self._record.delay_left_s(now_s)
        if gave_up or self._closed.wait(delay_s):
            raise JingyanError(ErrorCode.CHILD_WILL_NOT_START, role=self._role.value, deaths=deaths)

    def _start_one(self) -> Child:
        try:
            child = self._start(self._died)
        except JingyanError as error:
            if error.code is ErrorCode.CHILD_WILL_NOT_START:  # no on_exit comes for a child that never greeted
                with self._lock:
                    self._record.died(time.monotonic(), 0.0)
            raise
        with self._lock:
            self._child = child
        return child

    def _died(self, exit_: ChildExit) -> None:
        if not exit_.asked:
            with self._lock:
                self._record.died(time.monotonic(), exit_.lived_s)
        if self._on_exit is not None:
            self._on_exit(exit_)
