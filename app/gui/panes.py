"""The three panes beside each other. The source slides in; in a narrow window the side bar makes room for it."""

from __future__ import annotations

from PySide6.QtCore import QEasingCurve, Qt, QVariantAnimation
from PySide6.QtWidgets import QSplitter, QWidget

from app.gui.theme.tokens import SIDEBAR_PX, SOURCE_PX

_CHAT_MIN_PX = 340
_SOURCE_MIN_PX = 320
_SIDEBAR_MIN_PX = 220
_ROOM_FOR_THREE_PX = _SIDEBAR_MIN_PX + _CHAT_MIN_PX + SOURCE_PX
_SLIDE_MS = 160


class Panes(QSplitter):
    def __init__(self, sidebar: QWidget, chat: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._sidebar, self._chat, self._source = sidebar, chat, QWidget()
        self._sidebar_wanted = True
        self._animated = True
        self._source_px = SOURCE_PX
        for pane in (sidebar, chat, self._source):
            self.addWidget(pane)
        sidebar.setMinimumWidth(_SIDEBAR_MIN_PX)
        chat.setMinimumWidth(_CHAT_MIN_PX)
        self.setChildrenCollapsible(False)
        self.setHandleWidth(1)
        self.setStretchFactor(0, 0)
        self.setStretchFactor(1, 1)
        self.setStretchFactor(2, 0)
        self._source.hide()
        self._slide = QVariantAnimation(self)
        self._slide.setEasingCurve(QEasingCurve.Type.OutCubic)
        self._slide.valueChanged.connect(self._set_source_width)
        self._slide.finished.connect(self._slid)
        self.setSizes([SIDEBAR_PX, 800, 0])

    def add_source(self, source: QWidget) -> None:
        """The real source pane, which comes after the first paint."""
        from PySide6.QtWidgets import QStyle  # 7 ms for its names: not before the first paint

        self._animated = self.style().styleHint(QStyle.StyleHint.SH_Widget_Animation_Duration) > 0
        self.replaceWidget(2, source)
        self._source.deleteLater()
        self._source = source
        source.hide()

    def fit(self, width: int) -> None:
        """Show or hide the side bar for a window of this width."""
        crowded = width < _ROOM_FOR_THREE_PX and self._source_open()
        self._sidebar.setVisible(self._sidebar_wanted and not crowded)

    def toggle_sidebar(self) -> None:
        if self._sidebar_wanted and not self._sidebar.isVisible():
            self.close_source()  # it was hidden to make room: asking for it means the source has been read
        else:
            self._sidebar_wanted = not self._sidebar_wanted
        self.fit(self.width())

    def open_source(self) -> None:
        if self._source_open():
            return
        self._source.setMinimumWidth(0)
        self._source.show()
        self.fit(self.width())
        self._animate(0, self._wanted_source_px())

    def close_source(self) -> None:
        if self._source_open():
            self._source_px = max(_SOURCE_MIN_PX, self._source.width())
            self._source.setMinimumWidth(0)
            self._animate(self._source.width(), 0)

    def _source_open(self) -> bool:
        return not self._source.isHidden() and self._slide.endValue() != 0

    def _wanted_source_px(self) -> int:
        beside = self._sidebar.width() if self._sidebar.isVisible() else 0
        return max(_SOURCE_MIN_PX, min(self._source_px, self.width() - beside - _CHAT_MIN_PX))

    def set_animated(self, animated: bool) -> None:
        """Without animation the pane is where it belongs at once: for pictures, and for people who want it so."""
        self._animated = animated

    def _animate(self, start: int, end: int) -> None:
        self._slide.stop()
        self._slide.setStartValue(start)
        self._slide.setEndValue(end)
        self._slide.setDuration(_SLIDE_MS if self._animated and self.isVisible() else 0)
        self._slide.start()

    def _set_source_width(self, width: int) -> None:
        sidebar = self._sidebar.width() if self._sidebar.isVisible() else 0
        self.setSizes([sidebar, max(_CHAT_MIN_PX, self.width() - sidebar - width), width])

    def _slid(self) -> None:
        if self._slide.endValue() == 0:
            self._source.hide()
        else:
            self._source.setMinimumWidth(_SOURCE_MIN_PX)
        self.fit(self.width())
