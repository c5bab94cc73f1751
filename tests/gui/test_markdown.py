"""Answers as Markdown: what is hostile stays text, nothing is fetched, citations become links, code gets colours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtNetwork import QHostAddress, QTcpServer
from PySide6.QtWidgets import QDialog

from app.core.events import AnswerReady, TextDelta
from app.gui.chat.blocks import finished_length
from app.gui.chat.markdown import Marks, to_html
from app.gui.theme.tokens import DARK, LIGHT
from tests.gui.conftest import Stage
from tests.gui.fake_services import answer, citation

NO_MARKS = Marks()


def _html(text: str, marks: Marks = NO_MARKS) -> str:
    return to_html(text, LIGHT, marks)


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '<img src="http://127.0.0.1/x.png">',
        "<iframe src='file:///etc/passwd'></iframe>",
        '<a href="javascript:alert(1)">x</a>',
        "<style>* { color: red }</style>",
    ],
)
def test_raw_html_is_shown_as_text(hostile: str) -> None:
    made = _html(hostile)
    assert "&lt;" in made
    for tag in ("<script", "<img", "<iframe", "<a ", "<style"):
        assert tag not in made


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "cite:1",
        "qrc:/x",
        "ftp://h/x",
        "//h/x",
        "/etc/passwd",
    ],
)
def test_only_web_and_mail_addresses_stay_links(address: str) -> None:
    assert "href" not in _html(f"[click]({address})")
    assert "href" not in _html(f"<{address}>")


def test_web_links_stay_links() -> None:
    assert 'href="https://example.org/a?b=1"' in _html("[click](https://example.org/a?b=1)")


@pytest.mark.parametrize("address", ["http://127.0.0.1/x.png", "file:///etc/hostname", "data:image/png;base64,AAAA"])
def test_pictures_become_their_words(address: str) -> None:
    made = _html(f"before ![the words]({address}) after")
    assert "<img" not in made
    assert "<a" not in made and "src=" not in made
    assert "before" in made and "after" in made


def test_markers_of_citations_become_links_and_others_stay_text() -> None:
    made = _html("One [1], two [2], none [7], code `[1]`, list [1][2].", Marks(frozenset({1}), frozenset({2})))
    assert made.count('href="cite:1"') == 2
    assert made.count('href="cite:2"') == 2
    assert "none [7]" in made
    assert ">[1]</code>" in made
    assert "2?" in made  # not verified: marked


def test_a_number_as_the_words_of_a_link_is_no_citation() -> None:
    assert "cite:" not in _html("[1](https://example.org)", Marks(frozenset({1})))


def test_unsupported_phrases_are_marked_where_they_stand() -> None:
    made = _html("Rent is **4,850** & 4,850 <b>", Marks(unsupported=("4,850",)))
    assert made.count(LIGHT.warn_soft) == 2
    assert "&amp;" in made and "&lt;b&gt;" in made


def test_code_is_coloured_in_both_themes_and_unknown_languages_stay_plain() -> None:
    code = "```python\ndef f(): return '<x>'\n```"
    assert "color:" in to_html(code, LIGHT, NO_MARKS).split("<pre")[1]
    assert to_html(code, LIGHT, NO_MARKS) != to_html(code, DARK, NO_MARKS)
    assert "&lt;x&gt;" in to_html("```klingon\n<x>\n```", LIGHT, NO_MARKS)


def test_quoted_table_rows_become_a_table_and_other_lines_do_not() -> None:
    made = _html("> Year | Rent\n> 1 | **4,850** [1]\n> 2 | <b>", Marks(frozenset({1})))
    assert made.count("<tr>") == 3 + 1  # and the bar of the quote
    assert "<strong>4,850</strong>" in made and 'href="cite:1"' in made and "&lt;b&gt;" in made
    assert "grid" not in _html("one | two")
    assert "grid" not in _html("one | two\nthree")


def test_deep_and_long_nonsense_ends(ready: Stage) -> None:
    for text in ("[" * 5000, ">" * 2000 + "x", "*" * 8000, "`" * 9999, "- " * 3000, "|" * 4000 + "\n" + "|-" * 2000):
        assert isinstance(_html(text, Marks(frozenset({1}))), str)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("one line", 0),
        ("para\n\nnext", 6),
        ("a\n\nb\n\nc", 6),
        ("```\ncode\n\nmore", 0),
        ("```\ncode\n\n```\n\nafter", 15),
        ("x\n", 0),
    ],
)
def test_blocks_are_cut_at_blank_lines_outside_of_code(text: str, length: int) -> None:
    assert finished_length(text) == length


@pytest.fixture
def trap() -> Iterator[QTcpServer]:
    """A server on this computer that must never be called."""
    server = QTcpServer()
    assert server.listen(QHostAddress(QHostAddress.SpecialAddress.LocalHost), 0)
    yield server
    server.close()


def test_a_hostile_answer_fetches_nothing(ready: Stage, trap: QTcpServer, tmp_path: Path) -> None:
    calls: list[int] = []
    trap.newConnection.connect(lambda: calls.append(1))
    web = f"http://127.0.0.1:{trap.serverPort()}/x.png"
    picture = tmp_path / "x.png"
    picture.write_bytes(b"not a picture")
    text = f"![a]({web}) ![b]({picture.as_uri()}) <img src='{web}'> <img src='{picture}'>\n\n[ref]: {web}\n![c][ref]"
    ready.services.asking.script = [TextDelta(text[:40]), TextDelta(text[40:]), AnswerReady(answer(text))]
    ready.ask()
    view = ready.works.transcript.answers()[-1].text_view()
    ready.window.grab()
    assert "<img" not in view.toHtml()
    view.show_html(
        f"<img src='{web}'><img src='{picture.as_uri()}'><link rel=stylesheet href='{web}'>"
    )  # as if Markdown had let it through
    ready.window.grab()
    for kind in (1, 2, 3):  # HTML, image, style sheet
        for address in (QUrl(web), QUrl.fromLocalFile(str(picture)), QUrl("qrc:/x")):
            assert bytes(view.document().resource(kind, address)) == b""
    assert calls == []


def test_clicking_a_link_asks_first_and_opens_nothing(ready: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from PySide6.QtGui import QDesktopServices

    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    ready.services.asking.script = [AnswerReady(answer("[x](https://example.org/long)"))]
    ready.ask()
    view = ready.works.transcript.answers()[-1].text_view()
    view.anchorClicked.emit(QUrl("https://example.org/long"))
    dialogs = [child for child in ready.window.findChildren(QDialog) if child.isVisible()]
    assert len(dialogs) == 1
    assert opened == []
    dialogs[0].accept_button.click()
    assert opened == ["https://example.org/long"]


def test_a_link_cannot_navigate_the_answer_itself(ready: Stage, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret words")
    ready.services.asking.script = [AnswerReady(answer("visible"))]
    ready.ask()
    view = ready.works.transcript.answers()[-1].text_view()
    view.setSource(QUrl.fromLocalFile(str(secret)))
    assert "secret words" not in view.toPlainText()
    assert "visible" in view.toPlainText()


def test_streamed_blocks_are_rendered_while_the_tail_stays_plain(ready: Stage) -> None:
    import threading

    asking = ready.services.asking
    asking.gate, asking.gate_at = threading.Event(), 1
    whole = "**Bold** one.\n\n**tail"
    asking.script = [TextDelta(whole), AnswerReady(answer(whole + "** [1]", citations=(citation(1),)))]
    ready.works.conversation.ask("q")
    view = ready.works.transcript.answers()[-1]
    ready.until(lambda: view.text() == whole)
    assert view.text_view().toPlainText().strip() == "Bold one."
    assert view.tail_text() == "**tail"
    with ready.bot.waitSignal(ready.works.bridge.ask_ended):
        asking.gate.set()
    assert view.tail_text() == ""
    assert "tail" in view.text_view().toPlainText()
