"""What opening the library says to the user from its background thread: asks for the passphrase, shows the code.

The passphrase is asked for where the system has no safe keyring; who asks waits for the answer. It is handed over once
and kept nowhere here, and so is the recovery code of a new library.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QWidget

from app.core.errors import ErrorCode, JingyanError


class PassphraseAsker:
    """Give `ask` to the services factory and the asker to app.gui.app.run. No Qt until a window is bound."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answered = threading.Condition(self._lock)
        self._window: _Window | None = None
        self._answer: str | None = None
        self._closed = False

    def ask(self, new: bool) -> str:
        """The passphrase the user typed; blocks. Raises CANCELLED when they would not, or the window is gone.

        `new`: a passphrase is being chosen, so it is typed twice. Never call it from the main thread.
        """
        with self._answered:
            if self._window is None or self._closed:
                raise JingyanError(ErrorCode.CANCELLED)
            self._answer = None
            self._window.wanted.emit(new)
            self._answered.wait_for(lambda: self._answer is not None or self._closed)
            if not self._answer:
                raise JingyanError(ErrorCode.CANCELLED)
            return self._answer

    def show_recovery_code(self, code: str) -> None:
        """Show the code of a library that was just made; does not wait."""
        if self._window is not None and not self._closed:
            self._window.made.emit(code)

    def bind(self, window: QWidget) -> None:
        self._window = _Window(window, self._answer_with)

    def close(self) -> None:
        """Whoever waits is told that no answer comes."""
        with self._answered:
            self._closed = True
            self._answered.notify_all()

    def _answer_with(self, passphrase: str) -> None:
        """ "" means: the user closed the dialog."""
        with self._answered:
            self._answer = passphrase
            self._answered.notify_all()


class _Window(QObject):
    wanted = Signal(bool)
    made = Signal(str)

    def __init__(self, window: QWidget, answer: Callable[[str], None]) -> None:
        super().__init__(window)
        self._parent = window
        self._answer = answer
        self.wanted.connect(self._ask, Qt.ConnectionType.QueuedConnection)
        self.made.connect(self._show, Qt.ConnectionType.QueuedConnection)

    @Slot(bool)
    def _ask(self, new: bool) -> None:
        from app.gui.passphrase_dialog import PassphraseDialog  # few start-ups need it

        dialog = PassphraseDialog(new, self._parent)
        dialog.answered.connect(self._answer)
        dialog.open()

    @Slot(str)
    def _show(self, code: str) -> None:
        from app.gui.recovery_dialog import RecoveryCodeDialog  # once in a library's life

        RecoveryCodeDialog(code, self._parent).open()
