"""Find a quoted phrase on a page although spacing, width, case, quotes or hyphenation differ.

Both sides are reduced to comparable characters; a map leads back to the page's own offsets, so what is
returned can be highlighted. Not fuzzy: every letter and digit must agree.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from app.core.sentences import Span


@dataclass(frozen=True, slots=True)
class Comparable:
    """`text` reduced to letters and digits and signs that carry meaning; `origin[i]` = offset of its i-th character."""

    text: str
    origin: tuple[int, ...]


_MEANINGFUL = frozenset("%$€£¥+/@#&")  # these tell values apart


def comparable(text: str) -> Comparable:
    kept: list[str] = []
    origin: list[int] = []
    for offset, char in enumerate(text):
        for folded in unicodedata.normalize("NFKC", char).casefold():
            if not _counts(folded, text, offset):
                continue
            if folded.isdigit() and kept and kept[-1].isdigit() and not _same_number(text, origin[-1], offset):
                kept.append(" ")  # "clause 3 15,000 EUR" must not become 315000
                origin.append(offset)
            kept.append(folded)
            origin.append(offset)
    return Comparable("".join(kept), tuple(origin))


def _counts(char: str, text: str, offset: int) -> bool:
    if char in ".-":
        return _between_digits(text, offset)
    return char.isalnum() or char in _MEANINGFUL


def _same_number(text: str, before: int, after: int) -> bool:
    """12,480 and 12480 are the same number; 12 480 may be two."""
    return text[before + 1 : after] in ("", ",", "，")


def find(phrase: str, page: Comparable) -> Span | None:
    """Where `phrase` stands on the page (first occurrence), as offsets into the page's own text."""
    needle = comparable(phrase).text
    if not needle:
        return None
    at = page.text.find(needle)
    while at >= 0 and _splits_number(page.text, at, at + len(needle)):
        at = page.text.find(needle, at + 1)
    if at < 0:
        return None
    return Span(page.origin[at], page.origin[at + len(needle) - 1] + 1)


def _between_digits(text: str, offset: int) -> bool:
    return 0 < offset < len(text) - 1 and text[offset - 1].isdigit() and text[offset + 1].isdigit()


def _splits_number(text: str, start: int, end: int) -> bool:
    """A number found inside a longer number ("48" in "12480", "2.5" in "2.57") is not the same number."""
    before = start > 0 and text[start].isdigit() and text[start - 1].isdigit()
    after = end < len(text) and text[end - 1].isdigit() and text[end].isdigit()
    decimal = end + 1 < len(text) and text[end - 1].isdigit() and text[end] == "." and text[end + 1].isdigit()
    fraction = start > 1 and text[start].isdigit() and text[start - 1] == "." and text[start - 2].isdigit()
    return before or after or decimal or fraction
