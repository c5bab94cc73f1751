"""Draws one document: kind, name, state with icon and words, and a slim bar while it is read."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app.core.values import Document, DocumentState
from app.gui.documents.model import DOCUMENT_ROLE
from app.gui.documents.words import kind_icon, state_icon, state_words
from app.gui.theme import fonts, icons
from app.gui.theme.tokens import Colours, Radius, Space, Type
from app.gui.ui import Ui

ROW_PX = 58
_KIND_PX = 20
_STATE_PX = 14
_BAR_PX = 3
_WORD_COLOURS = {DocumentState.PARTIAL: "warn", DocumentState.REFUSED: "error"}


class DocumentDelegate(QStyledItemDelegate):
    def __init__(self, ui: Ui, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._ui = ui

    def sizeHint(  # noqa: N802 - Qt's name
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        return QSize(0, ROW_PX)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        document: Document = index.data(DOCUMENT_ROLE)
        colours = self._ui.theme.colours
        rect: QRect = option.rect
        state: QStyle.StateFlag = option.state
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._background(painter, colours, rect, state)
        inner = rect.adjusted(Space.L, Space.S, -Space.L, -Space.S)
        ratio = painter.device().devicePixelRatioF()
        picture = icons.pixmap(kind_icon(document), colours.muted, _KIND_PX, ratio)
        painter.drawPixmap(inner.topLeft() + QPoint(0, Space.S + 2), picture)
        words = inner.adjusted(_KIND_PX + Space.S + 2, 0, 0, 0)
        self._name(painter, colours, words, document)
        self._state(painter, colours, words, document, ratio)
        painter.restore()

    def _background(self, painter: QPainter, colours: Colours, rect: QRect, state: QStyle.StateFlag) -> None:
        back = QRectF(rect).adjusted(Space.S, 1, -Space.S, -1)
        painter.setPen(Qt.PenStyle.NoPen)
        if state & QStyle.StateFlag.State_Selected:
            painter.setBrush(QColor(colours.selected))
            painter.drawRoundedRect(back, Radius.MEDIUM, Radius.MEDIUM)
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.setBrush(QColor(colours.hover))
            painter.drawRoundedRect(back, Radius.MEDIUM, Radius.MEDIUM)
        if state & QStyle.StateFlag.State_HasFocus and state & QStyle.StateFlag.State_KeyboardFocusChange:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QColor(colours.accent))
            painter.drawRoundedRect(back, Radius.MEDIUM, Radius.MEDIUM)

    def _name(self, painter: QPainter, colours: Colours, rect: QRect, document: Document) -> None:
        font = fonts.font(Type.BODY)
        painter.setFont(font)
        painter.setPen(QColor(colours.text))
        text = QFontMetrics(font).elidedText(document.name, Qt.TextElideMode.ElideMiddle, rect.width())
        line = QRect(rect.left(), rect.top(), rect.width(), rect.height() // 2)
        painter.drawText(line, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), text)

    def _state(self, painter: QPainter, colours: Colours, rect: QRect, document: Document, ratio: float) -> None:
        name, token = state_icon(document.state)
        line = QRect(rect.left(), rect.top() + rect.height() // 2, rect.width(), rect.height() // 2)
        picture = icons.pixmap(name, getattr(colours, token), _STATE_PX, ratio)
        painter.drawPixmap(line.left(), line.center().y() - _STATE_PX // 2 + 1, picture)
        font = fonts.font(Type.CAPTION)
        painter.setFont(font)
        painter.setPen(QColor(getattr(colours, _WORD_COLOURS.get(document.state, "muted"))))
        beside = line.adjusted(_STATE_PX + Space.XS + 1, 0, 0, 0)
        words = QFontMetrics(font).elidedText(
            state_words(self._ui, document), Qt.TextElideMode.ElideRight, beside.width()
        )
        painter.drawText(beside, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), words)
        if document.state is DocumentState.READING and document.page_count:
            self._bar(painter, colours, rect, document.pages_read / document.page_count)

    def _bar(self, painter: QPainter, colours: Colours, rect: QRect, done: float) -> None:
        bar = QRectF(rect.left(), rect.bottom() + Space.XXS, rect.width(), _BAR_PX)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.line_strong))
        painter.drawRoundedRect(bar, 1.5, 1.5)
        bar.setWidth(bar.width() * min(1.0, done))
        painter.setBrush(QColor(colours.accent))
        painter.drawRoundedRect(bar, 1.5, 1.5)
