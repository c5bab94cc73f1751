"""Fonts that are right for English and Chinese on each platform.

Without an explicit family list Qt draws Chinese with the Japanese Noto font on Linux (wrong shapes of 直, 骨, 今 ...).
"""

from __future__ import annotations

import sys

from PySide6.QtGui import QFont

from app.gui.theme.tokens import Type

_FAMILIES = {
    "linux": ["Noto Sans", "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "DejaVu Sans", "Noto Color Emoji"],
    "darwin": [".AppleSystemUIFont", "PingFang SC", "Hiragino Sans GB", "Apple Color Emoji"],
    "win32": ["Segoe UI", "Microsoft YaHei UI", "Microsoft YaHei", "Segoe UI Emoji"],
}
_FIXED = {
    "linux": ["Noto Sans Mono", "DejaVu Sans Mono", "Noto Sans Mono CJK SC", "Noto Sans CJK SC"],
    "darwin": ["Menlo", "PingFang SC"],
    "win32": ["Cascadia Mono", "Consolas", "Microsoft YaHei UI"],
}


def families() -> list[str]:
    return _FAMILIES.get(sys.platform, _FAMILIES["linux"])


def fixed_families() -> list[str]:
    return _FIXED.get(sys.platform, _FIXED["linux"])


def font(size: Type = Type.BODY, *, bold: bool = False) -> QFont:
    made = QFont()
    made.setFamilies(families())
    made.setPixelSize(int(size))
    made.setStyleHint(QFont.StyleHint.SansSerif)
    made.setHintingPreference(QFont.HintingPreference.PreferVerticalHinting)
    made.setBold(bold)
    return made
