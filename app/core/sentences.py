"""Cut text into sentences, English and Chinese, with exact offsets.

Not a linguistic parser: it knows terminal marks, closing quotes, common abbreviations, decimal points,
list items and blank lines. Promise: spans are in order, do not overlap, and hold every non-space character.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TERMINAL = re.compile(
    r"""
    (?P<cjk>[。！？!?…]+[”’」』）)"']*)            # always an end
  | (?P<dot>\.)(?P<close>[”’"')\]]*)(?=\s|$)          # a full stop before a space
  | (?P<blank>\n[ \t]*\n)                             # a blank line
  | (?P<item>\n(?=[ \t]*(?:[-*•·▪◦]|\(?[0-9a-zA-Z一二三四五六七八九十]{1,3}[.)、）])\s*\S))  # a list item follows
    """,
    re.VERBOSE,
)
_NEVER_ENDS = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Art|Sec|Fig|Figs|Eq|vs|cf|approx|e\.g|i\.e|p|pp)|\b[A-Z]|^\s*\d{1,3})$"
)
_MAY_END = re.compile(r"\b(?:Inc|Ltd|Co|Corp|Jr|Sr|etc|al|U\.S)$")  # ends when a capital letter follows
_LOOK_BACK_CHARS = 12  # longer than any abbreviation above


@dataclass(frozen=True, slots=True)
class Span:
    start: int
    end: int


def sentences(text: str) -> tuple[Span, ...]:
    """Sentence spans of `text`, white space at both ends left out; never an empty one."""
    spans: list[Span] = []
    start = 0
    for match in _TERMINAL.finditer(text):
        if match.group("dot") and _is_abbreviation(text, start, match.start()):
            continue
        _append(spans, text, start, match.end())
        start = match.end()
    _append(spans, text, start, len(text))
    return tuple(spans)


def _is_abbreviation(text: str, start: int, dot: int) -> bool:
    before = text[max(start, dot - _LOOK_BACK_CHARS) : dot]
    following = text[dot + 1 : dot + 4].lstrip()
    return bool(_NEVER_ENDS.search(before) or (_MAY_END.search(before) and not following[:1].isupper()))


def _append(spans: list[Span], text: str, start: int, end: int) -> None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        spans.append(Span(start, end))
