"""One page image on a desk, with boxes drawn like a highlighter. Zoom is relative to "fits the width"."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QPainter, QPainterPath, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QWidget

from app.core.values import Box, PageImage
from app.gui.theme.tokens import Space
from app.gui.ui import Ui

ZOOM_STEPS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
_BOX_PAD_PT = 1.5  # a highlighter is a little taller than the letters
_HIGHLIGHT = QColor("#ffe58c")  # multiplied: paper stays readable under it, in both themes
_EDGE = QColor("#c98a00")


class PageView(QScrollArea):
    """`sharper_asked` carries the width in real pixels the page should be rendered at."""

    sharper_asked = Signal(int)

    def __init__(self, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        self._sheet = _Sheet(ui)
        self.setWidget(self._sheet)
        self._zoom = 1.0
        self._shown = False

    @property
    def zoom(self) -> float:
        return self._zoom

    def wanted_px(self) -> int:
        """Real pixels across the page at the present size and zoom."""
        return max(200, round(self._page_width() * self.devicePixelRatioF()))

    def show_page(self, page: PageImage, boxes: tuple[Box, ...]) -> None:
        image = QImage(page.rgb, page.width_px, page.height_px, page.width_px * 3, QImage.Format.Format_RGB888).copy()
        first = not self._shown
        self._shown = True
        self._sheet.set_page(image, (page.width_pt, page.height_pt), boxes)
        self._resize_sheet()
        if first:
            self.show_boxes()

    def clear(self) -> None:
        self._shown = False
        self._sheet.set_page(None, (0.0, 0.0), ())

    def boxes_drawn(self) -> tuple[QRectF, ...]:
        """Where the boxes are, in pixels of the sheet."""
        return tuple(self._sheet.box_rects())

    def show_boxes(self) -> None:
        """Scroll so that the first box is a third down the view."""
        rects = self._sheet.box_rects()
        bar = self.verticalScrollBar()
        bar.setValue(round(rects[0].top() - self.viewport().height() / 3) if rects else 0)

    def zoom_by(self, steps: int) -> None:
        near = min(range(len(ZOOM_STEPS)), key=lambda at: abs(ZOOM_STEPS[at] - self._zoom))
        self.set_zoom(ZOOM_STEPS[max(0, min(len(ZOOM_STEPS) - 1, near + steps))])

    def set_zoom(self, zoom: float) -> None:
        if zoom != self._zoom:
            self._zoom = zoom
            self._resize_sheet()
            self.show_boxes()
            self.sharper_asked.emit(self.wanted_px())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self._resize_sheet()
        if self._shown and event.size().width() != event.oldSize().width():
            self.sharper_asked.emit(self.wanted_px())

    def _page_width(self) -> float:
        return max(1.0, (self.viewport().width() - 2 * Space.L) * self._zoom)

    def _resize_sheet(self) -> None:
        self._sheet.set_page_width(self._page_width())


class _Sheet(QWidget):
    def __init__(self, ui: Ui) -> None:
        super().__init__()
        self._ui = ui
        self._image: QImage | None = None
        self._size_pt = (0.0, 0.0)
        self._boxes: tuple[Box, ...] = ()
        self._width = 1.0

    def set_page(self, image: QImage | None, size_pt: tuple[float, float], boxes: tuple[Box, ...]) -> None:
        self._image, self._size_pt, self._boxes = image, size_pt, boxes
        self.update()

    def set_page_width(self, width: float) -> None:
        self._width = width
        height = width * self._size_pt[1] / self._size_pt[0] if self._size_pt[0] else 0
        self.resize(QSize(round(width) + 2 * Space.L, round(height) + 2 * Space.L))
        self.update()

    def box_rects(self) -> list[QRectF]:
        scale = self._width / self._size_pt[0] if self._size_pt[0] else 0
        return [
            QRectF(
                Space.L + (box.x0 - _BOX_PAD_PT) * scale,
                Space.L + (box.y0 - _BOX_PAD_PT) * scale,
                (box.x1 - box.x0 + 2 * _BOX_PAD_PT) * scale,
                (box.y1 - box.y0 + 2 * _BOX_PAD_PT) * scale,
            )
            for box in self._boxes
        ]

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        if self._image is None or not self._size_pt[0]:
            return
        painter = QPainter(self)
        painter.setRenderHints(QPainter.RenderHint.SmoothPixmapTransform | QPainter.RenderHint.Antialiasing)
        page = QRectF(Space.L, Space.L, self._width, self._width * self._size_pt[1] / self._size_pt[0])
        painter.setPen(Qt.PenStyle.NoPen)
        for spread, strength in ((1, 26), (3, 9), (6, 5)):
            painter.setBrush(QColor(0, 0, 0, strength))
            painter.drawRoundedRect(page.adjusted(-spread, -spread + 1, spread, spread + 1), spread, spread)
        painter.drawImage(page, self._image)
        self._highlight(painter)

    def _highlight(self, painter: QPainter) -> None:
        rects = self.box_rects()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_HIGHLIGHT)
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Multiply)
        marked = QPainterPath()  # one shape: where boxes of two lines meet, the colour must not double
        for rect in rects:
            line = QPainterPath()
            line.addRoundedRect(rect, 3, 3)
            marked = marked.united(line)
        painter.drawPath(marked)
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceOver)
        if rects:  # one mark in the margin, so that the place is found at a glance
            top = min(rect.top() for rect in rects)
            bottom = max(rect.bottom() for rect in rects)
            x = min(rect.left() for rect in rects) - Space.S
            painter.setPen(QPen(_EDGE, 2.5, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            painter.drawLine(round(x), round(top), round(x), round(bottom))
