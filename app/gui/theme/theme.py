"""The theme in force: colours that follow the user's choice or the system, told to whoever draws by itself."""

from __future__ import annotations

from string import Template

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QGuiApplication, QIcon
from PySide6.QtWidgets import QApplication

from app.core.paths import resources
from app.gui.theme import fonts, icons
from app.gui.theme.palettes import palette
from app.gui.theme.tokens import DARK, ICON_PX, LIGHT, Colours, Radius, Space, Type
from app.settings import ThemeChoice


class Theme(QObject):
    """Owns palette, font and style sheet of the application. `changed` fires after all three are set."""

    changed = Signal()

    def __init__(self, app: QApplication, choice: ThemeChoice = ThemeChoice.SYSTEM) -> None:
        super().__init__(app)
        self._app = app
        self._choice = choice
        self.colours = LIGHT
        app.setStyle("Fusion")
        app.setFont(fonts.font())
        app.styleHints().colorSchemeChanged.connect(self._system_changed)
        self.set_choice(choice)

    @property
    def choice(self) -> ThemeChoice:
        return self._choice

    def set_choice(self, choice: ThemeChoice) -> None:
        self._choice = choice
        self.colours = self._wanted()
        self._app.setPalette(palette(self.colours))
        self._app.setStyleSheet(style_sheet(self.colours))
        self.changed.emit()

    def icon(self, name: str, colour: str = "", size_px: int = ICON_PX) -> QIcon:
        """`colour` is the name of a token ("accent"); muted by default."""
        return icons.icon(name, getattr(self.colours, colour or "muted"), size_px, self.colours.line_strong)

    def _wanted(self) -> Colours:
        if self._choice is ThemeChoice.SYSTEM:
            dark = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
            return DARK if dark else LIGHT
        return DARK if self._choice is ThemeChoice.DARK else LIGHT

    def _system_changed(self) -> None:
        if self._choice is ThemeChoice.SYSTEM and self._wanted() is not self.colours:
            self.set_choice(ThemeChoice.SYSTEM)


def style_sheet(colours: Colours) -> str:
    """resources/styles/window.qss with tokens filled in; an unknown token is a bug and raises."""
    names: dict[str, object] = {field: getattr(colours, field) for field in Colours.__dataclass_fields__}
    for scale in (Space, Type, Radius):
        names |= {f"{scale.__name__.lower()}_{member.name.lower()}": f"{member.value}px" for member in scale}
    return Template((resources() / "styles" / "window.qss").read_text("utf-8")).substitute(names)
