"""Themes and languages: readable in both, switched without a restart, remembered, nothing left untranslated."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PySide6.QtGui import QColor, QFont, QPalette, QTextLayout
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLineEdit, QPlainTextEdit

from app.core.errors import ErrorCode, Reason
from app.core.events import AnswerReady
from app.core.paths import resources
from app.core.values import DocumentState, PageProblem
from app.gui.app import RunPreferences
from app.gui.theme import fonts, icons
from app.gui.theme.theme import style_sheet
from app.gui.theme.tokens import DARK, LIGHT, Colours
from app.settings import LanguageChoice, ThemeChoice
from tests.gui.conftest import Stage
from tests.gui.fake_services import answer, citation

TRANSLATIONS = resources() / "translations"


def _luminance(colour: str) -> float:
    parts = [channel / 255 for channel in QColor(colour).getRgb()[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.2, 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_readable_on_every_surface(colours: Colours) -> None:
    for back in (colours.window, colours.surface, colours.card, colours.selected, colours.hover):
        assert contrast(colours.text, back) >= 7, back
        assert contrast(colours.muted, back) >= 4.5, back
    for front, back in (
        (colours.on_accent, colours.accent),
        (colours.accent, colours.accent_soft),
        (colours.warn, colours.warn_soft),
        (colours.text, colours.warn_soft),
        (colours.text, colours.error_soft),
        (colours.text, colours.accent_soft),
        (colours.warn, colours.window),
        (colours.error, colours.window),
        (colours.text, colours.quote),
    ):
        assert contrast(front, back) >= 4.5, (front, back)


def test_the_style_sheet_names_no_colour_and_fills_every_token() -> None:
    source = (resources() / "styles" / "window.qss").read_text("utf-8")
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?!\w)(?=\s*[;}])|rgb", source)
    assert "$" not in style_sheet(LIGHT)


def test_every_icon_is_drawn_and_follows_the_theme(qapp: QApplication) -> None:
    for path in (resources() / "icons").glob("*.svg"):
        picture = icons.pixmap(path.stem, LIGHT.text, 24, 1.0).toImage()
        assert any(picture.pixelColor(x, y).alpha() for x in range(24) for y in range(24)), path.stem
    assert icons.pixmap("add", "#ff0000", 24, 1.0).toImage().pixelColor(12, 12).red() == 255


def test_chinese_is_drawn_with_simplified_forms(qapp: QApplication) -> None:
    if "Noto Sans CJK SC" not in __import__("PySide6.QtGui").QtGui.QFontDatabase.families():
        pytest.skip("Noto Sans CJK SC is not installed")
    layout = QTextLayout("直骨今", fonts.font())
    layout.beginLayout()
    layout.createLine()
    layout.endLayout()
    assert {run.rawFont().familyName() for run in layout.glyphRuns()} == {"Noto Sans CJK SC"}
    assert fonts.font().styleHint() == QFont.StyleHint.SansSerif


def test_the_theme_switches_at_once_and_is_remembered(ready: Stage, preferences: RunPreferences) -> None:
    window = ready.window
    ready.services.asking.script = [AnswerReady(answer("Text [1]", citations=(citation(1),)))]
    ready.ask()
    light = window.grab().toImage().pixelColor(5, 400)
    next(a for a in _menu_actions(ready, "Theme") if a.text() == "Dark").trigger()
    assert window.ui.theme.choice is ThemeChoice.DARK
    assert window.palette().color(QPalette.ColorRole.Text) == QColor(DARK.text)
    assert light == QColor(LIGHT.window)
    assert window.grab().toImage().pixelColor(5, 400) == QColor(DARK.window)
    assert DARK.accent_soft in ready.works.transcript.answers()[0].text_view().toHtml()
    ready.until(lambda: preferences.get("theme") == "dark")


def _menu_actions(stage: Stage, submenu: str):
    stage.works.menu.aboutToShow.emit()
    return next(m for m in stage.works.menu.actions() if m.menu() and m.text() == submenu).menu().actions()


def _texts(stage: Stage) -> list[str]:
    """Every word on the window that our own code chose."""
    from PySide6.QtWidgets import QLabel

    window = stage.window
    texts = [button.text() for button in window.findChildren(QAbstractButton)]
    texts += [label.text() for label in window.findChildren(QLabel)]
    texts += [button.accessibleName() for button in window.findChildren(QAbstractButton)]
    texts += [edit.placeholderText() for edit in window.findChildren(QPlainTextEdit)]
    texts += [button.toolTip() for button in window.findChildren(QAbstractButton)]
    return [text for text in texts if re.search(r"[A-Za-z]{2}|[\u4e00-\u9fff]", text)]


def test_the_language_switches_at_once_and_leaves_no_english(ready: Stage, preferences: RunPreferences) -> None:
    window, works, library = ready.window, ready.works, ready.services.library
    problem = PageProblem(2, Reason(ErrorCode.PAGE_NO_TEXT))
    library.put("一.pdf", DocumentState.PARTIAL, page_count=3, problems=(problem,))
    made = answer(
        "答案 [1]",
        citations=(citation(1, document_name="一.pdf", verified=False),),
        reading_mode=True,
        unsupported=("四",),
        model="",
    )
    ready.services.asking.script = [AnswerReady(made)]
    ready.ask("问题")
    works.sources.show_citation(ready.works.transcript.answers()[0], 0)
    works.reactions.tell(Reason(ErrorCode.MODEL_NOT_GGUF, {"name": "一"}))
    next(a for a in _menu_actions(ready, "Language") if a.text() == "简体中文").trigger()
    assert window.ui.language.choice is LanguageChoice.CHINESE
    allowed = ("Enter", "Esc", "Ctrl", "GGUF", "GLM", "PDF", "Markdown", "pdf", "report", "pump", "Hz", "The", "runs",
               "gguf", "safetensors", "at", "qt", "Jingyan")  # fmt: skip
    for text in _texts(ready):
        words = set(re.findall(r"[A-Za-z]{2,}", text)) - set(allowed)
        assert words == set(), text
    assert window.windowTitle().startswith("静言")
    ready.until(lambda: preferences.get("language") == "zh_CN")
    window.ui.language.set_choice(LanguageChoice.ENGLISH)
    assert not any(re.search(r"[\u4e00-\u9fff]{3,}", text) for text in _texts(ready))


def _messages(language: str) -> list[ElementTree.Element]:
    return list(ElementTree.parse(TRANSLATIONS / f"jingyan_{language}.ts").iter("message"))


def test_every_text_has_a_finished_translation_with_the_same_placeholders() -> None:
    for message in _messages("zh_CN"):
        source = message.findtext("source") or ""
        translation = message.find("translation")
        assert translation is not None and "type" not in translation.attrib, source
        texts = [form.text or "" for form in translation.iter("numerusform")] or [translation.text or ""]
        for text in texts:
            assert text, source
            assert sorted(re.findall(r"\{\w+\}|%n", text)) == sorted(re.findall(r"\{\w+\}|%n", source)), source
            assert text.endswith("…") == source.endswith("…"), source


def _tool(name: str) -> list[str]:
    path = Path(sys.executable).with_name(f"pyside6-{name}")
    if not path.exists():
        pytest.skip(f"{path.name} is not installed")
    return [str(path)]


def test_the_translation_files_know_every_text_of_the_source(tmp_path: Path) -> None:
    sources = sorted(str(path) for path in (resources().parent / "app" / "gui").rglob("*.py"))
    fresh = tmp_path / "fresh.ts"
    subprocess.run(
        [*_tool("lupdate"), *sources, "-ts", str(fresh), "-locations", "none"], check=True, capture_output=True
    )

    def known(path: Path) -> set[tuple[str, str]]:
        contexts = ElementTree.parse(path).iter("context")
        return {(c.findtext("name") or "", m.findtext("source") or "") for c in contexts for m in c.iter("message")}

    assert known(fresh) == known(TRANSLATIONS / "jingyan_zh_CN.ts")


@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_the_compiled_translation_is_that_of_the_source(language: str, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.qm"
    source = TRANSLATIONS / f"jingyan_{language}.ts"
    subprocess.run([*_tool("lrelease"), str(source), "-qm", str(fresh)], check=True, capture_output=True)
    assert fresh.read_bytes() == (TRANSLATIONS / f"jingyan_{language}.qm").read_bytes()


def test_every_control_has_words_for_a_screen_reader(ready: Stage) -> None:
    ready.services.asking.script = [AnswerReady(answer("Text [1]", citations=(citation(1),)))]
    ready.ask()
    kinds = (QAbstractButton, QLineEdit, QPlainTextEdit, QComboBox)
    for kind in kinds:
        for control in ready.window.findChildren(kind):
            if not control.objectName().startswith("qt_"):
                words = control.accessibleName() or getattr(control, "text", lambda: "")()
                assert words.strip(), f"{type(control).__name__} in {type(control.parent()).__name__}"
