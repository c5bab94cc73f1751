"""The dialog for the passphrase of the library: the existing one, or a new one typed twice."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLineEdit, QVBoxLayout, QWidget

from app.gui.theme.tokens import Space
from app.gui.widgets.basics import label, set_gaps, set_look
from app.secrets.passphrase_vault import MIN_NEW_CHARS


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
