"""The sources under an answer: one chip per citation. What was not found in the source says so."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QPushButton, QWidget

from app.core.values import Citation
from app.gui.places import page_place
from app.gui.theme import fonts
from app.gui.theme.tokens import CHAT_COLUMN_PX, Space, Type
from app.gui.ui import Ui
from app.gui.widgets.basics import set_look, tooltip
from app.gui.widgets.flow import FlowLayout

_NAME_PX, _NAME_MIN_PX = 190, 48
_PADDING_PX = 60  # borders, padding and the warning icon of a chip
_QUOTE_CHARS = 280
_ICON_PX = 14


class CitationChips(QWidget):
    """`clicked` carries the position of the citation in the answer."""

    clicked = Signal(int)

    def __init__(self, ui: Ui, citations: Sequence[Citation], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ui = ui
        self._citations = tuple(citations)
        self._chips: list[QPushButton] = []
        self._width_px = CHAT_COLUMN_PX  # until the layout says otherwise
        flow = FlowLayout(self, Space.S)
        for position, citation in enumerate(self._citations):
            chip = QPushButton(self)
            chip.setCheckable(True)
            chip.setCursor(Qt.CursorShape.PointingHandCursor)
            chip.setIconSize(QSize(_ICON_PX, _ICON_PX))
            set_look(chip, "chip" if citation.verified else "chip_warn")
            chip.clicked.connect(lambda _=False, at=position: self._clicked(at))
            flow.addWidget(chip)
            self._chips.append(chip)
        ui.language.changed.connect(self._retranslate)
        ui.theme.changed.connect(self._redraw)
        self._retranslate()
        self._redraw()

    def chips(self) -> tuple[QPushButton, ...]:
        return tuple(self._chips)

    def set_current(self, position: int | None) -> None:
        for at, chip in enumerate(self._chips):
            chip.setChecked(at == position)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        if event.size().width() != self._width_px:
            self._width_px = event.size().width()
            self._retranslate()

    def _clicked(self, position: int) -> None:
        self.set_current(position)
        self.clicked.emit(position)

    def _retranslate(self) -> None:
        metrics = QFontMetrics(fonts.font(Type.SMALL))
        for citation, chip in zip(self._citations, self._chips, strict=True):
            where = page_place(citation.page_no, citation.page_label)
            after = "" if citation.verified else " · " + self.tr("not found in the source")
            around = metrics.horizontalAdvance(f"[{citation.marker}]  {where}{after}") + _PADDING_PX
            room = min(_NAME_PX, max(_NAME_MIN_PX, self._width_px - around))
            name = metrics.elidedText(citation.document_name, Qt.TextElideMode.ElideMiddle, room)
            text = f"[{citation.marker}] {name} {where}{after}"
            chip.setText(text.replace("&", "&&"))
            chip.setAccessibleName(f"{citation.marker}: {citation.document_name} {where}")
            chip.setToolTip(tooltip(_short(citation.quote)))

    def _redraw(self) -> None:
        for citation, chip in zip(self._citations, self._chips, strict=True):
            if not citation.verified:
                chip.setIcon(self._ui.theme.icon("warning", "warn", _ICON_PX))


def _short(quote: str) -> str:
    return f"“{quote}”" if len(quote) <= _QUOTE_CHARS else f"“{quote[: _QUOTE_CHARS - 1]}…”"
