"""Asks for the password of one locked document. The password goes to the reader and is kept nowhere."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLineEdit, QVBoxLayout, QWidget

from app.gui.theme.tokens import Space
from app.gui.widgets.basics import label, set_gaps, set_look


class UnlockDialog(QDialog):
    """Use open(): it does not block. `unlocked` carries the password."""

    unlocked = Signal(str)

    def __init__(self, name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Unlock"))
        words = label("", wrap=True)
        words.setText(self.tr("“{name}” is locked. Its password is used once and not stored.").format(name=name))
        words.setMinimumWidth(320)
        self.password_field = QLineEdit()
        self.password_field.setEchoMode(QLineEdit.EchoMode.Password)
        self.password_field.setAccessibleName(self.tr("Password"))
        self.password_field.setPlaceholderText(self.tr("Password"))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        unlock = buttons.addButton(self.tr("Unlock"), QDialogButtonBox.ButtonRole.AcceptRole)
        set_look(unlock, "primary")
        unlock.setEnabled(False)
        self.password_field.textChanged.connect(lambda text: unlock.setEnabled(bool(text)))
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        set_gaps(layout, Space.M, (Space.XL, Space.XL, Space.XL, Space.L))
        layout.addWidget(words)
        layout.addWidget(self.password_field)
        layout.addWidget(buttons, 0, Qt.AlignmentFlag.AlignRight)

    def _accept(self) -> None:
        password = self.password_field.text()
        self.password_field.clear()
        self.unlocked.emit(password)
        self.accept()
