"""The text of a page with the cited words marked: for text files, and for pages whose picture cannot be had."""

from __future__ import annotations

import re

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QTextEdit, QWidget

from app.gui.theme import fonts
from app.gui.theme.tokens import Space, Type
from app.gui.ui import Ui


class TextPageView(QPlainTextEdit):
    def __init__(self, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ui = ui
        self._span = (0, 0)
        self.setReadOnly(True)
        self.setAcceptDrops(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFont(fonts.font(Type.BODY))
        self.document().setDocumentMargin(Space.L)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        ui.theme.changed.connect(self._mark)

    def show_text(self, text: str, quote: str) -> None:
        self.setPlainText(text)
        self._span = find_quote(text, quote)
        self._mark()
        cursor = self.textCursor()
        cursor.setPosition(_utf16(text, self._span[0]))
        self.setTextCursor(cursor)
        self.centerCursor()

    def marked_text(self) -> str:
        return self.toPlainText()[self._span[0] : self._span[1]]

    def _mark(self) -> None:
        start, end = self._span
        selections = []
        if end > start:
            text = self.toPlainText()
            selection = QTextEdit.ExtraSelection()
            cursor = QTextCursor(self.document())
            cursor.setPosition(_utf16(text, start))
            cursor.setPosition(_utf16(text, end), QTextCursor.MoveMode.KeepAnchor)
            style = QTextCharFormat()
            style.setBackground(QColor(self._ui.theme.colours.quote))
            selection.cursor = cursor
            selection.format = style
            selections.append(selection)
        self.setExtraSelections(selections)


def find_quote(text: str, quote: str) -> tuple[int, int]:
    """Where `quote` stands in `text`, whatever its white space; (0, 0) when it does not."""
    words = quote.split()
    if not words:
        return 0, 0
    pattern = r"\s+".join(re.escape(word) for word in words)
    found = re.search(pattern, text)
    return found.span() if found else (0, 0)


def _utf16(text: str, position: int) -> int:
    """Qt counts UTF-16 units, Python characters."""
    return len(text[:position].encode("utf-16-le")) // 2
