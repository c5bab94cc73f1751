"""One answer while it grows and when it is done: status, text, notices, sources, how it was made."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QUrl, Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.core.errors import Reason
from app.core.events import AskEvent, Notice, PassagesChosen, PromptProgress, RouteChosen, TextDelta
from app.core.values import Answer
from app.gui.chat import answer_words
from app.gui.chat.answer_text import AnswerText
from app.gui.chat.browser import TextView
from app.gui.chat.chips import CitationChips
from app.gui.theme.tokens import Space
from app.gui.ui import Ui
from app.gui.widgets.basics import IconButton, label, set_gaps
from app.gui.widgets.notice import Level, NoticeBar


class AnswerView(QWidget):
    citation_clicked = Signal(int)  # position in answer.citations
    link_clicked = Signal(str)  # an address the answer links to; never opened by itself
    copy_asked = Signal(str)

    def __init__(self, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ui = ui
        self._answer: Answer | None = None
        self._notices: list[NoticeBar] = []
        self._status_words: Callable[[], str] = answer_words.waiting
        self._status = label("muted")
        self._reading_mode = label("pill")
        self._text = AnswerText(ui)
        self._text.link_clicked.connect(self._link)
        self._chips: CitationChips | None = None
        self._how = label("caption", wrap=True)
        self._copy = IconButton(ui, "copy", size_px=15)
        self._copy.clicked.connect(lambda: self.copy_asked.emit(self._text.text()))
        self._lay_out()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        ui.language.changed.connect(self._retranslate)
        self._retranslate()

    @property
    def answer(self) -> Answer | None:
        """None while it grows, and when nothing could be answered."""
        return self._answer

    def text(self) -> str:
        return self._text.text()

    def status(self) -> str:
        """What is said before the first word; "" once there is text or an end."""
        return "" if self._status.isHidden() else self._status.text()

    def reading_mode_shown(self) -> bool:
        return not self._reading_mode.isHidden()

    def notices(self) -> tuple[NoticeBar, ...]:
        return tuple(self._notices)

    def tail_text(self) -> str:
        """The growing part, shown as plain text."""
        return self._text.tail()

    def text_view(self) -> TextView:
        return self._text.blocks

    def chips(self) -> CitationChips | None:
        return self._chips

    def apply(self, event: AskEvent) -> None:
        """Show one event of the stream; AnswerReady goes to finish()."""
        if isinstance(event, TextDelta):
            self._status.hide()
            self._text.append(event.text)
        elif isinstance(event, Notice):
            self.add_notice(event.reason)
        elif isinstance(event, RouteChosen):
            self._say(lambda: answer_words.route_words(event.route))
        elif isinstance(event, PassagesChosen):
            self._say(lambda: answer_words.passages_words(event))
        elif isinstance(event, PromptProgress):
            self._say(lambda: answer_words.progress_words(event))

    def add_notice(self, reason: Reason | None, level: Level = Level.WARN) -> NoticeBar:
        """What the user should know: happened in the first line, safe and next below."""

        def words() -> tuple[str, str]:
            sentence = self._ui.explain(reason)
            return sentence.happened, sentence.advice

        return self._add_bar(level, words)

    def finish(self, answer: Answer) -> None:
        self._answer = answer
        self._status.hide()
        self._text.finish(answer)
        self._reading_mode.setVisible(answer.reading_mode)
        if answer.unsupported:
            self._add_bar(Level.WARN, lambda: answer_words.unsupported_words(answer))
        if answer_words.end_words(answer.end_reason):
            self._add_bar(Level.INFO, lambda: (answer_words.end_words(answer.end_reason), ""))
        if answer.citations:
            self._chips = CitationChips(self._ui, answer.citations, self)
            self._chips.clicked.connect(self.citation_clicked)
            self._sources.addWidget(self._chips)
        self._foot.show()
        self._retranslate()

    def fail(self, reason: Reason | None, level: Level = Level.ERROR) -> None:
        """Nothing more comes: keep what is there and say why."""
        self._status.hide()
        self._text.settle()
        self.add_notice(reason, level)

    def set_current_citation(self, position: int | None) -> None:
        if self._chips is not None:
            self._chips.set_current(position)

    def _say(self, words: Callable[[], str]) -> None:
        self._status_words = words
        self._status.setText(words())

    def _add_bar(self, level: Level, words: Callable[[], tuple[str, str]]) -> NoticeBar:
        bar = NoticeBar(self._ui, level, words, self)
        self._notices.append(bar)
        self._bars.addWidget(bar)
        return bar

    def _link(self, url: QUrl) -> None:
        if url.scheme() != "cite":
            self.link_clicked.emit(url.toString())
            return
        marker = int(url.path())
        citations = self._answer.citations if self._answer else ()
        position = next((at for at, citation in enumerate(citations) if citation.marker == marker), None)
        if position is not None:
            self.set_current_citation(position)
            self.citation_clicked.emit(position)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        set_gaps(layout, Space.S)
        pill = QHBoxLayout()
        pill.addWidget(self._reading_mode)
        pill.addStretch(1)
        self._reading_mode.hide()
        self._bars = QVBoxLayout()
        set_gaps(self._bars, Space.S)
        self._sources = QVBoxLayout()
        set_gaps(self._sources, 0)
        self._foot = QWidget()
        foot = QHBoxLayout(self._foot)
        set_gaps(foot, Space.XS)
        foot.addWidget(self._how, 1)
        foot.addWidget(self._copy)
        self._foot.hide()
        layout.addLayout(pill)
        layout.addWidget(self._status)
        layout.addWidget(self._text)
        layout.addLayout(self._bars)
        layout.addLayout(self._sources)
        layout.addWidget(self._foot)

    def _retranslate(self) -> None:
        self._status.setText(self._status_words())
        self._reading_mode.setText(self.tr("Reading mode: quoted word for word"))
        self._reading_mode.setToolTip(
            self.tr("No model wrote this. These are the sentences of your documents that fit the question best.")
        )
        self._copy.set_words(self.tr("Copy answer"))
        if self._answer is not None:
            self._how.setText(answer_words.how_words(self._answer))
