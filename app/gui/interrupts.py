"""Ctrl+C in the terminal closes the window in order.

Qt's loop is C++: a Python signal handler only runs when Python code does. So the interpreter writes a byte to a pipe
when a signal arrives, and a notifier wakes Python up.
"""

from __future__ import annotations

import contextlib
import os
import signal

from PySide6.QtCore import QCoreApplication, QObject, QSocketNotifier


class Interrupts(QObject):
    """close() puts things back as they were."""

    def __init__(self, application: QCoreApplication) -> None:
        super().__init__(application)
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._old_fd = signal.set_wakeup_fd(self._write)
        self._old = {number: signal.signal(number, lambda *_: application.quit()) for number in _signals()}
        self._notifier = QSocketNotifier(self._read, QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._drain)

    def close(self) -> None:
        self._notifier.setEnabled(False)
        signal.set_wakeup_fd(self._old_fd)
        for number, handler in self._old.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 64)


class _Nothing:
    def close(self) -> None:
        """There was nothing to put back."""


def quit_on_interrupt(application: QCoreApplication) -> Interrupts | _Nothing:
    """Windows has no pipe a notifier can watch: closing the console ends the program there."""
    return Interrupts(application) if os.name == "posix" else _Nothing()


def _signals() -> tuple[signal.Signals, ...]:
    return (signal.SIGINT, signal.SIGTERM)
