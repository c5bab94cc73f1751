"""Takes the pictures in this folder: the real window over the real services, on our sample and small files made here.

    python docs/screenshots/make.py [FOLDER]

Needs no display. Each picture is what the window showed; nothing is staged but the files and the questions.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))
os.environ["QT_QPA_PLATFORM"] = "offscreen"

LOOKS = (("light", "en"), ("light", "zh_CN"), ("dark", "en"), ("dark", "zh_CN"))
QUESTIONS = {
    "en": ("How much is the monthly rent in the first year?", "Who is the caretaker?"),
    "zh_CN": ("月租金是多少？", "押金是多少？"),
}


def make_files(folder: Path) -> tuple[list[Path], Path]:
    """Documents that end in every state, and a long one that is still being read when the picture is taken."""
    import pymupdf

    folder.mkdir()
    scan = pymupdf.open()
    scan.new_page().insert_text((72, 90), "Meter readings of March: 4,182 kWh, taken by Joris Haan.")
    picture = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 300, 200))
    picture.set_rect(picture.irect, (228, 224, 214))
    scan.new_page().insert_image(pymupdf.Rect(72, 72, 500, 400), pixmap=picture)
    scan.save(folder / "Meter readings, scanned.pdf")
    locked = pymupdf.open()
    locked.new_page().insert_text((72, 90), "private")
    locked.save(folder / "Tax return 2026.pdf", encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="pw", owner_pw="pw")
    (folder / "Interrupted download.pdf").write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 40)
    (folder / "Photos").mkdir()
    (folder / "会议记录.md").write_text("# 会议记录\n\n四月十二日在鹭码头七号单元检查了暖气，一切正常。\n", "utf-8")
    long = pymupdf.open()
    for number in range(1, 401):
        page = long.new_page()
        for line in range(12):
            page.insert_text((60, 70 + 17 * line), f"Entry {number}.{line}: temperature, pressure and flow as planned.")
    long.save(folder / "Operating log 2026.pdf")
    names = ("Interrupted download.pdf", "Photos", "Tax return 2026.pdf", "Meter readings, scanned.pdf", "会议记录.md")
    return [folder / name for name in names], folder / "Operating log 2026.pdf"


def take(folder: Path, theme: str, language: str) -> None:
    from PySide6.QtCore import QEventLoop, QTimer
    from PySide6.QtWidgets import QApplication, QWidget

    from app.compose import Launch, open_jingyan
    from app.core.paths import resources
    from app.core.values import DocumentState
    from app.gui.app import LANGUAGE, THEME, RunPreferences, add_works, build_window, name_application
    from app.gui.screenshot import SIZE, wait_for

    application = QApplication(["jingyan"])
    name_application(application)
    preferences = RunPreferences(**{THEME: theme, LANGUAGE: language})
    window = build_window(application, preferences)
    works = add_works(window, preferences)
    window.panes.set_animated(False)
    window.resize(SIZE)
    window.show()
    jingyan = open_jingyan(Launch(in_memory=True))
    jingyan.wait_for_model()

    def until(condition: Callable[[], bool]) -> None:
        loop, timer = QEventLoop(), QTimer()
        timer.timeout.connect(lambda: condition() and loop.quit())
        timer.start(20)
        loop.exec()

    def picture(name: str, widget: QWidget = window) -> None:
        settle = QEventLoop()
        QTimer.singleShot(120, settle, settle.quit)
        settle.exec()
        widget.grab().save(str(folder / f"{name}-{theme}-{language}.png"))

    def states(state: DocumentState) -> int:
        return sum(document.state is state for document in works.documents.documents())

    wait_for(works.session.documents_listed, lambda: works.session.start(lambda: jingyan))
    until(lambda: window.chat.composer.model_chip.facts() != ())
    picture("empty")
    if (theme, language) == ("light", "en"):
        works.drops.overlay.appear()
        picture("drop")
        works.drops.overlay.hide()
    with tempfile.TemporaryDirectory() as made:
        os.environ["HOME"] = made  # so that the pictures show a path like everybody's
        files, long = make_files(Path(made) / "Documents")
        works.session.add([*files, resources() / "samples" / "sample.pdf"])
        until(lambda: works.documents.rowCount() == 6 and all(d.state.is_final for d in works.documents.documents()))
        works.session.add([long])
        until(lambda: any(d.pages_read > 20 for d in works.documents.documents() if d.path == long))
        picture("documents")
        reading = next(d for d in works.documents.documents() if d.path == long)
        works.session.remove(reading)
        until(lambda: works.documents.rowCount() == 6)
        for name, state in (("partial", DocumentState.PARTIAL), ("refused", DocumentState.REFUSED)):
            document = next(d for d in works.documents.documents() if d.state is state)
            popover = works.rows.details(document)
            picture(name, popover)
            popover.close()
        for question in QUESTIONS[language]:
            wait_for(works.bridge.ask_ended, lambda asked=question: works.conversation.ask(asked))
        picture("answer")
        answer = works.transcript.answers()[0]
        wait_for(works.sources.loader.image_ready, lambda: works.sources.show_citation(answer, 0))
        picture("citation")
        if (theme, language) == ("light", "en"):
            window.resize(800, 600)
            picture("small")
        window.shut_down()


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    if len(sys.argv) == 4:
        take(folder, sys.argv[2], sys.argv[3])
        return
    folder.mkdir(parents=True, exist_ok=True)
    for theme, language in LOOKS:  # one process each: an application has one theme and one language
        subprocess.run([sys.executable, __file__, str(folder), theme, language], check=True, cwd=ROOT)  # noqa: S603 - ourselves


if __name__ == "__main__":
    main()
