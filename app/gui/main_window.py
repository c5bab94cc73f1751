"""The window as it is painted first: side bar, empty state, question box. No document, no answer, nothing heavy.

What makes it work (app.gui.works) is loaded on a thread after the first paint and added then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize
from PySide6.QtGui import QIcon, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.gui.chat.view import ChatView
from app.gui.documents.panel import DocumentsPanel
from app.gui.panes import Panes
from app.gui.theme import icons
from app.gui.ui import Ui

if TYPE_CHECKING:
    from app.gui.works import Works

START_SIZE = QSize(1240, 800)
MIN_SIZE = QSize(640, 480)


class MainWindow(QWidget):
    def __init__(self, ui: Ui) -> None:
        super().__init__()
        self.ui = ui
        self.works: Works | None = None
        self.panel = DocumentsPanel(ui)
        self.chat = ChatView(ui)
        self.panes = Panes(self.panel, self.chat, self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panes)
        self.setMinimumSize(MIN_SIZE)
        self.resize(START_SIZE)
        self.setWindowIcon(QIcon(icons.pixmap("logo", "#000", 64, 1.0)))
        self.chat.sidebar_asked.connect(self.panes.toggle_sidebar)
        ui.language.changed.connect(self._retranslate)
        self._retranslate()
        self.chat.show_transcript(False)
        self.chat.composer.focus()

    def shut_down(self) -> None:
        """Blocks until the services and all background threads have ended."""
        if self.works is not None:
            self.works.shut_down()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self.panes.fit(self.width())

    def _retranslate(self) -> None:
        self.setWindowTitle(self.tr("Jingyan 静言"))
