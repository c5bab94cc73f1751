"""The middle of the window: head line, empty state or transcript, question box."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from app.gui.chat.composer import Composer
from app.gui.chat.empty import EmptyState
from app.gui.theme.tokens import CHAT_COLUMN_PX, Space
from app.gui.ui import Ui
from app.gui.widgets.basics import ElidedLabel, IconButton, set_gaps, set_look, set_style_property


class ChatView(QWidget):
    sidebar_asked = Signal()
    new_chat_asked = Signal()

    def __init__(self, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("chat")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._ui = ui
        self._transcript: QWidget | None = None
        self.empty = EmptyState(ui)
        self.composer = Composer(ui)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.empty)
        self._sidebar = IconButton(ui, "sidebar")
        self._sidebar.clicked.connect(self.sidebar_asked)
        self._new = IconButton(ui, "new_chat")
        self._new.clicked.connect(self.new_chat_asked)
        self._title = ElidedLabel(Qt.TextElideMode.ElideRight)
        set_look(self._title, "muted")
        self._above = QVBoxLayout()
        self._lay_out()
        ui.language.changed.connect(self._retranslate)
        self._retranslate()

    def show_transcript(self, shown: bool) -> None:
        self._stack.setCurrentWidget(self._transcript if shown and self._transcript is not None else self.empty)
        self._title.setText(self._title.text() if shown else "")
        set_style_property(self._head, "lined", "true" if shown else "false")
        self._new.setVisible(shown)

    def set_title(self, text: str) -> None:
        self._title.setText(text)

    def add_works(self, transcript: QWidget, notices: QWidget) -> None:
        """What comes after the first paint: the turns, and the bars above the question box."""
        self._transcript = transcript
        self._stack.addWidget(transcript)
        self._above.addWidget(notices)

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
        set_gaps(self._above, 0)
        inside.addLayout(self._above)
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
