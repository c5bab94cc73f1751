"""The side bar: title, menu button, "Add documents", and room for the list, which comes after the first paint."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QListView, QMenu, QPushButton, QVBoxLayout, QWidget

from app.gui.theme import icons
from app.gui.theme.tokens import ICON_PX, Space
from app.gui.ui import Ui
from app.gui.widgets.basics import IconButton, label, set_gaps

_LOGO_PX = 26


class DocumentsPanel(QWidget):
    add_asked = Signal()

    def __init__(self, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sidebar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._ui = ui
        self._rows: QListView | None = None
        self._title = label("title")
        self._section = label("section")
        self._none = label("caption", wrap=True)
        self._add = QPushButton()
        self._add.setIconSize(QSize(ICON_PX, ICON_PX))
        self._add.clicked.connect(self.add_asked)
        self._menu = IconButton(ui, "menu")
        self._lay_out()
        ui.language.changed.connect(self._retranslate)
        ui.theme.changed.connect(self._redraw)
        self._retranslate()
        self._redraw()

    def add_works(self, rows: QListView, menu: QMenu) -> None:
        """The list and the menu, which come after the first paint."""
        self._rows = rows
        self._layout.replaceWidget(self._place, rows)
        self._place.deleteLater()
        for changed in (rows.model().rowsInserted, rows.model().rowsRemoved):
            changed.connect(self._count)
        self._menu.setMenu(menu)
        self._menu.setPopupMode(IconButton.ToolButtonPopupMode.InstantPopup)

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
        self._layout = layout = QVBoxLayout(self)
        set_gaps(layout, 0, (0, 0, 0, Space.S))
        layout.addLayout(head)
        layout.addLayout(add)
        layout.addLayout(words)
        self._place = QWidget()
        layout.addWidget(self._place, 1)

    def _retranslate(self) -> None:
        self._title.setText(self.tr("Jingyan"))
        self._add.setText(self.tr("Add documents"))
        self._add.setToolTip(self.tr("Choose files to read (Ctrl+O), or drop them anywhere in the window"))
        self._menu.set_words(self.tr("Menu"))
        self._none.setText(self.tr("Documents you add appear here, with how far each one has been read."))
        self._count()

    def _count(self) -> None:
        count = self._rows.model().rowCount() if self._rows is not None else 0
        self._section.setText(self.tr("Documents") + (f"  {count}" if count else ""))
        self._none.setVisible(count == 0)

    def _redraw(self) -> None:
        self._logo.setPixmap(icons.pixmap("logo", "#000", _LOGO_PX, self.devicePixelRatioF()))
        self._add.setIcon(self._ui.theme.icon("add", "text"))
