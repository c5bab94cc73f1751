"""Our SVG icons in any colour and size, sharp on dense screens. Files are resources/icons/<name>.svg, drawn in #000."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QGuiApplication, QIcon, QPainter, QPixmap

from app.core.paths import resources


def icon(name: str, colour: str, size_px: int, off_colour: str = "") -> QIcon:
    """The icon in `colour`; `off_colour` is how it looks when its control is disabled."""
    ratio = max(screen.devicePixelRatio() for screen in QGuiApplication.screens())
    made = QIcon(pixmap(name, colour, size_px, ratio))  # one picture, for the densest screen: Qt scales down well
    if off_colour:
        made.addPixmap(pixmap(name, off_colour, size_px, ratio), QIcon.Mode.Disabled)
    return made


@lru_cache(maxsize=512)  # 32 icons, two themes, a few colours and sizes: about 300 small pictures
def pixmap(name: str, colour: str, size_px: int, ratio: float) -> QPixmap:
    from PySide6.QtSvg import QSvgRenderer  # first use only: keeps it off the path to the first paint

    renderer = QSvgRenderer(QByteArray(_source(name).replace("#000", colour).encode()))
    side = round(size_px * ratio)
    made = QPixmap(side, side)
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    renderer.render(painter, QRectF(0, 0, side, side))
    painter.end()
    made.setDevicePixelRatio(ratio)
    return made


@lru_cache(maxsize=64)
def _source(name: str) -> str:
    return (resources() / "icons" / f"{name}.svg").read_text("utf-8")
