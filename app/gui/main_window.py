"""The window: three panes beside each other, and the wires between them. Lays out and connects; decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QCloseEvent, QGuiApplication, QIcon, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QWidget

from app.core.paths import resources
from app.gui.bridge import Bridge
from app.gui.chat.conversation import Conversation
from app.gui.chat.view import ChatView
from app.gui.documents.model import DocumentsModel
from app.gui.documents.panel import DocumentsPanel
from app.gui.dropping import FileDrops
from app.gui.links import LinkDialog
from app.gui.menu import MainMenu
from app.gui.panes import Panes
from app.gui.ports import Services
from app.gui.reactions import Reactions
from app.gui.session import Session
from app.gui.sources import Sources
from app.gui.tasks import Tasks
from app.gui.theme import icons
from app.gui.ui import Ui

START_SIZE = QSize(1240, 800)
MIN_SIZE = QSize(640, 480)
SAMPLE = Path("samples") / "sample.pdf"


class MainWindow(QWidget):
    def __init__(self, ui: Ui) -> None:
        super().__init__()
        self.ui = ui
        self.menu = MainMenu(ui, self)
        self.tasks = Tasks(self)
        self.bridge = Bridge(self)
        self.session = Session(self.tasks, self.bridge, self)
        self.documents = DocumentsModel(ui, self)
        self.panel = DocumentsPanel(ui, self.documents, self.menu)
        self.chat = ChatView(ui)
        self.conversation = Conversation(self.chat, self.bridge, self.tasks, self)
        self.sources = Sources(ui, self.tasks, self.documents, self)
        self.panes = Panes(self.panel, self.chat, self.sources.pane, self)
        self.drops = FileDrops(ui, self)
        self.reactions = Reactions(ui, self.session, self.documents, self.chat, self.conversation, self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.panes)
        self._connect()
        self._set_up_keys()
        self.setMinimumSize(MIN_SIZE)
        self.resize(START_SIZE)
        self.setWindowIcon(QIcon(icons.pixmap("logo", "#000", 64, 1.0)))
        ui.language.changed.connect(self._retranslate)
        self._retranslate()
        self.chat.show_transcript(False)
        self.chat.composer.focus()

    def shut_down(self) -> None:
        """Blocks until the services and all background threads have ended."""
        self.conversation.stop()
        self.session.close()

    def choose_files(self) -> None:
        self._dialog(
            self.tr("Add documents"),
            self.tr("Documents (*.pdf *.txt *.md *.markdown *.text);;All files (*)"),
            QFileDialog.FileMode.ExistingFiles,
            lambda paths: self.session.add([Path(path) for path in paths]),
        )

    def choose_model(self) -> None:
        self._dialog(
            self.tr("Load a GLM model"),
            self.tr("GGUF models (*.gguf);;All files (*)"),
            QFileDialog.FileMode.ExistingFile,
            lambda paths: self.session.load_model(Path(paths[0])),
        )

    def add_sample(self) -> None:
        self.session.add([resources() / SAMPLE])

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self.panes.fit(self.width())

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        self.conversation.stop()
        super().closeEvent(event)

    def _connect(self) -> None:
        session, chat, panel, menu = self.session, self.chat, self.panel, self.menu
        session.connected.connect(self._connected)
        session.documents_listed.connect(self.documents.set_snapshot)
        self.tasks.failed.connect(self.reactions.failed)
        self.bridge.library_changed.connect(self.documents.apply)
        self.bridge.library_changed.connect(self.sources.documents_changed)
        self.bridge.library_changed.connect(self.reactions.library_changed)
        self.bridge.model_changed.connect(self.reactions.model_changed)
        self.drops.dropped.connect(session.add)
        self.drops.refused.connect(self.reactions.drop_refused)
        panel.add_asked.connect(self.choose_files)
        panel.remove_asked.connect(self.reactions.remove)
        panel.retry_asked.connect(session.retry)
        panel.open_asked.connect(self.sources.open_document)
        panel.ask_only_asked.connect(self.conversation.set_scope)
        chat.empty.add_asked.connect(self.choose_files)
        chat.empty.sample_asked.connect(self.add_sample)
        chat.empty.question_chosen.connect(self.conversation.ask)
        chat.new_chat_asked.connect(self._new_chat)
        chat.sidebar_asked.connect(self.panes.toggle_sidebar)
        chat.composer.sent.connect(self.conversation.ask)
        chat.composer.stop_asked.connect(self.conversation.stop)
        chat.composer.scope_cleared.connect(lambda: self.conversation.set_scope(None))
        chat.composer.model_chip.load_asked.connect(self.choose_model)
        self.conversation.citation_asked.connect(self.sources.show_citation)
        self.conversation.link_asked.connect(lambda address: LinkDialog(address, self).open())
        self.conversation.copy_asked.connect(_copy)
        self.sources.shown.connect(self.panes.open_source)
        self.sources.pane.close_asked.connect(self._close_source)
        menu.add_asked.connect(self.choose_files)
        menu.new_chat_asked.connect(self._new_chat)
        menu.load_asked.connect(self.choose_model)
        menu.quit_asked.connect(self.close)

    def _set_up_keys(self) -> None:
        keys: tuple[tuple[QKeySequence | QKeySequence.StandardKey, Callable[[], None]], ...] = (
            (QKeySequence.StandardKey.Open, self.choose_files),
            (QKeySequence.StandardKey.New, self._new_chat),
            (QKeySequence(Qt.Key.Key_Escape), self._escape),
        )
        for key, run in keys:
            QShortcut(QKeySequence(key), self).activated.connect(run)

    def _escape(self) -> None:
        """Stops the answer; when nothing is being answered, closes the source pane."""
        if self.conversation.answering:
            self.conversation.stop()
        else:
            self._close_source()

    def _new_chat(self) -> None:
        self._close_source()
        self.conversation.new_chat()

    def _close_source(self) -> None:
        self.panes.close_source()
        self.sources.closed()

    def _connected(self, services: Services) -> None:
        self.conversation.connect_asking(services.asking)
        self.sources.connect_library(services.library)

    def _dialog(self, title: str, kinds: str, mode: QFileDialog.FileMode, chosen: Callable[[list[str]], None]) -> None:
        dialog = QFileDialog(self, title, str(Path.home()), kinds)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(mode)
        dialog.filesSelected.connect(chosen)
        dialog.open()

    def _retranslate(self) -> None:
        self.setWindowTitle(self.tr("Jingyan 静言"))


def _copy(text: str) -> None:
    QGuiApplication.clipboard().setText(text)
