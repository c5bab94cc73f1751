"""The list of documents as a Qt model. Newest first; each change repaints one row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from app.core.events import DocumentChanged, DocumentRemoved, LibraryEvent
from app.core.values import Document, DocumentId
from app.gui.documents.words import state_name, state_words
from app.gui.ui import Ui
from app.gui.widgets.basics import tooltip

DOCUMENT_ROLE = Qt.ItemDataRole.UserRole + 1
_Index = QModelIndex | QPersistentModelIndex


class DocumentsModel(QAbstractListModel):
    def __init__(self, ui: Ui, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._ui = ui
        self._documents: list[Document] = []
        self._removed: set[DocumentId] = set()
        for changed in (ui.language.changed, ui.theme.changed):
            changed.connect(self._redraw)

    def set_snapshot(self, documents: Iterable[Document]) -> None:
        """Rows the library had at start; rows known from events are newer and stay as they are."""
        known = {document.document_id for document in self._documents} | self._removed
        for document in documents:
            if document.document_id not in known:
                self._insert(document)

    def apply(self, events: Sequence[LibraryEvent]) -> None:
        for event in events:
            if isinstance(event, DocumentChanged):
                self._put(event.document)
            elif isinstance(event, DocumentRemoved):
                self._remove(event.document_id)

    def documents(self) -> tuple[Document, ...]:
        return tuple(self._documents)

    def find(self, document_id: DocumentId) -> Document | None:
        row = self._row(document_id)
        return None if row is None else self._documents[row]

    def index_of(self, document_id: DocumentId) -> QModelIndex:
        row = self._row(document_id)
        return QModelIndex() if row is None else self.index(row)

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and default
        return 0 if parent.isValid() else len(self._documents)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # Any: Qt's variant
        if not index.isValid():
            return None
        document = self._documents[index.row()]
        if role == DOCUMENT_ROLE:
            return document
        if role == Qt.ItemDataRole.DisplayRole:
            return document.name
        if role == Qt.ItemDataRole.ToolTipRole:
            return tooltip(f"{document.name}\n{state_words(self._ui, document)}")
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{document.name}, {state_name(document.state)}, {state_words(self._ui, document)}"
        return None

    def _put(self, document: Document) -> None:
        row = self._row(document.document_id)
        if row is None:
            self._removed.discard(document.document_id)
            self._insert(document)
            return
        self._documents[row] = document
        self.dataChanged.emit(self.index(row), self.index(row))

    def _insert(self, document: Document) -> None:
        place = next((i for i, other in enumerate(self._documents) if other.added_at <= document.added_at), None)
        row = len(self._documents) if place is None else place
        self.beginInsertRows(QModelIndex(), row, row)
        self._documents.insert(row, document)
        self.endInsertRows()

    def _remove(self, document_id: DocumentId) -> None:
        self._removed.add(document_id)
        row = self._row(document_id)
        if row is not None:
            self.beginRemoveRows(QModelIndex(), row, row)
            del self._documents[row]
            self.endRemoveRows()

    def _row(self, document_id: DocumentId) -> int | None:
        return next((row for row, other in enumerate(self._documents) if other.document_id == document_id), None)

    def _redraw(self) -> None:
        if self._documents:
            self.dataChanged.emit(self.index(0), self.index(len(self._documents) - 1))
