"""kill -9 of the engine while it answers in the real window: the text stays, it is said, the next question is answered.

The model has random weights: it writes noise and does not know how to stop.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.compose import Jingyan, Launch, open_jingyan
from app.core.errors import ErrorCode
from app.core.events import AskEvent, Notice, TextDelta
from app.gui.app import RunPreferences, add_works, build_window
from app.gui.works import Works
from tests.bench.random_gguf import SHAPES, write_random_model
from tests.samples import make_pdf

TOLD_WITHIN_S = 1.0  # a promise to the user, not a speed: a hang would last for ever


@pytest.fixture
def jingyan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jingyan]:
    monkeypatch.setenv("JINGYAN_HOME", str(tmp_path / "home"))
    model = tmp_path / "own.gguf"
    write_random_model(SHAPES["tiny"], model)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "settings.toml").write_text("answer_max_tokens = 1024\n")
    opened = open_jingyan(Launch(in_memory=True, model=model))
    assert opened.wait_for_model() is None
    yield opened


@pytest.fixture
def works(jingyan: Jingyan, qtbot: QtBot, qapp: QApplication) -> Iterator[Works]:
    """A shown window at work over the real program."""
    preferences = RunPreferences(theme="light", language="en")
    window = build_window(qapp, preferences)
    window.show()
    works = add_works(window, preferences)
    with qtbot.waitSignal(works.session.documents_listed, timeout=20_000):
        works.session.start(lambda: jingyan)
    yield works
    window.shut_down()
    window.close()


def engine_pids() -> list[int]:
    children = psutil.Process().children(recursive=True)
    return [c.pid for c in children if "engine" in c.cmdline()[-1:]]


def test_killed_engine_keeps_the_text_and_answers_the_next_question(
    works: Works, jingyan: Jingyan, qtbot: QtBot, tmp_path: Path
) -> None:
    jingyan.add_and_wait([make_pdf(tmp_path / "a.pdf", ["The deposit is 500 EUR. The rent is 100 EUR."])])
    (victim,) = engine_pids()
    seen: list[AskEvent] = []

    def follow(_number: int, events: tuple[AskEvent, ...]) -> None:
        if not any(isinstance(e, TextDelta) for e in seen) and any(isinstance(e, TextDelta) for e in events):
            killed_at.append(time.monotonic())
            os.kill(victim, signal.SIGKILL)
        seen.extend(events)

    killed_at: list[float] = []
    works.bridge.asked.connect(follow)
    with qtbot.waitSignal(works.bridge.ask_ended, timeout=30_000):
        works.window.chat.composer.sent.emit("What is the deposit?")
    assert killed_at and time.monotonic() - killed_at[0] < TOLD_WITHIN_S
    assert ErrorCode.ENGINE_DIED in [e.reason.code for e in seen if isinstance(e, Notice)]
    streamed = "".join(e.text for e in seen if isinstance(e, TextDelta)).strip()
    assert streamed and works.transcript.answers()[-1].text().strip().startswith(streamed[:3])
    with qtbot.waitSignal(works.bridge.ask_ended, timeout=60_000):
        works.window.chat.composer.sent.emit("What is the rent?")
    assert works.transcript.answers()[-1].text().strip()
    assert victim not in engine_pids() and len(engine_pids()) == 1
