"""Starts the window: painted first, then its works are loaded on a thread, then the services are built on a thread."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QWidget

from app.gui.language import Language
from app.gui.main_window import MainWindow
from app.gui.theme.theme import Theme
from app.gui.ui import Ui
from app.settings import LanguageChoice, ThemeChoice

if TYPE_CHECKING:
    from app.gui.passphrase import PassphraseAsker
    from app.gui.ports import Preferences, Services
    from app.gui.works import Works

Choice = TypeVar("Choice", bound=StrEnum)

THEME, LANGUAGE = "theme", "language"  # names in the preferences


class RunPreferences:
    """Preferences that last as long as this run: for tests, pictures and demos."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def get(self, name: str) -> str:
        return self._values.get(name, "system")

    def put(self, name: str, value: object) -> None:
        self._values[name] = str(value)


def run(
    services_factory: Callable[[], Services],
    files: Sequence[Path] = (),
    *,
    preferences: Preferences | None = None,
    passphrase: PassphraseAsker | None = None,
) -> int:
    """Show the window until it is closed; returns the exit status.

    `services_factory` runs on a background thread after the first paint. `files` are added when the services are
    there. `passphrase` is what the factory may call when the library needs one: this window then asks for it.
    """
    from app.gui.interrupts import quit_on_interrupt

    application = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(application, QApplication)  # nothing else makes one in this process
    name_application(application)
    chosen = preferences or RunPreferences()
    window = build_window(application, chosen)

    def work() -> None:
        works = add_works(window, chosen)
        works.reactions.on_retry_start(lambda: works.session.start(services_factory))
        works.session.add(files)
        works.session.start(services_factory)

    loader = WorksLoader(window)
    loader.loaded.connect(work)
    if passphrase is not None:
        passphrase.bind(window)
    after_first_paint(window, loader.start)
    interrupts = quit_on_interrupt(application)
    window.show()
    status = application.exec()
    interrupts.close()
    if passphrase is not None:
        passphrase.close()
    loader.join()
    window.shut_down()
    return status


def name_application(application: QApplication) -> None:
    application.setApplicationName("jingyan")
    application.setApplicationDisplayName("")  # the window title is complete as it is
    application.setDesktopFileName("jingyan")
    QGuiApplication.setQuitOnLastWindowClosed(True)


def build_window(application: QApplication, preferences: Preferences) -> MainWindow:
    """The window in the user's theme and language, not yet shown and without services."""
    theme = Theme(application, _choice(ThemeChoice, preferences.get(THEME), ThemeChoice.SYSTEM))
    language = Language(application, _choice(LanguageChoice, preferences.get(LANGUAGE), LanguageChoice.SYSTEM))
    ui = Ui(theme, language)
    window = MainWindow(ui)
    theme.setParent(window)  # both end with their window
    language.setParent(window)
    return window


def add_works(window: MainWindow, preferences: Preferences) -> Works:
    """Everything behind the painted window; the user's choices go to `preferences` from here on."""
    from app.gui.works import Works  # half of the start-up time: loaded after the first paint

    works = Works(window)
    works.menu.theme_chosen.connect(lambda value: works.tasks.run(lambda: preferences.put(THEME, value)))
    works.menu.language_chosen.connect(lambda value: works.tasks.run(lambda: preferences.put(LANGUAGE, value)))
    return works


class WorksLoader(QObject):
    """Imports app.gui.works on a thread, so that the window answers meanwhile; `loaded` fires in the main thread."""

    loaded = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._thread = threading.Thread(target=self._load, name="jobs-start")

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        if self._thread.ident is not None:
            self._thread.join()

    def _load(self) -> None:
        importlib.import_module("app.gui.works")
        self.loaded.emit()


def after_first_paint(window: QWidget, then: Callable[[], None]) -> None:
    """Call `then` once, from the event loop, after `window` has been painted for the first time."""
    window.installEventFilter(_FirstPaint(window, then))


class _FirstPaint(QObject):
    def __init__(self, window: QWidget, then: Callable[[], None]) -> None:
        super().__init__(window)
        self._then: Callable[[], None] | None = then

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if event.type() == QEvent.Type.Paint and self._then is not None:
            QTimer.singleShot(0, self._then)
            self._then = None
            watched.removeEventFilter(self)
        return False


def _choice(kind: type[Choice], value: str, otherwise: Choice) -> Choice:
    """A value somebody wrote into a file by hand may be anything."""
    return kind(value) if value in list(kind) else otherwise
