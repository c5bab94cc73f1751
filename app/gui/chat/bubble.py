"""The user's question as a bubble on the right. Plain text, exactly as typed."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app.gui.theme import fonts
from app.gui.theme.tokens import Space, Type
from app.gui.widgets.basics import label, set_gaps

_MAX_SHARE = 0.82  # of the column: a bubble never looks like a full-width block


class QuestionBubble(QWidget):
    def __init__(self, text: str, scope: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = label("", wrap=True)
        self._text.setText(text)
        self._text.setFont(fonts.font(Type.READING))
        self._text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._text.setCursor(Qt.CursorShape.IBeamCursor)
        bubble = QFrame()
        bubble.setObjectName("bubble")
        inside = QVBoxLayout(bubble)
        set_gaps(inside, Space.XS, (Space.L, Space.S + 2, Space.L, Space.S + 2))
        inside.addWidget(self._text)
        if scope:
            inside.addWidget(_scope_label(scope))
        row = QHBoxLayout(self)
        set_gaps(row, 0)
        row.addStretch(1)
        row.addWidget(bubble, 0, Qt.AlignmentFlag.AlignRight)
        self._bubble = bubble
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self.setAccessibleName(text)

    def text(self) -> str:
        return self._text.text()

    def fit(self, column_px: int) -> None:
        """Wrap at a share of the column, and never wider than the text needs."""
        most = int(column_px * _MAX_SHARE) - 2 * Space.L
        lines = self._text.text().split("\n")
        wanted = max(self._text.fontMetrics().horizontalAdvance(line) for line in lines) + 4
        self._text.setFixedWidth(max(24, min(most, wanted)))


def _scope_label(scope: str) -> QLabel:
    made = label("caption")
    made.setText(scope)
    return made
