"""Guess which printed lines are headings, by size and weight of the type.

Promise: a guess that costs little when wrong; it only names chunks and decides where they may begin.
One object follows one document from page to page.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from app.ingest.lines import PrintedLine
from app.ingest.segments import heading_path

_MAX_CHARS = 120  # two printed lines
_LARGER = 1.12  # times the body size; 11 pt over 10 pt is rarely a heading, 12 over 10.5 is
_MAX_DEPTH = 6
_SENTENCE_END = re.compile(r"[.。,，;；:：、!！?？][”’」』）)\"']*$")
_NUMBERED = re.compile(
    r"^(?:\d{1,2}(?:\.\d{1,2}){0,3}[.)]?\s+\S|第[一二三四五六七八九十百零\d]{1,4}[章节条部分编]|[一二三四五六七八九十]{1,3}、)"
)
_WORD = re.compile(r"[^\W\d_]{2}|[\u2e80-\u9fff]")


class HeadingGuess:
    def __init__(self) -> None:
        self._chars_by_size: Counter[float] = Counter()
        self._bold_chars = 0
        self._body_size_pt = 0.0
        self._bold_is_rare = True
        self._stack: list[tuple[float, str]] = []  # (rank, text), outermost first, ranks falling
        self.path = ""  # the headings in force, as one line

    def learn(self, lines: Iterable[PrintedLine]) -> None:
        """Count the type sizes of one more page; the commonest is the body."""
        for line in lines:
            self._chars_by_size[line.size_pt] += len(line.text)
            if line.bold:
                self._bold_chars += len(line.text)
        if self._chars_by_size:
            self._body_size_pt = self._chars_by_size.most_common(1)[0][0]
        self._bold_is_rare = 4 * self._bold_chars < self._chars_by_size.total()

    def rank(self, line: PrintedLine) -> float:
        """0 for body text; else the heading's rank, higher = further out."""
        is_larger = line.size_pt >= _LARGER * self._body_size_pt
        is_marked = line.bold and self._bold_is_rare and line.size_pt >= 0.95 * self._body_size_pt
        if not (is_larger or is_marked) or not _may_be_heading(line):
            return 0.0
        ends_sentence = _SENTENCE_END.search(line.text) is not None
        if is_larger and not (ends_sentence and len(line.text) > _MAX_CHARS / 2):
            return line.size_pt + (0.5 if line.bold else 0.0)
        if is_marked and (not ends_sentence or _NUMBERED.match(line.text)):
            return line.size_pt + 0.5
        return 0.0

    def enter(self, rank: float, text: str) -> None:
        """Note a heading: `path` ends with it from here on."""
        while self._stack and self._stack[-1][0] <= rank:
            self._stack.pop()
        self._stack = [*self._stack[: _MAX_DEPTH - 1], (rank, text)]
        self.path = heading_path([text for _, text in self._stack])


def _may_be_heading(line: PrintedLine) -> bool:
    text = line.text
    return 1 < len(text) <= _MAX_CHARS and line.upright and "\t" not in text and _WORD.search(text) is not None
