"""Explicit light and dark QPalettes from the tokens: setColorScheme alone does nothing on many platforms."""

from __future__ import annotations

from PySide6.QtGui import QColor, QPalette

from app.gui.theme.tokens import Colours

_Role = QPalette.ColorRole


def palette(colours: Colours) -> QPalette:
    roles = {
        _Role.Window: colours.surface,
        _Role.WindowText: colours.text,
        _Role.Base: colours.card,
        _Role.AlternateBase: colours.window,
        _Role.Text: colours.text,
        _Role.PlaceholderText: colours.muted,
        _Role.Button: colours.card,
        _Role.ButtonText: colours.text,
        _Role.BrightText: colours.error,
        _Role.Highlight: colours.accent,
        _Role.HighlightedText: colours.on_accent,
        _Role.Link: colours.accent,
        _Role.LinkVisited: colours.accent,
        _Role.ToolTipBase: colours.card,
        _Role.ToolTipText: colours.text,
        _Role.Light: colours.card,
        _Role.Midlight: colours.hover,
        _Role.Mid: colours.line_strong,
        _Role.Dark: colours.line_strong,
        _Role.Shadow: colours.line_strong,
        _Role.Accent: colours.accent,
    }
    made = QPalette()
    for role, colour in roles.items():
        made.setColor(role, QColor(colour))
    for role in (_Role.WindowText, _Role.Text, _Role.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, role, QColor(colours.muted))
    return made
