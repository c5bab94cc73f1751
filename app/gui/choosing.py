"""The file dialogs: native where the desktop has one, never blocking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QFileDialog, QWidget

translate = QCoreApplication.translate  # the name under which lupdate finds the strings


def choose_documents(window: QWidget, chosen: Callable[[Sequence[Path]], None]) -> QFileDialog:
    dialog = _dialog(
        window,
        translate("Choosing", "Add documents"),
        translate("Choosing", "Documents (*.pdf *.txt *.md *.markdown *.text);;All files (*)"),
    )
    dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
    dialog.filesSelected.connect(lambda paths: chosen([Path(path) for path in paths]))
    dialog.open()
    return dialog


def choose_model(window: QWidget, chosen: Callable[[Path], None]) -> QFileDialog:
    dialog = _dialog(
        window,
        translate("Choosing", "Load a GLM model"),
        translate("Choosing", "GGUF models (*.gguf);;All files (*)"),
    )
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    dialog.filesSelected.connect(lambda paths: chosen(Path(paths[0])))
    dialog.open()
    return dialog


def _dialog(window: QWidget, title: str, kinds: str) -> QFileDialog:
    dialog = QFileDialog(window, title, str(Path.home()), kinds)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    return dialog
