"""A second program for the drag test: a window of its own from which files can be dragged. Arguments: the files."""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QDrag, QMouseEvent
from PySide6.QtWidgets import QApplication, QLabel


class Source(QLabel):
    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        if not event.buttons() & Qt.MouseButton.LeftButton:
            return
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(Path(name).absolute())) for name in sys.argv[1:]])
        drag = QDrag(self)
        drag.setMimeData(data)
        print("drag", drag.exec(Qt.DropAction.CopyAction).name, flush=True)


application = QApplication(sys.argv[:1])
source = Source("drag me")
source.setWindowTitle("drag-source")
source.setGeometry(20, 60, 160, 120)
source.show()
print("ready", flush=True)
application.exec()
