"""The program as a process: painted first, services after, ended in order by a signal; and a guard for PySide6."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.gui.app import after_first_paint
from tests.gui.conftest import Stage

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("app.gui.works", "app.core.values", "app.services", "app.compose", "markdown_it", "pygments", "numpy", "faiss")


def _offscreen() -> dict[str, str]:
    return {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT)}


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_the_window_in_order(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "tests.end2end.drop_target"]
    with subprocess.Popen(command, cwd=ROOT, env=_offscreen(), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "ready"
        child.send_signal(number)
        assert child.wait(timeout=30) == 0


def test_nothing_heavy_is_loaded_before_the_first_paint() -> None:
    code = (
        "import sys\n"
        "import app.gui.app as gui\n"
        "from PySide6.QtWidgets import QApplication\n"
        "application = QApplication(['x'])\n"
        "window = gui.build_window(application, gui.RunPreferences())\n"
        "window.show(); window.grab()\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=_offscreen(), capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_what_follows_the_first_paint_runs_once(qtbot: QtBot, stage: Stage) -> None:
    calls: list[int] = []
    after_first_paint(stage.window, lambda: calls.append(1))
    for _ in range(3):
        stage.window.repaint()
    stage.until(lambda: calls == [1])
    stage.window.repaint()
    qtbot.wait(1)
    assert calls == [1]


def test_pyside_does_not_lose_references_to_none() -> None:
    """PySide6 6.12.0 drops one reference to None per void call on Python < 3.12: a long chat ends in an abort."""
    thing = QObject()
    before = sys.getrefcount(None)
    for _ in range(2_000):
        thing.setObjectName("x")
    assert sys.getrefcount(None) > before - 50
