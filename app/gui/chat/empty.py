"""What a newcomer sees: what this is, what to do first, and questions to start with."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.gui.theme import icons
from app.gui.theme.tokens import ICON_PX, Space
from app.gui.ui import Ui
from app.gui.widgets.basics import label, set_gaps, set_look

_LOGO_PX = 60
_COLUMN_PX = 520


class EmptyState(QWidget):
    """Two faces: no documents yet (drop, choose, sample), and documents but no question yet (suggestions)."""

    add_asked = Signal()
    sample_asked = Signal()
    question_chosen = Signal(str)

    def __init__(self, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ui = ui
        self._has_documents = False
        self._sample = False
        self._logo = label()
        self._heading = label("display", wrap=True)
        self._lead = label("lead", wrap=True)
        for part in (self._logo, self._heading, self._lead):
            part.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._choose = QPushButton()
        set_look(self._choose, "primary")
        self._choose.setIconSize(QSize(ICON_PX, ICON_PX))
        self._choose.clicked.connect(self.add_asked)
        self._try = QPushButton()
        self._try.clicked.connect(self.sample_asked)
        self._questions = [QPushButton() for _ in range(3)]
        for button in self._questions:
            set_look(button, "suggestion")
            button.clicked.connect(lambda _=False, asked=button: self.question_chosen.emit(asked.text()))
        self._promise = label("caption", wrap=True)
        self._promise.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._lay_out()
        ui.language.changed.connect(self._retranslate)
        ui.theme.changed.connect(self._redraw)
        self._redraw()
        self._retranslate()

    def set_documents(self, count: int, *, sample_only: bool) -> None:
        """`sample_only`: the library holds just our sample, whose questions we know."""
        if (count > 0, sample_only) != (self._has_documents, self._sample):
            self._has_documents, self._sample = count > 0, sample_only
            self._retranslate()

    def questions(self) -> Sequence[QPushButton]:
        return self._questions

    def _lay_out(self) -> None:
        column = QWidget()
        column.setMaximumWidth(_COLUMN_PX)
        inside = QVBoxLayout(column)
        set_gaps(inside, Space.M, (Space.XL, Space.XL, Space.XL, Space.XL))
        inside.addStretch(3)
        inside.addWidget(self._logo)
        inside.addSpacing(Space.XS)
        inside.addWidget(self._heading)
        inside.addWidget(self._lead)
        inside.addSpacing(Space.S)
        buttons = QHBoxLayout()
        set_gaps(buttons, Space.M)
        buttons.addStretch(1)
        buttons.addWidget(self._choose)
        buttons.addWidget(self._try)
        buttons.addStretch(1)
        inside.addLayout(buttons)
        for button in self._questions:
            inside.addWidget(button)
        inside.addSpacing(Space.S)
        inside.addWidget(self._promise)
        inside.addStretch(4)
        row = QHBoxLayout(self)
        set_gaps(row, 0)
        row.addStretch(1)
        row.addWidget(column, 1000)
        row.addStretch(1)

    def _retranslate(self) -> None:
        if self._has_documents:
            self._heading.setText(self.tr("What would you like to know?"))
            self._lead.setText(self.tr("Every answer shows the pages it comes from."))
        else:
            self._heading.setText(self.tr("Ask your documents"))
            self._lead.setText(
                self.tr(
                    "Drop PDFs, notes or text files anywhere in this window. Answers come with the page they stand on."
                )
            )
        self._choose.setText(self.tr("Choose files…"))
        self._try.setText(self.tr("Try the sample document"))
        self._promise.setText(self.tr("Everything is read and answered on this computer. Nothing is sent anywhere."))
        for button, question in zip(self._questions, self._suggestions(), strict=True):
            button.setText(question)
            button.setVisible(self._has_documents)
        self._choose.setVisible(not self._has_documents)
        self._try.setVisible(not self._has_documents)

    def _suggestions(self) -> tuple[str, str, str]:
        if self._sample:
            return (
                self.tr("When does the lease begin?"),
                self.tr("How much is the monthly rent in the first year?"),
                self.tr("How high is the deposit?"),
            )
        return (
            self.tr("What is this document about?"),
            self.tr("Which dates and deadlines are mentioned?"),
            self.tr("What are the most important figures?"),
        )

    def _redraw(self) -> None:
        self._logo.setPixmap(icons.pixmap("logo", "#000", _LOGO_PX, self.devicePixelRatioF()))
        self._choose.setIcon(self._ui.theme.icon("add", "on_accent"))
