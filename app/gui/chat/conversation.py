"""One conversation: sends questions, feeds the events of the newest one to its answer view, keeps the turns.

Events of a question that was left behind (new chat) are dropped. Text that has arrived is never taken away.
"""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.core.cancel import CancelToken
from app.core.errors import ErrorCode
from app.core.events import AnswerReady, AskEvent
from app.core.values import Document, Message, Question, Role
from app.gui.bridge import AskEnded, Bridge
from app.gui.chat.answer import AnswerView
from app.gui.chat.transcript import Transcript
from app.gui.chat.view import ChatView
from app.gui.ports import Asking
from app.gui.tasks import Tasks, failure_of
from app.gui.widgets.notice import Level


class Conversation(QObject):
    citation_asked = Signal(object, int)  # AnswerView, position of the citation
    link_asked = Signal(str)
    copy_asked = Signal(str)

    def __init__(
        self, view: ChatView, transcript: Transcript, bridge: Bridge, tasks: Tasks, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._view = view
        self._transcript = transcript
        self._bridge = bridge
        self._tasks = tasks
        self._asking: Asking | None = None
        self._scope: Document | None = None
        self._history: list[Message] = []
        self._number = 0
        self._question = ""
        self._answer: AnswerView | None = None  # the one that grows now
        self._cancel: CancelToken | None = None
        bridge.asked.connect(self._events)
        bridge.ask_ended.connect(self._ended)

    @property
    def answering(self) -> bool:
        return self._answer is not None

    @property
    def last_answer(self) -> AnswerView | None:
        """The newest answer of this chat, growing or done."""
        answers = self._transcript.answers()
        return answers[-1] if answers else None

    @property
    def scope(self) -> Document | None:
        return self._scope

    def connect_asking(self, asking: Asking) -> None:
        self._asking = asking
        self._view.composer.set_ready(True)

    def set_scope(self, document: Document | None) -> None:
        """Ask only this document, until it is cleared."""
        self._scope = document
        self._view.composer.set_scope(document.name if document else "")

    def ask(self, text: str) -> None:
        asking = self._asking
        if asking is None or self._answer is not None:
            return
        self._number += 1
        self._question = text
        if not self._history:
            self._view.set_title(" ".join(text.split()))
        self._view.show_transcript(True)
        self._transcript.add_question(text, self._scope.name if self._scope else "")
        self._answer = self._transcript.add_answer()
        self._connect(self._answer)
        self._view.composer.set_answering(True)
        self._cancel = CancelToken()
        ids = frozenset({self._scope.document_id}) if self._scope else None
        question = Question(text, ids, tuple(self._history))
        number, cancel, bridge = self._number, self._cancel, self._bridge
        self._tasks.run(lambda: _answer_question(asking, question, cancel, bridge, number))

    def stop(self) -> None:
        """Ask the service to end the answer; what is there stays."""
        if self._cancel is not None:
            self._cancel.cancel()

    def new_chat(self) -> None:
        self.stop()
        self._number += 1
        self._history = []
        self._finished()
        self._transcript.clear()
        self._view.show_transcript(False)
        self._view.composer.focus()

    def _connect(self, answer: AnswerView) -> None:
        answer.citation_clicked.connect(lambda position: self.citation_asked.emit(answer, position))
        answer.link_clicked.connect(self.link_asked)
        answer.copy_asked.connect(self.copy_asked)

    def _events(self, number: int, events: tuple[AskEvent, ...]) -> None:
        if number != self._number or self._answer is None:
            return
        for event in events:
            if isinstance(event, AnswerReady):
                self._answer.finish(event.answer)
                said = ((Role.USER, self._question), (Role.ASSISTANT, event.answer.text))
                self._history += [Message(role, text) for role, text in said]
            else:
                self._answer.apply(event)

    def _ended(self, number: int, ended: AskEnded) -> None:
        if number != self._number or self._answer is None:
            return
        if ended.failure is not None and ended.failure.reason is not None:
            stopped = ended.failure.reason.code is ErrorCode.CANCELLED
            self._answer.fail(ended.failure.reason, Level.INFO if stopped else Level.ERROR)
        elif ended.failure is not None or self._answer.answer is None:
            self._answer.fail(None)
        self._finished()

    def _finished(self) -> None:
        self._answer = None
        self._cancel = None
        self._view.composer.set_answering(False)


def _answer_question(asking: Asking, question: Question, cancel: CancelToken, bridge: Bridge, number: int) -> None:
    """Runs on a background thread; whatever happens, the last thing posted is AskEnded."""
    failure = None
    try:
        for event in asking.ask(question, cancel):
            bridge.post_ask(number, event)
    except Exception as error:  # noqa: BLE001 - the edge: shown in the answer, logged when it is a bug
        failure = failure_of(error)
    bridge.post_ask(number, AskEnded(failure))
