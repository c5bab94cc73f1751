"""kill -9 of the engine while it answers in the real window: the text stays, it is said, the next question is answered.

The model is our starter under another name: not being a shipped starter it may write, and writes until it is stopped.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.compose import Jingyan, Launch, open_jingyan
from app.core.errors import ErrorCode
from app.core.events import Notice
from app.core.paths import starter_models
from app.gui.app import RunPreferences, build_window
from app.gui.main_window import MainWindow
from tests.samples import make_pdf

TOLD_WITHIN_MS = 1_000  # what the user is promised


@pytest.fixture
def jingyan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jingyan]:
    monkeypatch.setenv("JINGYAN_HOME", str(tmp_path / "home"))
    model = tmp_path / "own.gguf"
    shutil.copy(starter_models() / "text.gguf", model)
    opened = open_jingyan(Launch(in_memory=True, model=model))
    assert opened.wait_for_model() is None
    yield opened


@pytest.fixture
def window(jingyan: Jingyan, qtbot: QtBot, qapp: QApplication) -> Iterator[MainWindow]:
    shown = build_window(qapp, RunPreferences(theme="light", language="en"))
    shown.show()
    with qtbot.waitSignal(shown.session.documents_listed, timeout=20_000):
        shown.session.start(lambda: jingyan)
    yield shown
    shown.shut_down()
    shown.close()


def engine_pids() -> list[int]:
    children = psutil.Process().children(recursive=True)
    return [c.pid for c in children if "engine" in c.cmdline()[-1:]]


def test_killed_engine_keeps_the_text_and_answers_the_next_question(
    window: MainWindow, jingyan: Jingyan, qtbot: QtBot, tmp_path: Path
) -> None:
    jingyan.add_and_wait([make_pdf(tmp_path / "a.pdf", ["The deposit is 500 EUR. The rent is 100 EUR."])])
    (victim,) = engine_pids()
    os.kill(victim, signal.SIGSTOP)  # so that it cannot finish before we end it
    notices: list[Notice] = []
    window.bridge.asked.connect(lambda _n, events: notices.extend(e for e in events if isinstance(e, Notice)))
    window.chat.composer.sent.emit("What is the deposit?")
    qtbot.waitUntil(lambda: window.conversation.answering, timeout=5_000)
    with qtbot.waitSignal(window.bridge.ask_ended, timeout=TOLD_WITHIN_MS):
        os.kill(victim, signal.SIGKILL)
    assert ErrorCode.ENGINE_DIED in [n.reason.code for n in notices]
    with qtbot.waitSignal(window.bridge.ask_ended, timeout=60_000):
        window.chat.composer.sent.emit("What is the rent?")
    assert window.chat.transcript.answers()[-1].text().strip()
    assert victim not in engine_pids() and len(engine_pids()) == 1
