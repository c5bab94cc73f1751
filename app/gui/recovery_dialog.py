"""Shows the recovery code of a new library, once, with a way to copy it."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from app.gui.theme.tokens import Space
from app.gui.widgets.basics import label, set_gaps, set_look

_GROUPS_PER_LINE = 5  # three lines of a code of 14 groups: easy to copy onto paper


class RecoveryCodeDialog(QDialog):
    """Use open(): it does not block. The code is kept nowhere but in what the user makes of it."""

    def __init__(self, code: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("Recovery code"))
        self._code = code
        title = label("strong", wrap=True)
        title.setText(self.tr("Write down this recovery code"))
        words = label("", wrap=True)
        words.setMinimumWidth(420)
        words.setText(
            self.tr(
                "Your library is encrypted. If its key is ever lost, this code opens it again. Keep it where only you "
                "find it; it is shown only now."
            )
        )
        shown = label("strong")
        groups = code.split("-")
        lines = [groups[at : at + _GROUPS_PER_LINE] for at in range(0, len(groups), _GROUPS_PER_LINE)]
        shown.setText("\n".join("  ".join(line) for line in lines))
        shown.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        shown.setAccessibleName(self.tr("Recovery code"))
        shown.setAlignment(Qt.AlignmentFlag.AlignCenter)
        buttons = QDialogButtonBox()
        copy = buttons.addButton(self.tr("Copy"), QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self._code))
        self.kept_button = buttons.addButton(self.tr("I have kept it"), QDialogButtonBox.ButtonRole.AcceptRole)
        set_look(self.kept_button, "primary")
        buttons.accepted.connect(self.accept)
        layout = QVBoxLayout(self)
        set_gaps(layout, Space.M, (Space.XL, Space.XL, Space.XL, Space.L))
        for part in (title, words, shown, buttons):
            layout.addWidget(part)
