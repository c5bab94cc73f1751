"""Connects answers and documents with the source pane: which places it shows, and which chip is lit."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from app.core.events import DocumentChanged, LibraryEvent
from app.core.values import Document
from app.gui.chat.answer import AnswerView
from app.gui.documents.model import DocumentsModel
from app.gui.ports import Library
from app.gui.source.loader import PageLoader
from app.gui.source.pane import SourcePane
from app.gui.source.place import Place, place_of
from app.gui.tasks import Tasks
from app.gui.ui import Ui


class Sources(QObject):
    shown = Signal()

    def __init__(self, ui: Ui, tasks: Tasks, documents: DocumentsModel, parent: QObject) -> None:
        super().__init__(parent)
        self._documents = documents
        self.loader = PageLoader(tasks, self)
        self.pane = SourcePane(ui, self.loader)
        self._answer: AnswerView | None = None
        self.pane.citation_shown.connect(self._step_to)

    def connect_library(self, library: Library) -> None:
        self.loader.connect_library(library)

    def show_citation(self, answer: AnswerView, position: int) -> None:
        if answer.answer is None:
            return
        if self._answer is not None and self._answer is not answer:
            self._answer.set_current_citation(None)
        self._answer = answer
        answer.set_current_citation(position)
        places = tuple(place_of(citation) for citation in answer.answer.citations)
        self.shown.emit()
        self.pane.show_places(places, position, self._documents.find(places[position].document_id))

    def open_document(self, document: Document) -> None:
        """Show a document from its first page, without marks."""
        self.closed()
        self.shown.emit()
        self.pane.show_places((Place(document.document_id, document.name, 1, ""),), 0, document)

    def closed(self) -> None:
        if self._answer is not None:
            self._answer.set_current_citation(None)
        self._answer = None

    def documents_changed(self, events: tuple[LibraryEvent, ...]) -> None:
        for event in events:
            changed = event.document.document_id if isinstance(event, DocumentChanged) else event.document_id
            self.loader.forget(changed)

    def _step_to(self, position: int) -> None:
        if self._answer is not None:
            self.show_citation(self._answer, position)
