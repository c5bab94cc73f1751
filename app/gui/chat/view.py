"""The middle of the window: head line, transcript or empty state, notices, question box."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from app.gui.chat.composer import Composer
from app.gui.chat.empty import EmptyState
from app.gui.chat.transcript import Transcript
from app.gui.theme.tokens import CHAT_COLUMN_PX, Space
from app.gui.ui import Ui
from app.gui.widgets.basics import ElidedLabel, IconButton, set_gaps, set_look, set_style_property
from app.gui.widgets.notice import Level, NoticeBar

_MAX_NOTICES = 3  # older ones leave: a stack of bars must not push the question box away


class ChatView(QWidget):
    sidebar_asked = Signal()
    new_chat_asked = Signal()

    def __init__(self, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("chat")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._ui = ui
        self.transcript = Transcript(ui)
        self.empty = EmptyState(ui)
        self.composer = Composer(ui)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self.transcript)
        self._sidebar = IconButton(ui, "sidebar")
        self._sidebar.clicked.connect(self.sidebar_asked)
        self._new = IconButton(ui, "new_chat")
        self._new.clicked.connect(self.new_chat_asked)
        self._title = ElidedLabel(Qt.TextElideMode.ElideRight)
        set_look(self._title, "muted")
        self._notices = QVBoxLayout()
        self._bars: list[NoticeBar] = []
        self._lay_out()
        ui.language.changed.connect(self._retranslate)
        self._retranslate()

    def show_transcript(self, shown: bool) -> None:
        self._stack.setCurrentWidget(self.transcript if shown else self.empty)
        self._title.setText(self._title.text() if shown else "")
        set_style_property(self._head, "lined", "true" if shown else "false")
        self._new.setVisible(shown)

    def set_title(self, text: str) -> None:
        self._title.setText(text)

    def notify(self, level: Level, words: Callable[[], tuple[str, str]]) -> NoticeBar:
        """A bar above the question box that stays until the user closes it."""
        bar = NoticeBar(self._ui, level, words, self, closable=True)
        bar.closed.connect(lambda: self.dismiss(bar))
        self._bars.append(bar)
        self._notices.addWidget(bar)
        while len(self._bars) > _MAX_NOTICES:
            self.dismiss(self._bars[0])
        return bar

    def notices(self) -> tuple[NoticeBar, ...]:
        return tuple(self._bars)

    def dismiss(self, bar: NoticeBar) -> None:
        if bar in self._bars:
            self._bars.remove(bar)
            self._notices.removeWidget(bar)
            bar.hide()
            bar.deleteLater()

    def _lay_out(self) -> None:
        self._head = QWidget()
        self._head.setObjectName("head")
        self._head.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        head = QHBoxLayout(self._head)
        set_gaps(head, Space.S, (Space.M, Space.S, Space.M, Space.S))
        head.addWidget(self._sidebar)
        head.addWidget(self._title, 1)
        head.addWidget(self._new)
        foot = QWidget()
        foot.setMaximumWidth(CHAT_COLUMN_PX)
        inside = QVBoxLayout(foot)
        set_gaps(inside, Space.S, (Space.L, Space.XS, Space.L, Space.L))
        set_gaps(self._notices, Space.S)
        inside.addLayout(self._notices)
        inside.addWidget(self.composer)
        middle = QHBoxLayout()
        middle.addStretch(1)
        middle.addWidget(foot, 1000)
        middle.addStretch(1)
        layout = QVBoxLayout(self)
        set_gaps(layout, 0)
        layout.addWidget(self._head)
        layout.addWidget(self._stack, 1)
        layout.addLayout(middle)

    def _retranslate(self) -> None:
        self._sidebar.set_words(self.tr("Show or hide the documents"))
        self._new.set_words(self.tr("New chat"), "Ctrl+N")
