"""One character at a time: what the text of a page may hold.

Promise: the result has no control character but newline and tab, no lone surrogate, no invisible mark,
only plain spaces; ligatures, Kangxi radicals and compatibility ideographs become the ordinary characters
that people type in a search box. Characters that mean nothing outside their font become U+FFFD.
"""

from __future__ import annotations

import re
import unicodedata

UNKNOWN = "\ufffd"
_JOINERS = {0x200C, 0x200D}  # they carry meaning in Persian, in Indic scripts and in emoji
_SYMBOL_BULLETS = {0xF06E, 0xF071, 0xF076, 0xF0A7, 0xF0A8, 0xF0B7, 0xF0D8}  # Symbol and Wingdings list marks
# Blocks whose members are twins of ordinary characters: CJK radicals, Kangxi radicals, CJK compatibility
# ideographs (both blocks) and Latin ligatures. Chinese PDFs are full of them, and nobody types them.
_WIDE = re.compile("[\u2e80-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff]+")
_TWIN_BLOCKS = ((0x2E80, 0x2FDF), (0xF900, 0xFAFF), (0xFB00, 0xFB06), (0x2F800, 0x2FA1F))


class _Table(dict[int, str | None]):
    """A `str.translate` table that works out each character when it first meets it."""

    def __missing__(self, code: int) -> str | None:
        self[code] = value = _translate(code)
        return value


def _translate(code: int) -> str | None:
    character = chr(code)
    category = unicodedata.category(character)
    if category == "Cc":
        return character if character in "\n\t" else None
    if category == "Cf":
        return character if code in _JOINERS else None
    if category in ("Zs", "Zl", "Zp"):
        return " " if category == "Zs" else "\n"
    if category == "Co":
        return "•" if code in _SYMBOL_BULLETS else UNKNOWN
    if category == "Cs" or code & 0xFFFE == 0xFFFE:
        return UNKNOWN
    if any(first <= code <= last for first, last in _TWIN_BLOCKS):
        return unicodedata.normalize("NFKC", character)
    return character


_TABLE = _Table()


def clean(text: str) -> str:
    """`text` by the promise above. Its length may change."""
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_TABLE)


def is_unreadable(text: str) -> bool:
    """True when more than half of what is printed has no known meaning (a font without a Unicode map)."""
    unknown = text.count(UNKNOWN)
    return unknown > 0 and 2 * unknown > sum(not c.isspace() for c in text)


def spells_words(text: str) -> bool:
    """True when `text` looks like a European language: ordinary letters, enough vowels, spaces between words."""
    visible = [c for c in text if not c.isspace()]
    ordinary = sum("!" <= c <= "~" or "\u00c0" <= c <= "\u017f" for c in visible)
    letters = [c for c in text.lower() if "a" <= c <= "z"]
    if ordinary < 0.95 * len(visible) or len(letters) < max(10, 0.4 * len(visible)):
        return False
    vowels = sum(c in "aeiou" for c in letters)
    return 0.28 < vowels / len(letters) < 0.6 and len(text.split()) > len(visible) / 15


def width(text: str) -> float:
    """How much `text` holds, in English characters: a Chinese, Japanese or Korean one counts as 2.25.

    900 English characters and 400 Chinese ones say about the same, hence the factor.
    """
    if text.isascii():
        return float(len(text))
    return len(text) + 1.25 * sum(map(len, _WIDE.findall(text)))


def is_wide(character: str) -> bool:
    """A Chinese, Japanese or Korean character, or their full-width punctuation."""
    return _WIDE.match(character) is not None


def runs_on(before: str, after: str) -> bool:
    """Whether text is written without a space where a line of Chinese or Japanese ends and the next begins."""
    return is_wide(before) and is_wide(after) and not (_is_hangul(before) or _is_hangul(after))


def _is_hangul(character: str) -> bool:
    return "\uac00" <= character <= "\ud7a3"
