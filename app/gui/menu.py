"""The menu of the window: actions, theme, language. The choices are put into the preferences at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QWidget

from app.gui.ui import Ui
from app.settings import LanguageChoice, ThemeChoice


class MainMenu(QMenu):
    add_asked = Signal()
    new_chat_asked = Signal()
    load_asked = Signal()
    quit_asked = Signal()
    theme_chosen = Signal(str)
    language_chosen = Signal(str)

    def __init__(self, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ui = ui
        self.aboutToShow.connect(self._fill)
        self.addAction("")  # a menu without any action would not open, and so never be filled

    def _fill(self) -> None:
        """Made anew each time it opens, so that words and ticks are always right."""
        self.clear()
        for old in self.findChildren(QMenu):
            old.deleteLater()
        self._action(self, self.tr("Add documents…"), self.add_asked.emit, "Ctrl+O")
        self._action(self, self.tr("New chat"), self.new_chat_asked.emit, "Ctrl+N")
        self._action(self, self.tr("Load my own GGUF…"), self.load_asked.emit)
        self.addSeparator()
        theme = self.addMenu(self.tr("Theme"))
        words = {
            ThemeChoice.SYSTEM: self.tr("Like the system"),
            ThemeChoice.LIGHT: self.tr("Light"),
            ThemeChoice.DARK: self.tr("Dark"),
        }
        now = self._ui.theme.choice
        self._choices(theme, [(words[c], c is now, partial(self._choose_theme, c)) for c in ThemeChoice])
        language = self.addMenu(self.tr("Language"))
        names = {
            LanguageChoice.SYSTEM: self.tr("Like the system"),
            LanguageChoice.ENGLISH: "English",
            LanguageChoice.CHINESE: "简体中文",
        }
        spoken = self._ui.language.choice
        self._choices(language, [(names[c], c is spoken, partial(self._choose_language, c)) for c in LanguageChoice])
        self.addSeparator()
        self._action(self, self.tr("Quit"), self.quit_asked.emit, "Ctrl+Q")

    def _action(self, menu: QMenu, words: str, run: Callable[[], None], keys: str = "") -> QAction:
        action = menu.addAction(f"{words}\t{keys}" if keys else words)  # shown only: the window owns the shortcuts
        action.triggered.connect(run)
        return action

    def _choices(self, menu: QMenu, choices: list[tuple[str, bool, Callable[[], None]]]) -> None:
        group = QActionGroup(menu)
        for words, chosen, run in choices:
            action = self._action(menu, words, run)
            action.setCheckable(True)
            action.setChecked(chosen)
            group.addAction(action)

    def _choose_theme(self, choice: ThemeChoice) -> None:
        self._ui.theme.set_choice(choice)
        self.theme_chosen.emit(choice.value)

    def _choose_language(self, choice: LanguageChoice) -> None:
        self._ui.language.set_choice(choice)
        self.language_chosen.emit(choice.value)
