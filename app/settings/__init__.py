"""What the user may choose: declared once, loaded without ever failing, saved whole."""

from app.settings.file import LoadedSettings, SettingsFile, load_settings, save_settings
from app.settings.options import OPTIONS, LanguageChoice, Option, Settings, ThemeChoice, changed

__all__ = [
    "OPTIONS",
    "LanguageChoice",
    "LoadedSettings",
    "Option",
    "Settings",
    "SettingsFile",
    "ThemeChoice",
    "changed",
    "load_settings",
    "save_settings",
]
