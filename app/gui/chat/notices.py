"""Bars above the question box about things outside of any answer. They stay until the user closes them."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.gui.theme.tokens import Space
from app.gui.ui import Ui
from app.gui.widgets.basics import set_gaps
from app.gui.widgets.notice import Level, NoticeBar

_MAX_BARS = 3  # older ones leave: a stack of bars must not push the question box away


class Notices(QWidget):
    def __init__(self, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ui = ui
        self._bars: list[NoticeBar] = []
        self._layout = QVBoxLayout(self)
        set_gaps(self._layout, Space.S)

    def add(self, level: Level, words: Callable[[], tuple[str, str]]) -> NoticeBar:
        bar = NoticeBar(self._ui, level, words, self, closable=True)
        bar.closed.connect(lambda: self.dismiss(bar))
        self._bars.append(bar)
        self._layout.addWidget(bar)
        while len(self._bars) > _MAX_BARS:
            self.dismiss(self._bars[0])
        return bar

    def bars(self) -> tuple[NoticeBar, ...]:
        return tuple(self._bars)

    def dismiss(self, bar: NoticeBar) -> None:
        if bar in self._bars:
            self._bars.remove(bar)
            self._layout.removeWidget(bar)
            bar.hide()
            bar.deleteLater()
