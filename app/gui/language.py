"""The language in force: Qt translators for the window, and the code app.wording wants for sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QObject, QTranslator, Signal

from app.core.paths import resources
from app.settings import LanguageChoice

if TYPE_CHECKING:
    from app.wording import Language as WordingLanguage


class Language(QObject):
    """`changed` fires after the translators are swapped; every view sets its texts again then."""

    changed = Signal()

    def __init__(self, app: QCoreApplication, choice: LanguageChoice = LanguageChoice.SYSTEM) -> None:
        super().__init__(app)
        self._app = app
        self._translators: list[QTranslator] = []
        self._choice = choice
        self.set_choice(choice)

    @property
    def choice(self) -> LanguageChoice:
        return self._choice

    @property
    def code(self) -> WordingLanguage:
        if self._choice is LanguageChoice.SYSTEM:
            return "zh_CN" if QLocale.system().language() == QLocale.Language.Chinese else "en"
        return "zh_CN" if self._choice is LanguageChoice.CHINESE else "en"

    def set_choice(self, choice: LanguageChoice) -> None:
        self._choice = choice
        for translator in self._translators:
            self._app.removeTranslator(translator)
        self._translators = []
        QLocale.setDefault(QLocale(self.code))
        self._install(f"jingyan_{self.code}", str(resources() / "translations"))
        if self.code != "en":  # the words of Qt's own dialogs and menus
            self._install(f"qtbase_{self.code}", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath))
        self.changed.emit()

    def _install(self, name: str, folder: str) -> None:
        translator = QTranslator(self)
        if translator.load(name, folder):
            self._app.installTranslator(translator)
            self._translators.append(translator)
