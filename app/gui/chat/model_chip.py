"""Which model answers, and the way to load another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from app.gui.ui import Ui
from app.gui.widgets.basics import set_look

if TYPE_CHECKING:
    from app.core.values import ModelInfo

_ICON_PX = 16
_NAME_PX = 200


class ModelChip(QPushButton):
    load_asked = Signal()

    def __init__(self, ui: Ui, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ui = ui
        self._model: ModelInfo | None = None
        self._loading = ""
        self._starting = True
        self.setIconSize(QSize(_ICON_PX, _ICON_PX))
        set_look(self, "quiet")
        self._menu = QMenu(self)
        self._menu.aboutToShow.connect(self._fill)
        self.setMenu(self._menu)
        ui.language.changed.connect(self._retranslate)
        ui.theme.changed.connect(self._redraw)
        self._retranslate()
        self._redraw()

    def set_model(self, model: ModelInfo | None) -> None:
        self._model, self._loading, self._starting = model, "", False
        self._retranslate()

    def set_loading(self, name: str) -> None:
        self._loading, self._starting = name, False
        self._retranslate()

    def facts(self) -> tuple[str, ...]:
        """Lines about the loaded model."""
        model = self._model
        if model is None:
            return ()
        from app.wording import format_size  # the first paint knows no model yet

        size = self.tr("{size} · {parameters} parameters").format(
            size=format_size(model.size_bytes), parameters=_count(model.parameters)
        )
        reach = self.tr("Reads up to {tokens} tokens · runs on {device}").format(
            tokens=f"{model.context_tokens:,}", device=model.device
        )
        return (model.name, size, reach)

    def _fill(self) -> None:
        self._menu.clear()
        for line in self.facts():
            self._menu.addAction(line.replace("&", "&&")).setEnabled(False)
        if self._model is not None and self._model.starter:
            self._menu.addAction(self.tr("Small starter model, for a first look")).setEnabled(False)
        if self._model is not None:
            self._menu.addSeparator()
        self._menu.addAction(self.tr("Load my own GGUF…"), self.load_asked.emit).setEnabled(not self._loading)

    def _retranslate(self) -> None:
        if self._loading:
            text = self.tr("Loading {name}…").format(name=self._short(self._loading))
        elif self._model is not None:
            text = self.tr("Starter model") if self._model.starter else self._short(self._model.name)
        else:
            text = self.tr("Starting…") if self._starting else self.tr("No model")
        self.setText(text.replace("&", "&&"))
        self.setAccessibleName(self.tr("Model: {name}").format(name=text))
        self.setToolTip(self.tr("The model that answers. Click to load your own GLM file."))

    def _short(self, name: str) -> str:
        return self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, _NAME_PX)

    def _redraw(self) -> None:
        self.setIcon(self._ui.theme.icon("chip", "muted", _ICON_PX))


def _count(parameters: int) -> str:
    """ "9.4B", "1.7M": the way models are talked about."""
    for step, unit in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if parameters >= step:
            return f"{parameters / step:.1f}{unit}"
    return str(parameters)
