"""Tasks and bridge: work leaves the main thread, comes back in it, merges bursts, and never fails silently."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton
from pytestqt.qtbot import QtBot

from app.core.errors import ErrorCode, JingyanError
from app.core.events import DocumentChanged, DocumentRemoved, PromptProgress, TextDelta
from app.core.values import DocumentState
from app.gui.bridge import AskEnded, Bridge
from app.gui.merging import merge_ask, merge_library
from app.gui.passphrase import PassphraseAsker
from app.gui.passphrase_dialog import PassphraseDialog
from app.gui.recovery_dialog import RecoveryCodeDialog
from app.gui.tasks import Failure, Tasks
from tests.gui.conftest import Stage
from tests.gui.fake_services import STARTER, FakeServices


@pytest.fixture
def tasks(qtbot: QtBot) -> Iterator[Tasks]:
    made = Tasks()
    yield made
    made.close()
    made.join()


def _raise(error: Exception) -> None:
    raise error


def test_a_job_runs_elsewhere_and_its_result_arrives_in_the_main_thread(qtbot: QtBot, tasks: Tasks) -> None:
    seen: list[tuple[threading.Thread, threading.Thread]] = []
    tasks.run(threading.current_thread, lambda ran_in: seen.append((ran_in, threading.current_thread())))
    qtbot.waitUntil(lambda: len(seen) == 1)
    ran_in, arrived_in = seen[0]
    assert arrived_in is threading.main_thread()
    assert ran_in is not threading.main_thread()


def test_a_known_error_reaches_the_default_path_with_its_reason(qtbot: QtBot, tasks: Tasks) -> None:
    with qtbot.waitSignal(tasks.failed) as caught:
        tasks.run(lambda: _raise(JingyanError(ErrorCode.DISK_FULL)))
    assert caught.args[0].reason.code is ErrorCode.DISK_FULL


def test_a_bug_reaches_the_default_path_and_the_log(
    qtbot: QtBot, tasks: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    with qtbot.waitSignal(tasks.failed) as caught:
        tasks.run(lambda: _raise(ZeroDivisionError()))
    assert caught.args[0] == Failure(None)
    assert "ZeroDivisionError" in caplog.text


def test_a_job_with_its_own_error_path_stays_off_the_default_one(qtbot: QtBot, tasks: Tasks) -> None:
    default: list[Failure] = []
    own: list[Failure] = []
    tasks.failed.connect(default.append)
    tasks.run(lambda: _raise(JingyanError(ErrorCode.CANCELLED)), None, own.append)
    qtbot.waitUntil(lambda: len(own) == 1)
    assert default == []


def test_nothing_comes_back_after_close(qtbot: QtBot) -> None:
    tasks, gate, seen = Tasks(), threading.Event(), []
    tasks.run(lambda: gate.wait(10), seen.append)
    tasks.close()
    gate.set()
    tasks.join()
    tasks.run(lambda: seen.append("late"))
    qtbot.wait(1)  # one turn of the event loop
    assert seen == []


def test_bursts_are_merged_without_losing_a_word_or_an_order() -> None:
    events = [
        PromptProgress(1, 9),
        PromptProgress(9, 9),
        TextDelta("a"),
        TextDelta("b"),
        PromptProgress(1, 1),
        TextDelta("c"),
    ]
    assert merge_ask(events) == (PromptProgress(9, 9), TextDelta("ab"), PromptProgress(1, 1), TextDelta("c"))


def test_of_each_document_only_the_last_state_is_told() -> None:
    library = FakeServices().library
    one, two = library.put("1", DocumentState.QUEUED), library.put("2", DocumentState.QUEUED)
    done = library.change(one.document_id, state=DocumentState.READY)
    events = [DocumentChanged(one), DocumentChanged(two), DocumentChanged(done), DocumentRemoved(two.document_id)]
    assert merge_library(events) == (DocumentChanged(done), DocumentRemoved(two.document_id))


def test_a_flood_from_threads_arrives_whole_in_few_deliveries(qtbot: QtBot) -> None:
    bridge = Bridge()
    deliveries: list[str] = []
    bridge.asked.connect(lambda _n, events: deliveries.append("".join(e.text for e in events)))
    ended: list[int] = []
    bridge.ask_ended.connect(lambda number, _end: ended.append(number))

    def flood() -> None:
        for number in range(20_000):
            bridge.post_ask(1, TextDelta(f"{number},"))
        bridge.post_ask(1, AskEnded(None))

    thread = threading.Thread(target=flood)
    thread.start()
    qtbot.waitUntil(lambda: ended == [1], timeout=20_000)
    thread.join()
    assert "".join(deliveries) == "".join(f"{n}," for n in range(20_000))
    assert len(deliveries) < 1_000
    bridge.close()
    bridge.post_ask(1, TextDelta("late"))
    assert not bridge.findChildren(type(bridge._timer))[0].isActive()


def test_events_of_two_questions_are_not_mixed(qtbot: QtBot) -> None:
    bridge = Bridge()
    seen: list[object] = []
    bridge.asked.connect(lambda number, events: seen.append((number, [e.text for e in events])))
    bridge.ask_ended.connect(lambda number, _end: seen.append((number, "end")))
    for number, text in ((1, "a"), (1, "b"), (2, "c"), (1, "d")):
        bridge.post_ask(number, TextDelta(text))
    bridge.post_ask(2, AskEnded(None))
    qtbot.waitUntil(lambda: len(seen) == 4)
    assert seen == [(1, ["ab"]), (2, ["c"]), (1, ["d"]), (2, "end")]
    bridge.close()


def test_the_services_are_closed_with_the_window(ready: Stage) -> None:
    ready.window.shut_down()
    assert ready.services.closed
    ready.services.library.put("late.pdf", DocumentState.READY)  # told to nobody
    assert ready.works.documents.rowCount() == 0


def test_services_that_arrive_after_the_window_closed_are_closed_too(stage: Stage) -> None:
    gate = threading.Event()

    def slow() -> FakeServices:
        gate.wait(10)
        return stage.services

    stage.works.session.start(slow)
    closing = threading.Timer(0.0, gate.set)
    stage.works.session.stop_listening()
    closing.start()
    stage.window.shut_down()
    closing.join()
    assert stage.services.closed


def test_the_model_chip_tells_what_is_loaded_and_what_went_wrong(ready: Stage) -> None:
    chip = ready.window.chat.composer.model_chip
    ready.until(lambda: chip.text() == "Starter model")
    assert STARTER.name in chip.facts()
    ready.works.session.load_model(Path("/models/glm-4-9b.gguf"))
    ready.until(lambda: chip.text() == "GLM-4-9B-0414")
    assert any("9.4B" in line for line in chip.facts())
    ready.services.models.load_error = JingyanError(ErrorCode.MODEL_NOT_GGUF, name="x.zip")
    ready.works.session.load_model(Path("/models/x.zip"))
    ready.until(lambda: len(ready.works.notices.bars()) == 1)
    assert "“x.zip” is not a GGUF" in ready.works.notices.bars()[0].text()
    ready.until(lambda: chip.text() == "GLM-4-9B-0414")


def test_the_passphrase_is_asked_for_while_the_services_start(stage: Stage) -> None:
    asker, got = PassphraseAsker(), []
    asker.bind(stage.window)
    stage.works.session.start(lambda: got.append(asker.ask(True)) or stage.services)
    stage.until(lambda: len(stage.window.findChildren(PassphraseDialog)) == 1)
    dialog = stage.window.findChildren(PassphraseDialog)[0]
    first, second = dialog.findChildren(QLineEdit)
    stage.bot.keyClicks(first, "correct horse")
    assert not dialog.go_button.isEnabled()
    stage.bot.keyClicks(second, "correct horse")
    with stage.bot.waitSignal(stage.works.session.documents_listed):
        dialog.go_button.click()
    assert got == ["correct horse"]


def test_closing_the_passphrase_dialog_is_a_cancel_that_can_be_tried_again(stage: Stage) -> None:
    asker = PassphraseAsker()
    asker.bind(stage.window)
    stage.works.session.start(lambda: asker.ask(False) and stage.services)
    stage.until(lambda: len(stage.window.findChildren(PassphraseDialog)) == 1)
    stage.window.findChildren(PassphraseDialog)[0].reject()
    stage.until(lambda: len(stage.works.notices.bars()) == 1)
    assert "You stopped it" in stage.works.notices.bars()[0].text()


def test_whoever_waits_for_a_passphrase_is_let_go_when_the_window_closes(stage: Stage) -> None:
    asker, outcome = PassphraseAsker(), []
    asker.bind(stage.window)

    def wait() -> None:
        try:
            asker.ask(False)
        except JingyanError as error:
            outcome.append(error.code)

    thread = threading.Thread(target=wait)
    thread.start()
    stage.until(lambda: len(stage.window.findChildren(PassphraseDialog)) == 1)
    asker.close()
    thread.join(10)
    assert outcome == [ErrorCode.CANCELLED]
    stage.window.findChildren(PassphraseDialog)[0].reject()


def test_recovery_code_of_a_new_library_is_shown_and_can_be_copied(stage: Stage) -> None:
    asker, code = PassphraseAsker(), "-".join(["ABCD"] * 14)
    asker.bind(stage.window)
    thread = threading.Thread(target=lambda: asker.show_recovery_code(code))
    thread.start()
    thread.join()
    stage.until(lambda: len(stage.window.findChildren(RecoveryCodeDialog)) == 1)
    dialog = stage.window.findChildren(RecoveryCodeDialog)[0]
    shown = " ".join(text.text() for text in dialog.findChildren(QLabel))
    assert shown.count("ABCD") == 14
    next(b for b in dialog.findChildren(QPushButton) if b is not dialog.kept_button).click()
    assert QGuiApplication.clipboard().text() == code
    dialog.kept_button.click()
    stage.until(lambda: stage.window.findChildren(RecoveryCodeDialog) == [])
