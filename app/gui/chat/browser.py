"""A read-only text that is as tall as its content and fetches nothing: no file, no network, no resource."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QByteArray, QSize, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QFont, QResizeEvent, QTextOption, QWheelEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser, QWidget

from app.gui.chat.markdown_style import document_style
from app.gui.theme import fonts
from app.gui.theme.tokens import Space, Type
from app.gui.ui import Ui


class TextView(QTextBrowser):
    """Links are only reported, through anchorClicked. Grows and shrinks with its text."""

    resource_refused = Signal(str)  # scheme of something the text wanted to load; for tests and the log

    def __init__(self, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ui = ui
        self.setOpenLinks(False)
        self.setOpenExternalLinks(False)
        self.setUndoRedoEnabled(False)
        self.setAcceptDrops(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
            | Qt.TextInteractionFlag.LinksAccessibleByMouse
            | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
        )
        self.document().setDocumentMargin(0)
        self.document().setIndentWidth(Space.XL)
        self.document().documentLayout().documentSizeChanged.connect(self._follow_height)
        self.set_font(fonts.font(Type.READING))

    def set_font(self, font: QFont) -> None:
        self.document().setDefaultFont(font)

    def show_html(self, html: str) -> None:
        self.document().setDefaultStyleSheet(document_style(self._ui.theme.colours))
        self.setHtml(html)

    def show_plain(self, text: str) -> None:
        self.setPlainText(text)

    def loadResource(self, kind: int, name: QUrl | str) -> Any:  # noqa: N802 - Qt's name; Any: Qt's variant
        """Empty bytes, whatever is asked. Not None: then QTextDocument would open local files by itself."""
        self.resource_refused.emit(QUrl(name).scheme())
        return QByteArray()

    def doSetSource(self, name: QUrl | str, kind: Any = None) -> None:  # noqa: N802 - Qt's name
        """Never navigate: keyboard and scripts could set a source that loadResource would be asked for."""

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        event.ignore()  # the transcript scrolls, not each message

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self._follow_height()
        QTimer.singleShot(0, self, self.updateGeometry)  # a layout that is just being done misses the new height

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(super().sizeHint().width(), self.height())

    def _follow_height(self) -> None:
        wanted = int(self.document().size().height()) + 2
        if wanted != self.height():
            self.setFixedHeight(wanted)
