"""The scrolling column of questions and answers. Follows the newest text unless the user has scrolled up."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.gui.chat.answer import AnswerView
from app.gui.chat.bubble import QuestionBubble
from app.gui.theme.tokens import CHAT_COLUMN_PX, Space
from app.gui.ui import Ui
from app.gui.widgets.basics import set_gaps

_NEAR_BOTTOM_PX = 60


class Transcript(QScrollArea):
    def __init__(self, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ui = ui
        self._follow = True
        self.setObjectName("transcript")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._inside = QWidget()
        self._inside.setObjectName("transcript")
        self._inside.setMinimumSize(1, 1)  # else its height is that of the narrowest wrapping, with a gap below
        self._column = QWidget()
        self._column.setMaximumWidth(CHAT_COLUMN_PX)
        self._turns = QVBoxLayout(self._column)
        set_gaps(self._turns, Space.XL, (Space.XL, Space.XXL, Space.XL, Space.XXL))
        self._turns.addStretch(1)
        row = QHBoxLayout(self._inside)
        set_gaps(row, 0)
        row.addStretch(1)
        row.addWidget(self._column, 1000)
        row.addStretch(1)
        self.setWidget(self._inside)
        self._inside.installEventFilter(self)
        self.verticalScrollBar().valueChanged.connect(self._note_place)
        self.verticalScrollBar().rangeChanged.connect(self._keep_bottom)

    def add_question(self, text: str, scope: str) -> QuestionBubble:
        bubble = QuestionBubble(text, scope)
        self._follow = True
        self._insert(bubble)
        bubble.fit(self._column_px())
        return bubble

    def add_answer(self) -> AnswerView:
        answer = AnswerView(self._ui)
        self._insert(answer)
        return answer

    def answers(self) -> tuple[AnswerView, ...]:
        return tuple(view for view in self._widgets() if isinstance(view, AnswerView))

    def questions(self) -> tuple[QuestionBubble, ...]:
        return tuple(view for view in self._widgets() if isinstance(view, QuestionBubble))

    def clear(self) -> None:
        for widget in self._widgets():
            self._turns.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        self._follow = True

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self._fit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if watched is self._inside and event.type() == QEvent.Type.LayoutRequest:
            self._keep_bottom()
        return super().eventFilter(watched, event)

    def _insert(self, widget: QWidget) -> None:
        self._turns.insertWidget(self._turns.count() - 1, widget)

    def _widgets(self) -> list[QWidget]:
        items = (self._turns.itemAt(at) for at in range(self._turns.count()))
        return [widget for item in items if item is not None and (widget := item.widget()) is not None]

    def _column_px(self) -> int:
        return min(CHAT_COLUMN_PX, self.viewport().width()) - 2 * Space.XL

    def _fit(self) -> None:
        for bubble in self.questions():
            bubble.fit(self._column_px())

    def _note_place(self, value: int) -> None:
        self._follow = value >= self.verticalScrollBar().maximum() - _NEAR_BOTTOM_PX

    def _keep_bottom(self) -> None:
        if self._follow:
            bar = self.verticalScrollBar()
            bar.setValue(bar.maximum())
