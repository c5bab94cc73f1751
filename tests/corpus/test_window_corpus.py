"""Every PDF of the corpus dropped into the real window: each ends in a final state with its reason, the window lives.

By default a sample; all of them with JINGYAN_CORPUS=full.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.compose import Launch, open_jingyan
from app.core.values import DocumentState
from app.gui.app import RunPreferences, add_works, build_window
from app.gui.works import Works

EVERY = 1 if os.environ.get("JINGYAN_CORPUS") == "full" else 15
PATIENCE_MS = 900_000


@pytest.fixture
def works(qtbot: QtBot, qapp: QApplication) -> Iterator[Works]:
    preferences = RunPreferences(theme="light", language="en")
    window = build_window(qapp, preferences)
    window.show()
    made = add_works(window, preferences)
    with qtbot.waitSignal(made.session.documents_listed, timeout=30_000):
        made.session.start(lambda: open_jingyan(Launch(in_memory=True)))
    yield made
    window.shut_down()
    window.close()


@pytest.mark.corpus
@pytest.mark.timeout(960)
def test_every_pdf_ends_with_the_truth_about_it_and_the_window_lives(works: Works, corpus: Path, qtbot: QtBot) -> None:
    files = sorted((corpus / "pdf").rglob("*.pdf"))[::EVERY]
    works.session.add(files)
    qtbot.waitUntil(lambda: works.documents.rowCount() > 0, timeout=30_000)
    qtbot.waitUntil(lambda: all(d.state.is_final for d in works.documents.documents()), timeout=PATIENCE_MS)
    documents = works.documents.documents()
    states = {s: sum(d.state is s for d in documents) for s in DocumentState}
    assert states[DocumentState.READY] > len(documents) / 3, states
    for document in documents:
        assert (document.state is DocumentState.READY) == (not document.problems), document
        if document.state is not DocumentState.REFUSED:
            assert document.pages_read > 0, document
    with qtbot.waitSignal(works.bridge.ask_ended, timeout=60_000):
        works.window.chat.composer.sent.emit("What is a font?")
    assert works.window.isVisible() and len(works.transcript.answers()) == 1
