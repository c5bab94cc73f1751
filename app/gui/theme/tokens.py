"""Every colour, distance and type size of the window. Nothing else in app.gui may name a colour or invent a distance.

Contrast promised and tested: text and muted text at least 4.5:1 on every surface they stand on, in both themes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Space(IntEnum):
    """Distances in px; one scale for margins, gaps and padding."""

    XXS = 2
    XS = 4
    S = 8
    M = 12
    L = 16
    XL = 24
    XXL = 32
    HUGE = 48


class Type(IntEnum):
    """Text sizes in px."""

    CAPTION = 12
    SMALL = 13
    BODY = 14
    READING = 15  # answers: read for minutes, not glanced at
    TITLE = 18
    DISPLAY = 26


class Radius(IntEnum):
    SMALL = 6
    MEDIUM = 10
    LARGE = 14


CHAT_COLUMN_PX = 740  # about 85 Latin or 48 Chinese characters a line: comfortable to read
SIDEBAR_PX = 288
SOURCE_PX = 460
ICON_PX = 18


@dataclass(frozen=True, slots=True)
class Colours:
    window: str  # behind everything: the side bar
    surface: str  # the chat
    card: str  # raised: question box, popovers, chips
    hover: str
    selected: str
    line: str
    line_strong: str
    text: str
    muted: str
    accent: str
    accent_hover: str
    accent_soft: str
    on_accent: str
    warn: str
    warn_soft: str
    error: str
    error_soft: str
    good: str
    quote: str  # the highlighter, on page images (multiplied) and behind quoted text
    desk: str  # behind page images
    code: str
    dark: bool


LIGHT = Colours(
    window="#f3f1ec",
    surface="#fcfbf8",
    card="#ffffff",
    hover="#e9e6df",
    selected="#e2e7e1",
    line="#e4e0d7",
    line_strong="#cfc9bd",
    text="#20262a",
    muted="#62686a",
    accent="#2b6a5b",
    accent_hover="#235849",
    accent_soft="#e2eeea",
    on_accent="#ffffff",
    warn="#875200",
    warn_soft="#fbf0d9",
    error="#a3342c",
    error_soft="#fae7e3",
    good="#2f7353",
    quote="#ffe08a",
    desk="#e9e6df",
    code="#f3f1ec",
    dark=False,
)

DARK = Colours(
    window="#141718",
    surface="#1a1e1f",
    card="#232829",
    hover="#262c2d",
    selected="#28342f",
    line="#2e3536",
    line_strong="#454e4f",
    text="#e7e8e4",
    muted="#a3aaa8",
    accent="#7cc5ae",
    accent_hover="#95d3bf",
    accent_soft="#21362f",
    on_accent="#10201a",
    warn="#e6b85c",
    warn_soft="#362c18",
    error="#f08d82",
    error_soft="#3b2320",
    good="#7cc5a0",
    quote="#6b5518",
    desk="#101314",
    code="#14181a",
    dark=True,
)
