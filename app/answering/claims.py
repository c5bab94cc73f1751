"""What in an answer can be checked against a page: its numbers and its quoted phrases."""

from __future__ import annotations

import re

MARKER = re.compile(r"\[(\d{1,3})\]")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,，]*(?:\.\d+)?%?")
_QUOTED = re.compile(r"“([^”]{2,300})”|\"([^\"\n]{2,300})\"|「([^」]{2,300})」|『([^』]{2,300})』|《([^》]{2,100})》")
_SMALL_COUNTS = {str(n) for n in range(11)}  # "three reasons: 1. ... 2. ..." is form, not fact


def strip_markers(text: str) -> str:
    return re.sub(r"[ \t]*" + MARKER.pattern, "", text)


def numbers(text: str) -> tuple[str, ...]:
    """Numbers that a reader would check, in order, each once. List numbering and counts to ten are left out."""
    found = (m.group().strip("+,，") for m in _NUMBER.finditer(strip_markers(text)))
    return tuple(dict.fromkeys(n for n in found if n not in _SMALL_COUNTS))


def quoted_phrases(text: str) -> tuple[str, ...]:
    groups = (next(filter(None, m.groups())) for m in _QUOTED.finditer(strip_markers(text)))
    return tuple(dict.fromkeys(g.strip() for g in groups))


def markers(text: str) -> tuple[int, ...]:
    """Passage numbers cited in `text`, in order of first use."""
    return tuple(dict.fromkeys(int(m.group(1)) for m in MARKER.finditer(text)))
