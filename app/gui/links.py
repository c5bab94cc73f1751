"""An address in an answer is never opened by itself: this dialog shows all of it and asks."""

from __future__ import annotations

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from app.gui.theme.tokens import Space
from app.gui.widgets.basics import label, set_gaps

_OPENABLE = ("http", "https", "mailto")


class LinkDialog(QDialog):
    """Use open(): it does not block."""

    def __init__(self, address: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Link in the answer"))
        self._address = address
        question = label("strong", wrap=True)
        question.setText(self.tr("Open this address in your browser?"))
        shown = label("", wrap=True)
        shown.setText("\u200b".join(address))  # may break anywhere: no part of it can hide
        shown.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        shown.setMinimumWidth(380)
        advice = label("caption", wrap=True)
        advice.setText(self.tr("A model wrote it or copied it from a document. Opening it goes to the internet."))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        copy = buttons.addButton(self.tr("Copy"), QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(self._copy)
        if QUrl(address).scheme() in _OPENABLE:
            self.accept_button = buttons.addButton(self.tr("Open"), QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self._open)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        set_gaps(layout, Space.M, (Space.XL, Space.XL, Space.XL, Space.L))
        for part in (question, shown, advice, buttons):
            layout.addWidget(part)

    def _open(self) -> None:
        QDesktopServices.openUrl(QUrl(self._address))
        self.accept()

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._address)
        self.accept()
