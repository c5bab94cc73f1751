"""Icon buttons, labels that elide, and short ways to say how a widget looks."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from app.gui.theme.tokens import ICON_PX
from app.gui.ui import Ui


def set_look(widget: QWidget, look: str) -> None:
    """Choose a rule of the style sheet; a changed look is drawn at once."""
    set_style_property(widget, "look", look)


def set_style_property(widget: QWidget, name: str, value: str) -> None:
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def label(look: str = "", *, wrap: bool = False, parent: QWidget | None = None) -> QLabel:
    """A plain-text label: text from files or models is never taken for HTML."""
    made = QLabel(parent)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wrap)
    if look:
        set_look(made, look)
    return made


def set_gaps(layout: QBoxLayout, spacing: int, margins: tuple[int, int, int, int] = (0, 0, 0, 0)) -> None:
    layout.setSpacing(spacing)
    layout.setContentsMargins(*margins)


def tooltip(text: str) -> str:
    """`text` as a tooltip that wraps and is never taken for HTML, whatever a file or a model wrote in it."""
    import html  # 2 ms for its table of names: not before the first paint

    return f"<qt>{html.escape(text).replace(chr(10), '<br>')}</qt>" if text else ""


class IconButton(QToolButton):
    """A button with one of our icons, which follows the theme. Its words are tooltip and accessible name."""

    def __init__(self, ui: Ui, icon: str, parent: QWidget | None = None, *, colour: str = "", size_px: int = ICON_PX):
        super().__init__(parent)
        self._ui = ui
        self._icon = icon
        self._colour = colour
        self._size_px = size_px
        self.setIconSize(QSize(size_px, size_px))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        ui.theme.changed.connect(self._redraw)
        self._redraw()

    def set_icon(self, icon: str, colour: str = "") -> None:
        self._icon, self._colour = icon, colour
        self._redraw()

    def set_words(self, words: str, shortcut: str = "") -> None:
        self.setToolTip(f"{words}  {shortcut}" if shortcut else words)
        self.setAccessibleName(words)

    def _redraw(self) -> None:
        self.setIcon(self._ui.theme.icon(self._icon, self._colour, self._size_px))


class IconLabel(QLabel):
    """One of our icons, not clickable."""

    def __init__(self, ui: Ui, icon: str, colour: str = "", size_px: int = ICON_PX, parent: QWidget | None = None):
        super().__init__(parent)
        self._ui = ui
        self._what = (icon, colour, size_px)
        self.setFixedSize(size_px, size_px)
        ui.theme.changed.connect(self._redraw)
        self._redraw()

    def set_icon(self, icon: str, colour: str) -> None:
        self._what = (icon, colour, self._what[2])
        self._redraw()

    def _redraw(self) -> None:
        name, colour, size_px = self._what
        self.setPixmap(
            self._ui.theme.icon(name, colour, size_px).pixmap(QSize(size_px, size_px), self.devicePixelRatioF())
        )


class ElidedLabel(QLabel):
    """One line of plain text that loses its middle (or end) when there is no room; the tooltip has all of it."""

    def __init__(self, mode: Qt.TextElideMode = Qt.TextElideMode.ElideMiddle, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mode = mode
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setMinimumWidth(1)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(1, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        text = self.fontMetrics().elidedText(self.text(), self._mode, self.contentsRect().width())
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.contentsRect(), int(self.alignment() | Qt.AlignmentFlag.AlignVCenter), text)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        fits = self.fontMetrics().horizontalAdvance(self.text()) <= self.contentsRect().width()
        self.setToolTip("" if fits else tooltip(self.text()))
