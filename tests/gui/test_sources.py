"""Clicking a citation shows the page with the boxes where they belong; walking, zooming, text files, missing pages."""

from __future__ import annotations

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QColor

from app.core.errors import ErrorCode, JingyanError
from app.core.events import AnswerReady
from app.core.values import Box, DocumentId, DocumentKind, DocumentState, PageText
from app.gui.chat.answer import AnswerView
from app.gui.theme.tokens import Space
from tests.gui.conftest import Stage
from tests.gui.fake_services import answer, citation

QUOTE = "The pump runs at 40 Hz."


def _ask(stage: Stage, *citations: object, text: str = "It runs at 40 Hz [1].") -> AnswerView:
    stage.services.library.put("report.pdf", DocumentState.READY, page_count=12)
    stage.services.asking.script = [AnswerReady(answer(text, citations=citations))]
    stage.ask()
    return stage.works.transcript.answers()[-1]


def _click_chip(stage: Stage, view: AnswerView, at: int = 0) -> None:
    stage.bot.mouseClick(view.chips().chips()[at], Qt.MouseButton.LeftButton)


def test_a_chip_names_marker_document_and_page(ready: Stage) -> None:
    view = _ask(ready, citation(1), citation(2, page_no=4, page_label="iv", document_name="A & B.pdf"))
    texts = [chip.text() for chip in view.chips().chips()]
    assert texts == ["[1] report.pdf p. 3", "[2] A && B.pdf p. iv"]  # && is how a button shows &


def test_a_chip_opens_the_page_with_the_boxes_in_place(ready: Stage) -> None:
    box = Box(100.0, 200.0, 300.0, 214.0)
    view = _ask(ready, citation(1, boxes=(box,)))
    _click_chip(ready, view)
    pane = ready.works.sources.pane
    ready.until(lambda: len(pane.page.boxes_drawn()) == 1)
    assert pane.isVisible()
    assert ready.services.library.rendered[0][:2] == (DocumentId(1), 3)
    drawn = pane.page.boxes_drawn()[0]
    scale = (pane.page.viewport().width() - 2 * Space.L) / 595
    assert abs(drawn.center().x() - (Space.L + 200 * scale)) < 1
    assert abs(drawn.center().y() - (Space.L + 207 * scale)) < 1
    picture = pane.page.widget().grab().toImage()
    inside = QColor(picture.pixel(drawn.center().toPoint()))
    outside = QColor(picture.pixel(int(drawn.center().x()), int(drawn.bottom() + 40)))
    assert outside == QColor("#ffffff")
    assert inside.blue() < 200 < inside.red()  # highlighter yellow on white paper


def test_an_inline_marker_does_what_its_chip_does(ready: Stage) -> None:
    view = _ask(ready, citation(1), citation(2, page_no=5, page_label="5"), text="One [1], two [2].")
    view.text_view().anchorClicked.emit(QUrl("cite:2"))
    pane = ready.works.sources.pane
    ready.until(lambda: pane.isVisible() and pane.place is not None)
    assert pane.place.page_no == 5
    assert [chip.isChecked() for chip in view.chips().chips()] == [False, True]


def test_arrows_walk_through_the_citations_and_stop_at_the_ends(ready: Stage) -> None:
    view = _ask(ready, citation(1), citation(2, page_no=5, page_label="5"), citation(3, page_no=9, page_label="9"))
    _click_chip(ready, view)
    pane = ready.works.sources.pane
    pages = [pane.place.page_no]
    for _ in range(3):
        pane.step(1)
        pages.append(pane.place.page_no)
    assert pages == [3, 5, 9, 9]
    pane.step(-1)
    assert pane.place.page_no == 5
    assert [chip.isChecked() for chip in view.chips().chips()] == [False, True, False]


def test_zoom_asks_for_a_sharper_page_and_fit_goes_back(ready: Stage) -> None:
    view = _ask(ready, citation(1))
    _click_chip(ready, view)
    pane, library = ready.works.sources.pane, ready.services.library
    ready.until(lambda: len(pane.page.boxes_drawn()) == 1)
    small = library.rendered[-1][2]
    for _ in range(3):
        pane.page.zoom_by(1)
    ready.until(lambda: library.rendered[-1][2] >= 1.8 * small)
    pane.page.set_zoom(1.0)
    rendered = len(library.rendered)
    assert pane.page.zoom == 1.0
    pane.page.zoom_by(-10)
    assert pane.page.zoom == 0.5
    assert len(library.rendered) >= rendered


def test_unverified_citations_say_so_in_the_pane(ready: Stage) -> None:
    view = _ask(ready, citation(1, verified=False))
    _click_chip(ready, view)
    assert "Not found in the source" in ready.works.sources.pane.truth()


def test_text_files_show_their_text_with_the_quote_marked(ready: Stage) -> None:
    library = ready.services.library
    row = library.put("notes 📝.md", DocumentState.READY, kind=DocumentKind.MARKDOWN, page_count=1)
    library.texts[row.document_id, 1] = PageText(
        1, "lines 1-40", 0, 0, "😀 Notes\n\nThe pump\n runs at 40 Hz.\nEnd", ()
    )
    made = citation(1, document_id=row.document_id, page_no=1, page_label="lines 1-40", boxes=(), quote=QUOTE)
    ready.services.asking.script = [AnswerReady(answer("x [1]", citations=(made,)))]
    ready.ask()
    ready.until(lambda: ready.works.documents.find(row.document_id) is not None)
    _click_chip(ready, ready.works.transcript.answers()[-1])
    pane = ready.works.sources.pane
    ready.until(lambda: pane.text.marked_text() == "The pump\n runs at 40 Hz.")
    selections = pane.text.extraSelections()
    assert selections[0].cursor.selectedText().replace("\u2029", "\n") == "The pump\n runs at 40 Hz."
    assert library.rendered == []


def test_a_page_that_cannot_be_drawn_is_shown_as_text_with_the_reason(ready: Stage) -> None:
    library = ready.services.library
    library.render_error = JingyanError(ErrorCode.FILE_CHANGED, name="report.pdf")
    library.texts[DocumentId(1), 3] = PageText(3, "3", 595, 842, f"Before. {QUOTE} After.", ())
    view = _ask(ready, citation(1))
    _click_chip(ready, view)
    pane = ready.works.sources.pane
    ready.until(lambda: pane.text.marked_text() == QUOTE)
    assert "changed on disk" in pane.notice_text()


def test_a_document_that_is_gone_gives_one_sentence(ready: Stage) -> None:
    library = ready.services.library
    library.render_error = JingyanError(ErrorCode.DOCUMENT_NOT_THERE)
    library.page_text = _raise_gone  # type: ignore[method-assign]
    view = _ask(ready, citation(1))
    _click_chip(ready, view)
    ready.until(lambda: "no longer in your library" in ready.works.sources.pane.notice_text())


def _raise_gone(*_: object) -> PageText:
    raise JingyanError(ErrorCode.DOCUMENT_NOT_THERE)


def test_an_opened_document_turns_its_pages(ready: Stage) -> None:
    row = ready.services.library.put("book.pdf", DocumentState.READY, page_count=3)
    ready.until(lambda: ready.works.documents.rowCount() == 1)
    ready.works.sources.open_document(row)
    pane = ready.works.sources.pane
    for _ in range(5):
        pane.step(1)
    assert pane.place.page_no == 3
    ready.until(lambda: (row.document_id, 3) in [seen[:2] for seen in ready.services.library.rendered])


def test_escape_closes_the_pane_and_gives_the_room_back(ready: Stage) -> None:
    view = _ask(ready, citation(1))
    _click_chip(ready, view)
    assert ready.works.sources.pane.isVisible()
    ready.bot.keyClick(ready.window, Qt.Key.Key_Escape)
    ready.until(lambda: not ready.works.sources.pane.isVisible())
    assert not view.chips().chips()[0].isChecked()


def test_in_a_small_window_the_side_bar_makes_room_and_comes_back(ready: Stage) -> None:
    ready.window.resize(800, 600)
    view = _ask(ready, citation(1))
    _click_chip(ready, view)
    ready.until(lambda: not ready.window.panel.isVisible())
    assert ready.window.width() == 800
    assert ready.window.chat.width() >= 340
    ready.bot.keyClick(ready.window, Qt.Key.Key_Escape)
    ready.until(ready.window.panel.isVisible)
