"""The side bar: title, menu button, "Add documents", the list. Emits what the user wants; does nothing itself."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QListView, QMenu, QPushButton, QVBoxLayout, QWidget

from app.core.values import Document, DocumentState
from app.gui.documents.delegate import DocumentDelegate
from app.gui.documents.details import DetailsPopover, needs_password
from app.gui.documents.model import DOCUMENT_ROLE, DocumentsModel
from app.gui.documents.unlock import UnlockDialog
from app.gui.theme import icons
from app.gui.theme.tokens import ICON_PX, Space
from app.gui.ui import Ui
from app.gui.widgets.basics import IconButton, label, set_gaps

_LOGO_PX = 26


class DocumentsPanel(QWidget):
    add_asked = Signal()
    remove_asked = Signal(object)  # Document
    retry_asked = Signal(object, str)  # Document, password
    open_asked = Signal(object)  # Document
    ask_only_asked = Signal(object)  # Document

    def __init__(self, ui: Ui, model: DocumentsModel, menu: QMenu, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sidebar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._ui = ui
        self._model = model
        self._list = QListView()
        self._list.setModel(model)
        self._list.setItemDelegate(DocumentDelegate(ui, self._list))
        self._set_up_list()
        self._title = label("title")
        self._section = label("section")
        self._none = label("caption", wrap=True)
        self._add = QPushButton()
        self._add.setIconSize(QSize(ICON_PX, ICON_PX))
        self._add.clicked.connect(self.add_asked)
        self._menu = IconButton(ui, "menu")
        self._menu.setMenu(menu)
        self._menu.setPopupMode(IconButton.ToolButtonPopupMode.InstantPopup)
        self._lay_out()
        for changed in (model.rowsInserted, model.rowsRemoved, model.modelReset):
            changed.connect(self._count)
        ui.language.changed.connect(self._retranslate)
        ui.theme.changed.connect(self._redraw)
        self._retranslate()
        self._redraw()

    def details(self, document: Document) -> DetailsPopover:
        """Open the popover of one document beside its row."""
        popover = DetailsPopover(self._ui, document, self)
        popover.open_asked.connect(lambda: self.open_asked.emit(document))
        popover.ask_only_asked.connect(lambda: self.ask_only_asked.emit(document))
        popover.retry_asked.connect(lambda: self.retry_asked.emit(document, ""))
        popover.unlock_asked.connect(lambda: self.unlock(document))
        popover.remove_asked.connect(lambda: self.remove_asked.emit(document))
        row = self._list.visualRect(self._model.index_of(document.document_id))
        popover.show_beside(self._list.viewport().mapToGlobal(row.topRight() + QPoint(Space.S, 0)))
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

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if watched is self._list and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            document = self._current()
            if document is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
                self.details(document)
                return True
            if document is not None and event.key() == Qt.Key.Key_Delete:
                self.remove_asked.emit(document)
                return True
        return super().eventFilter(watched, event)

    def _set_up_list(self) -> None:
        view = self._list
        view.setMouseTracking(True)
        view.setUniformItemSizes(True)
        view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        view.customContextMenuRequested.connect(self._show_menu)
        view.clicked.connect(lambda index: self.details(index.data(DOCUMENT_ROLE)))
        view.installEventFilter(self)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        set_gaps(head, Space.S, (Space.L, Space.M, Space.S, Space.XS))
        self._logo = label()
        head.addWidget(self._logo)
        head.addWidget(self._title, 1)
        head.addWidget(self._menu)
        add = QHBoxLayout()
        set_gaps(add, 0, (Space.M, Space.XS, Space.M, Space.S))
        add.addWidget(self._add)
        words = QVBoxLayout()
        set_gaps(words, Space.S, (Space.L, Space.S, Space.L, Space.XS))
        words.addWidget(self._section)
        words.addWidget(self._none)
        layout = QVBoxLayout(self)
        set_gaps(layout, 0, (0, 0, 0, Space.S))
        layout.addLayout(head)
        layout.addLayout(add)
        layout.addLayout(words)
        layout.addWidget(self._list, 1)

    def _retranslate(self) -> None:
        self._title.setText(self.tr("Jingyan"))
        self._add.setText(self.tr("Add documents"))
        self._add.setToolTip(self.tr("Choose files to read (Ctrl+O), or drop them anywhere in the window"))
        self._menu.set_words(self.tr("Menu"))
        self._list.setAccessibleName(self.tr("Documents"))
        self._none.setText(self.tr("Documents you add appear here, with how far each one has been read."))
        self._count()

    def _count(self) -> None:
        count = self._model.rowCount()
        self._section.setText(self.tr("Documents") + (f"  {count}" if count else ""))
        self._none.setVisible(count == 0)

    def _redraw(self) -> None:
        self._logo.setPixmap(icons.pixmap("logo", "#000", _LOGO_PX, self.devicePixelRatioF()))
        self._add.setIcon(self._ui.theme.icon("add", "text"))

    def _current(self) -> Document | None:
        index = self._list.currentIndex()
        return index.data(DOCUMENT_ROLE) if index.isValid() else None

    def _show_menu(self, place: QPoint) -> None:
        index = self._list.indexAt(place)
        if index.isValid():
            self.context_menu(index.data(DOCUMENT_ROLE)).popup(self._list.viewport().mapToGlobal(place))
