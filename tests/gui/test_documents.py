"""The side bar: files arrive by drop and by start, every state has its words, actions reach the library."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QWidget

from app.core.errors import ErrorCode, Reason
from app.core.values import Document, DocumentKind, DocumentState, PageProblem
from app.gui.documents.words import state_words
from tests.gui.conftest import Stage
from tests.gui.fake_services import FakeServices


def _drag(target: QWidget, urls: list[QUrl]) -> QMimeData:
    data = QMimeData()
    data.setUrls(urls)
    enter = QDragEnterEvent(
        QPoint(50, 50), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(target, enter)
    assert enter.isAccepted()
    return data


def _drop(target: QWidget, data: QMimeData) -> QDropEvent:
    event = QDropEvent(
        QPointF(50, 50), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(target, event)
    return event


def _rows(stage: Stage) -> list[str]:
    return [document.name for document in stage.works.documents.documents()]


def _words(stage: Stage, document: Document) -> str:
    return state_words(stage.window.ui, document)


def test_dropped_files_and_folders_go_to_the_library_and_show_rows(ready: Stage, tmp_path: Path) -> None:
    file, folder = tmp_path / "年报 2025.pdf", tmp_path / "folder"
    file.write_bytes(b"%PDF")
    folder.mkdir()
    data = _drag(ready.window, [QUrl.fromLocalFile(str(file)), QUrl.fromLocalFile(str(folder))])
    assert ready.works.drops.overlay.isVisible()
    _drop(ready.window, data)
    assert not ready.works.drops.overlay.isVisible()
    ready.until(lambda: sorted(_rows(ready)) == ["folder", "年报 2025.pdf"])
    assert ready.services.library.added == [file, folder]
    refused = next(d for d in ready.works.documents.documents() if d.name == "folder")
    ready.until(lambda: ready.works.documents.find(refused.document_id).state is DocumentState.REFUSED)
    assert _words(ready, ready.works.documents.find(refused.document_id)) == "A folder, not a file"


def test_children_leave_drops_to_the_window(ready: Stage) -> None:
    takers = [w for w in ready.window.findChildren(QWidget) if w.acceptDrops()]
    assert takers == []


def test_web_addresses_are_refused_with_a_sentence(ready: Stage) -> None:
    data = _drag(ready.window, [QUrl("https://example.org/a.pdf")])
    _drop(ready.window, data)
    assert "Only files on this computer" in ready.works.notices.bars()[0].text()
    assert ready.services.library.added == []


def test_plain_text_is_not_taken_for_files(ready: Stage) -> None:
    data = QMimeData()
    data.setText("hello")
    enter = QDragEnterEvent(
        QPoint(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    enter.ignore()
    QApplication.sendEvent(ready.window, enter)
    assert not enter.isAccepted()
    assert not ready.works.drops.overlay.isVisible()


def test_files_given_before_the_services_are_there_wait_for_them(stage: Stage) -> None:
    stage.works.session.add([Path("/somewhere/early.pdf")])
    stage.connect()
    stage.until(lambda: stage.services.library.added == [Path("/somewhere/early.pdf")])
    stage.until(lambda: _rows(stage) == ["early.pdf"])


def test_state_words_tell_the_truth(ready: Stage) -> None:
    row = ready.services.library.put("a.pdf", DocumentState.QUEUED)
    no_text = Reason(ErrorCode.PAGE_NO_TEXT)
    cases = (
        ({}, "Waiting"),
        ({"state": DocumentState.READING}, "Opening…"),
        ({"state": DocumentState.READING, "page_count": 80, "pages_read": 12}, "Reading p. 12/80"),
        ({"state": DocumentState.READY, "page_count": 80}, "80 pages"),
        ({"state": DocumentState.READY, "page_count": 1}, "1 page"),
        ({"state": DocumentState.READY, "page_count": 3, "kind": DocumentKind.TEXT}, "Ready"),
        ({"state": DocumentState.PARTIAL, "problems": (PageProblem(7, no_text),)}, "Page 7: Scanned, without text"),
        (
            {"state": DocumentState.PARTIAL, "problems": tuple(PageProblem(n, no_text) for n in (2, 3))},
            "2 pages missing",
        ),
        (
            {"state": DocumentState.PARTIAL, "problems": (PageProblem(0, Reason(ErrorCode.READER_DIED)),)},
            "Partly read: Reader stopped",
        ),
        (
            {"state": DocumentState.REFUSED, "problems": (PageProblem(0, Reason(ErrorCode.PASSWORD_NEEDED)),)},
            "Needs a password",
        ),
        ({"state": DocumentState.REFUSED}, "Could not be read"),
    )
    for changes, words in cases:
        assert _words(ready, replace(row, **changes)) == words


def test_a_row_follows_its_document_live(ready: Stage) -> None:
    library = ready.services.library
    row = library.put("a.pdf", DocumentState.QUEUED)
    ready.until(lambda: _rows(ready) == ["a.pdf"])
    for page in range(1, 41):
        library.change(row.document_id, state=DocumentState.READING, page_count=40, pages_read=page)
    ready.until(lambda: ready.works.documents.find(row.document_id).pages_read == 40)
    library.change(row.document_id, state=DocumentState.READY)
    ready.until(lambda: ready.works.documents.find(row.document_id).state is DocumentState.READY)
    text = ready.works.documents.data(ready.works.documents.index(0), Qt.ItemDataRole.AccessibleTextRole)
    assert text == "a.pdf, Ready, 40 pages"


def test_the_listing_at_start_does_not_undo_newer_events(stage: Stage) -> None:
    library = stage.services.library
    row = library.put("a.pdf", DocumentState.QUEUED)
    gone = library.put("b.pdf", DocumentState.READY)
    stage.connect()
    stale = library.documents()
    library.change(row.document_id, state=DocumentState.READY, page_count=2)
    library.remove(gone.document_id)
    stage.until(lambda: _rows(stage) == ["a.pdf"])
    stage.works.documents.set_snapshot(stale)
    assert [(d.name, d.state) for d in stage.works.documents.documents()] == [("a.pdf", DocumentState.READY)]


def _popover_buttons(stage: Stage, document: Document) -> dict[str, QPushButton]:
    popover = stage.works.rows.details(document)
    return {button.text(): button for button in popover.findChildren(QPushButton)}


def test_details_name_every_problem_with_its_page(ready: Stage) -> None:
    problems = tuple(PageProblem(n, Reason(ErrorCode.PAGE_NO_TEXT)) for n in (3, 9))
    row = ready.services.library.put("scan.pdf", DocumentState.PARTIAL, page_count=10, problems=problems)
    ready.until(lambda: _rows(ready) == ["scan.pdf"])
    popover = ready.works.rows.details(row)
    everything = " ".join(label.text() for label in popover.findChildren(QLabel))
    assert "Page 3 has no text" in everything and "Page 9 has no text" in everything
    assert "10 pages" in everything
    popover.close()


def test_reading_again_and_removing_reach_the_library(ready: Stage) -> None:
    row = ready.services.library.put(
        "a.pdf", DocumentState.PARTIAL, problems=(PageProblem(2, Reason(ErrorCode.PAGE_TIMED_OUT)),)
    )
    ready.until(lambda: _rows(ready) == ["a.pdf"])
    _popover_buttons(ready, row)["Read again"].click()
    ready.until(lambda: ready.services.library.retried == [(row.document_id, "")])
    ready.until(lambda: ready.works.documents.find(row.document_id).state is DocumentState.QUEUED)
    _popover_buttons(ready, row)["Remove"].click()
    ready.until(lambda: _rows(ready) == [])
    notice = ready.works.notices.bars()[0]
    assert "Removed “a.pdf”" in notice.text()
    notice.findChildren(QPushButton)[0].click()
    ready.until(lambda: _rows(ready) == ["a.pdf"])


def test_a_locked_document_is_unlocked_with_its_password(ready: Stage) -> None:
    row = ready.services.library.put(
        "a.pdf", DocumentState.REFUSED, problems=(PageProblem(0, Reason(ErrorCode.PASSWORD_NEEDED)),)
    )
    ready.until(lambda: _rows(ready) == ["a.pdf"])
    dialog = ready.works.rows.unlock(row)
    ready.bot.keyClicks(dialog.password_field, "geheim")
    ready.bot.keyClick(dialog.password_field, Qt.Key.Key_Return)
    ready.until(lambda: ready.services.library.retried == [(row.document_id, "geheim")])
    assert "Unlock…" in [action.text() for action in ready.works.rows.context_menu(row).actions()]


def test_removing_what_is_already_gone_is_no_error(ready: Stage) -> None:
    row = ready.services.library.put("a.pdf", DocumentState.READY)
    ready.services.library.remove(row.document_id)
    ready.works.session.remove(row)
    ready.services.library.put("b.pdf", DocumentState.READY)
    ready.until(lambda: _rows(ready) == ["b.pdf"])
    assert ready.works.notices.bars() == ()


def test_the_empty_state_turns_into_questions_once_there_are_documents(ready: Stage) -> None:
    empty = ready.window.chat.empty
    assert not empty.questions()[0].isVisible()
    ready.services.library.put("a.pdf", DocumentState.READY)
    ready.until(lambda: empty.questions()[0].isVisible())
    with ready.bot.waitSignal(ready.works.bridge.ask_ended):
        empty.questions()[0].click()
    assert [q.text for q in ready.services.asking.questions] == ["What is this document about?"]


def test_the_sample_is_added_with_one_click(ready: Stage) -> None:
    ready.window.chat.empty.sample_asked.emit()
    ready.until(lambda: [path.name for path in ready.services.library.added] == ["sample.pdf"])
    assert ready.services.library.added[0].exists()
    ready.until(lambda: ready.window.chat.empty.questions()[0].text() == "When does the lease begin?")


@pytest.mark.parametrize("count", [600])
def test_hundreds_of_rows_are_drawn_without_widgets_of_their_own(ready: Stage, count: int) -> None:
    before = len(ready.window.findChildren(QWidget))
    for number in range(count):
        ready.services.library.put(f"{number}.pdf", DocumentState.READY)
    ready.until(lambda: ready.works.documents.rowCount() == count)
    ready.works.rows.grab()
    assert len(ready.window.findChildren(QWidget)) == before


def test_a_failing_start_says_why_and_tries_again(stage: Stage) -> None:
    from app.core.errors import JingyanError

    attempts: list[int] = []

    def factory() -> FakeServices:
        attempts.append(1)
        if len(attempts) == 1:
            raise JingyanError(ErrorCode.LIBRARY_LOCKED)
        return stage.services

    stage.works.reactions.on_retry_start(lambda: stage.works.session.start(factory))
    stage.works.session.start(factory)
    stage.until(lambda: len(stage.works.notices.bars()) == 1)
    notice = stage.works.notices.bars()[0]
    assert "in use by another Jingyan" in notice.text()
    with stage.bot.waitSignal(stage.works.session.documents_listed):
        notice.findChildren(QPushButton)[0].click()
    assert stage.works.notices.bars() == ()
