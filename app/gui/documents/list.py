"""The list of documents: rows, popover with details, context menu, keys. Emits what the user wants."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QListView, QMenu, QWidget

from app.core.values import Document, DocumentState
from app.gui.documents.delegate import DocumentDelegate
from app.gui.documents.details import DetailsPopover, needs_password
from app.gui.documents.model import DOCUMENT_ROLE, DocumentsModel
from app.gui.documents.unlock import UnlockDialog
from app.gui.theme.tokens import Space
from app.gui.ui import Ui


class DocumentsList(QListView):
    remove_asked = Signal(object)  # Document
    retry_asked = Signal(object, str)  # Document, password
    open_asked = Signal(object)  # Document
    ask_only_asked = Signal(object)  # Document

    def __init__(self, ui: Ui, model: DocumentsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ui = ui
        self._model = model
        self.setModel(model)
        self.setItemDelegate(DocumentDelegate(ui, self))
        self.setMouseTracking(True)
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._show_menu)
        self.clicked.connect(lambda index: self.details(index.data(DOCUMENT_ROLE)))
        ui.language.changed.connect(self._retranslate)
        self._retranslate()

    def details(self, document: Document) -> DetailsPopover:
        """Open the popover of one document beside its row."""
        popover = DetailsPopover(self._ui, document, self)
        popover.open_asked.connect(lambda: self.open_asked.emit(document))
        popover.ask_only_asked.connect(lambda: self.ask_only_asked.emit(document))
        popover.retry_asked.connect(lambda: self.retry_asked.emit(document, ""))
        popover.unlock_asked.connect(lambda: self.unlock(document))
        popover.remove_asked.connect(lambda: self.remove_asked.emit(document))
        row = self.visualRect(self._model.index_of(document.document_id))
        popover.show_beside(self.viewport().mapToGlobal(row.topRight() + QPoint(Space.S, 0)))
        return popover

    def unlock(self, document: Document) -> UnlockDialog:
        dialog = UnlockDialog(document.name, self.window())
        dialog.unlocked.connect(lambda password: self.retry_asked.emit(document, password))
        dialog.open()
        return dialog

    def context_menu(self, document: Document) -> QMenu:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        usable = document.state in (DocumentState.READY, DocumentState.PARTIAL)
        if usable:
            menu.addAction(self.tr("Open"), lambda: self.open_asked.emit(document))
            menu.addAction(self.tr("Ask only this document"), lambda: self.ask_only_asked.emit(document))
        menu.addAction(self.tr("Details…"), lambda: self.details(document))
        if needs_password(document):
            menu.addAction(self.tr("Unlock…"), lambda: self.unlock(document))
        if document.state.is_final:
            menu.addAction(self.tr("Read again"), lambda: self.retry_asked.emit(document, ""))
        menu.addSeparator()
        menu.addAction(self.tr("Remove from library"), lambda: self.remove_asked.emit(document))
        return menu

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        document = self._current()
        if document is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.details(document)
        elif document is not None and event.key() == Qt.Key.Key_Delete:
            self.remove_asked.emit(document)
        else:
            super().keyPressEvent(event)

    def _retranslate(self) -> None:
        self.setAccessibleName(self.tr("Documents"))

    def _current(self) -> Document | None:
        index = self.currentIndex()
        return index.data(DOCUMENT_ROLE) if index.isValid() else None

    def _show_menu(self, place: QPoint) -> None:
        index = self.indexAt(place)
        if index.isValid():
            self.context_menu(index.data(DOCUMENT_ROLE)).popup(self.viewport().mapToGlobal(place))
