"""Shown over the whole window while files are dragged: says what a drop will do. Never takes an event itself."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from app.gui.theme import fonts, icons
from app.gui.theme.tokens import Radius, Space, Type
from app.gui.ui import Ui

_ICON_PX = 44


class DropOverlay(QWidget):
    def __init__(self, ui: Ui, parent: QWidget) -> None:
        super().__init__(parent)
        self._ui = ui
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def appear(self) -> None:
        parent = self.parentWidget()
        if parent is not None:
            self.setGeometry(parent.rect())
        self.raise_()
        self.show()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        colours = self._ui.theme.colours
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        veil = QColor(colours.surface)
        veil.setAlpha(244)
        painter.fillRect(self.rect(), veil)
        frame = QRectF(self.rect()).adjusted(Space.XL, Space.XL, -Space.XL, -Space.XL)
        painter.setPen(QPen(QColor(colours.accent), 2, Qt.PenStyle.DashLine))
        painter.drawRoundedRect(frame, Radius.LARGE, Radius.LARGE)
        middle = self.rect().center()
        picture = icons.pixmap("drop", colours.accent, _ICON_PX, self.devicePixelRatioF())
        painter.drawPixmap(middle.x() - _ICON_PX // 2, middle.y() - _ICON_PX - Space.L, picture)
        painter.setPen(QColor(colours.text))
        painter.setFont(fonts.font(Type.TITLE, bold=True))
        self._line(painter, 0, 30, self.tr("Drop to add to your library"))
        painter.setPen(QColor(colours.muted))
        painter.setFont(fonts.font(Type.BODY))
        self._line(painter, 32, 24, self.tr("PDF, plain text and Markdown. Files stay on this computer."))

    def _line(self, painter: QPainter, below_middle: int, height: int, text: str) -> None:
        top = self.rect().center().y() + below_middle
        painter.drawText(0, top, self.width(), height, int(Qt.AlignmentFlag.AlignCenter), text)
