"""Files dropped anywhere in the window. Only local paths go on; an overlay says so while something is dragged."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, QMimeData, QObject, Signal
from PySide6.QtGui import QDragEnterEvent, QDragMoveEvent, QDropEvent
from PySide6.QtWidgets import QWidget

from app.gui.ui import Ui
from app.gui.widgets.drop_overlay import DropOverlay


class FileDrops(QObject):
    dropped = Signal(object)  # tuple[Path, ...], in the order of the drag
    refused = Signal()  # there were addresses, and none of them is a file on this computer

    def __init__(self, ui: Ui, window: QWidget) -> None:
        super().__init__(window)
        self.overlay = DropOverlay(ui, window)
        window.setAcceptDrops(True)
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if isinstance(event, QDropEvent) and event.type() == QEvent.Type.Drop:
            return self._drop(event)
        if isinstance(event, QDragEnterEvent) and event.mimeData().hasUrls():
            self.overlay.appear()
            event.acceptProposedAction()
            return True
        if isinstance(event, QDragMoveEvent) and event.mimeData().hasUrls():
            event.acceptProposedAction()
            return True
        if event.type() == QEvent.Type.DragLeave:
            self.overlay.hide()
        return False

    def _drop(self, event: QDropEvent) -> bool:
        self.overlay.hide()
        paths = local_paths(event.mimeData())
        if paths:
            event.acceptProposedAction()
            self.dropped.emit(paths)
        elif event.mimeData().hasUrls():
            event.ignore()
            self.refused.emit()
        return True


def local_paths(data: QMimeData) -> tuple[Path, ...]:
    return tuple(Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile())
