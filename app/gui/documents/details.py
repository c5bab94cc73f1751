"""A popover with the whole truth about one document: size, pages, every problem with its page, and what to do."""

from __future__ import annotations

from PySide6.QtCore import QDateTime, QLocale, QPoint, Qt, Signal, SignalInstance
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.core.errors import ErrorCode
from app.core.values import Document, DocumentState
from app.gui.documents.words import problem_reason, state_icon, state_name
from app.gui.places import folder_place
from app.gui.plurals import Plurals
from app.gui.theme.tokens import Space
from app.gui.ui import Ui
from app.gui.widgets.basics import IconLabel, label, set_gaps, set_look
from app.wording import format_size

_WIDTH_PX = 420
_PROBLEMS_MAX_PX = 260
_PROBLEMS_SHOWN = 200  # a list of widgets; more would take visible time, and nobody reads them one by one


class DetailsPopover(QFrame):
    """Closes itself when the user clicks elsewhere or presses Escape; deletes itself then."""

    open_asked = Signal()
    ask_only_asked = Signal()
    retry_asked = Signal()
    unlock_asked = Signal()
    remove_asked = Signal()

    def __init__(self, ui: Ui, document: Document, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setObjectName("popover")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(_WIDTH_PX)
        self._ui = ui
        self._document = document
        self.setAccessibleName(self.tr("Details of {name}").format(name=document.name))
        layout = QVBoxLayout(self)
        set_gaps(layout, Space.S, (Space.L, Space.L, Space.L, Space.L))
        self._head(layout)
        self._problems(layout)
        self._buttons(layout)

    def show_beside(self, corner: QPoint) -> None:
        """Show with the top left at `corner` (global), moved so that all of it is on the screen."""
        self.adjustSize()
        screen = self.screen().availableGeometry()
        x = min(corner.x(), screen.right() - self.width() - Space.S)
        y = min(corner.y(), screen.bottom() - self.height() - Space.S)
        self.move(max(screen.left(), x), max(screen.top(), y))
        self.show()

    def _head(self, layout: QVBoxLayout) -> None:
        document = self._document
        name = label("strong", wrap=True)
        name.setText(_breakable(document.name))
        layout.addWidget(name)
        state = QHBoxLayout()
        set_gaps(state, Space.XS)
        icon, colour = state_icon(document.state)
        words = label("")
        words.setText(state_name(document.state))
        state.addWidget(IconLabel(self._ui, icon, colour, 16))
        state.addWidget(words, 1)
        layout.addLayout(state)
        facts = label("caption", wrap=True)
        facts.setText(self._facts())
        layout.addWidget(facts)
        place = label("caption", wrap=True)
        place.setText(_breakable(folder_place(document.path.parent)))
        layout.addWidget(place)

    def _facts(self) -> str:
        document = self._document
        parts = [format_size(document.size_bytes)] if document.size_bytes else []
        if document.page_count:
            parts.append(Plurals().pages(document.page_count))
        added_at = QDateTime.fromSecsSinceEpoch(int(document.added_at.timestamp()))
        added = QLocale().toString(added_at, QLocale.FormatType.ShortFormat)
        parts.append(self.tr("added {when}").format(when=added))
        return " · ".join(parts)

    def _problems(self, layout: QVBoxLayout) -> None:
        if not self._document.problems:
            return
        box = QWidget()
        column = QVBoxLayout(box)
        set_gaps(column, Space.M, (0, Space.XS, Space.S, Space.XS))
        for problem in self._document.problems[:_PROBLEMS_SHOWN]:
            sentence = self._ui.explain(problem_reason(self._document, problem))
            text = label("", wrap=True)
            text.setText(str(sentence))
            text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            column.addWidget(text)
        hidden = len(self._document.problems) - _PROBLEMS_SHOWN
        if hidden > 0:
            more = label("muted")
            more.setText(Plurals().more_pages(hidden))
            column.addWidget(more)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setObjectName("problems")
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(box)
        wanted = box.heightForWidth(_WIDTH_PX - 2 * Space.L - Space.M)
        scroll.setFixedHeight(min(_PROBLEMS_MAX_PX, max(wanted, box.sizeHint().height() if wanted < 0 else wanted)))
        layout.addWidget(scroll)

    def _buttons(self, layout: QVBoxLayout) -> None:
        row = QHBoxLayout()
        set_gaps(row, Space.S, (0, Space.XS, 0, 0))
        state = self._document.state
        if state in (DocumentState.READY, DocumentState.PARTIAL):
            self._button(row, self.tr("Open"), self.open_asked)
            self._button(row, self.tr("Ask only this"), self.ask_only_asked)
        if needs_password(self._document):
            self._button(row, self.tr("Unlock…"), self.unlock_asked)
        elif state in (DocumentState.PARTIAL, DocumentState.REFUSED):
            self._button(row, self.tr("Read again"), self.retry_asked)
        row.addStretch(1)
        self._button(row, self.tr("Remove"), self.remove_asked)
        layout.addLayout(row)

    def _button(self, row: QHBoxLayout, words: str, signal: SignalInstance) -> None:
        button = QPushButton(words)
        set_look(button, "small")
        button.clicked.connect(self.close)
        button.clicked.connect(signal)
        row.addWidget(button)


def needs_password(document: Document) -> bool:
    return any(problem.reason.code is ErrorCode.PASSWORD_NEEDED for problem in document.problems)


def _breakable(name: str) -> str:
    """Zero-width spaces where a long name or path may break."""
    for mark in "/\\_-.":
        name = name.replace(mark, f"{mark}\u200b")
    return name
