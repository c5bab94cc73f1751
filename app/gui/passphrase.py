"""Asks for the passphrase of the library, from a background thread that waits for the answer.

Used where the system has no safe keyring. The passphrase is handed over once and kept nowhere here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLineEdit, QVBoxLayout, QWidget

from app.core.errors import ErrorCode, JingyanError
from app.gui.theme.tokens import Space
from app.gui.widgets.basics import label, set_gaps, set_look

MIN_NEW_CHARS = 8


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

    def __init__(self, window: QWidget, answer: Callable[[str], None]) -> None:
        super().__init__(window)
        self._parent = window
        self._answer = answer
        self.wanted.connect(self._ask, Qt.ConnectionType.QueuedConnection)

    @Slot(bool)
    def _ask(self, new: bool) -> None:
        dialog = PassphraseDialog(new, self._parent)
        dialog.answered.connect(self._answer)
        dialog.open()


class PassphraseDialog(QDialog):
    """`answered` fires exactly once; with "" when the dialog was closed without an answer."""

    answered = Signal(str)

    def __init__(self, new: bool, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._new = new
        self.setWindowTitle(self.tr("Passphrase"))
        words = label("", wrap=True)
        words.setMinimumWidth(380)
        words.setText(
            self.tr(
                "This system has no safe keyring, so your library is protected by a passphrase. Choose one of at least "
                "{count} characters. Without it the library cannot be opened by anyone, you included."
            ).format(count=MIN_NEW_CHARS)
            if new
            else self.tr("Your library is protected by a passphrase.")
        )
        self._first = self._field(self.tr("Passphrase"))
        self._second = self._field(self.tr("Passphrase once more"))
        self._second.setVisible(new)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.go_button = buttons.addButton(self.tr("Open library"), QDialogButtonBox.ButtonRole.AcceptRole)
        set_look(self.go_button, "primary")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        set_gaps(layout, Space.M, (Space.XL, Space.XL, Space.XL, Space.L))
        for part in (words, self._first, self._second, buttons):
            layout.addWidget(part)
        self.finished.connect(self._finish)
        self._check()

    def _field(self, words: str) -> QLineEdit:
        field = QLineEdit()
        field.setEchoMode(QLineEdit.EchoMode.Password)
        field.setPlaceholderText(words)
        field.setAccessibleName(words)
        field.textChanged.connect(self._check)
        return field

    def _check(self) -> None:
        text = self._first.text()
        good = len(text) >= MIN_NEW_CHARS and text == self._second.text() if self._new else bool(text)
        self.go_button.setEnabled(good)

    def _finish(self, result: int) -> None:
        text = self._first.text() if result == QDialog.DialogCode.Accepted else ""
        self._first.clear()
        self._second.clear()
        self.answered.emit(text)
