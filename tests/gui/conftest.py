"""A real window over fake services, offscreen. Every test ends with no thread, timer or window of ours left over."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.gui.app import RunPreferences, add_works, build_window
from app.gui.main_window import MainWindow
from app.gui.works import Works
from tests.gui.fake_services import FakeServices

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/gui/" in item.path.as_posix():
            item.add_marker(pytest.mark.qt_log_level_fail("WARNING"))
            item.add_marker(pytest.mark.qt_log_ignore("This plugin does not support", extend=True))


@dataclass
class Stage:
    """The window and what stands behind it."""

    window: MainWindow
    works: Works
    services: FakeServices
    bot: QtBot

    def connect(self) -> None:
        """Start the services and wait until the library is listed."""
        with self.bot.waitSignal(self.works.session.documents_listed):
            self.works.session.start(lambda: self.services)

    def until(self, condition: Callable[[], bool]) -> None:
        self.bot.waitUntil(condition, timeout=10_000)

    def ask(self, text: str = "How fast?") -> None:
        """Ask and wait for the end."""
        with self.bot.waitSignal(self.works.bridge.ask_ended, timeout=10_000):
            self.window.chat.composer.set_text(text)
            self.window.chat.composer.sent.emit(text)


@pytest.fixture
def preferences() -> RunPreferences:
    return RunPreferences(theme="light", language="en")


@pytest.fixture
def stage(qtbot: QtBot, qapp: QApplication, preferences: RunPreferences) -> Iterator[Stage]:
    """A window that is shown, whose services have not been started."""
    before = set(threading.enumerate())
    window = build_window(qapp, preferences)
    works = add_works(window, preferences)
    window.panes.set_animated(False)
    window.show()
    qtbot.waitExposed(window)
    yield Stage(window, works, FakeServices(), qtbot)
    window.shut_down()
    window.close()
    window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert set(threading.enumerate()) <= before, "a thread was left behind"
    assert [w for w in QApplication.topLevelWidgets() if w.isVisible()] == [], "a window was left behind"
    assert [timer for timer in qapp.findChildren(QTimer) if timer.isActive()] == [], "a timer was left behind"


@pytest.fixture
def ready(stage: Stage) -> Stage:
    """A window whose services are there."""
    stage.connect()
    return stage
