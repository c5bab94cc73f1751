"""From printed blocks to the text of a page, its lines with exact offsets, and its segments.

Lines follow each other with a newline, paragraphs with a blank line where there is white between them.
A word hyphenated at the end of a line is put together again, and so are lines of Chinese, so that words can be
found: there the two lines abut in the text. Promise: `text[line.start:line.end]` is what is printed on that line
(less such a hyphen).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.core.limits import MAX_LINES_PER_PAGE, MAX_PAGE_TEXT_CHARS
from app.core.values import Box, TextLine
from app.ingest.characters import runs_on
from app.ingest.headings import HeadingGuess
from app.ingest.lines import PrintedBlock, PrintedLine
from app.ingest.paragraphs import FULL_LINE_EM, Paragraph, paragraphs
from app.ingest.segments import Segment

_WORD_HYPHENATED = re.compile(r"([^\W\d_]{2,})[-\u2010]$")
_WORD_AT_START = re.compile(r"[^\W\d_]{2,}")
# Second halves that follow a real hyphen ("cloud-based"), and never end a word that was only broken.
_COMPOUND_TAIL = re.compile(
    "(?:based|quality|related|specific|oriented|driven|term|level|efficient|known|looking|party|sized|scale)$"
)
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class LaidOutText:
    text: str
    lines: tuple[TextLine, ...]
    segments: tuple[Segment, ...]
    is_cut: bool  # True when the page held more than the limits allow


def lay_out(blocks: Sequence[PrintedBlock], headings: HeadingGuess) -> LaidOutText:
    """The page as text. `headings` learns from the page and is moved on by the headings on it."""
    headings.learn(line for block in blocks for line in block.lines)
    page = _Composer(_Vocabulary(blocks))
    for paragraph in paragraphs(blocks, headings):
        if not page.has_room_for(paragraph):
            return page.finished(is_cut=True)
        start = page.add(paragraph)
        if paragraph.rank > 0:
            headings.enter(paragraph.rank, " ".join(line.text for line in paragraph.lines))
        page.close_segment(start, headings.path, paragraph.rank > 0)
    return page.finished(is_cut=False)


class _Vocabulary:
    """How often each word stands on the page; counted only when a hyphen at the end of a line asks for it."""

    def __init__(self, blocks: Sequence[PrintedBlock]) -> None:
        self._blocks = blocks
        self._counts: Counter[str] | None = None

    def count(self, word: str) -> int:
        if self._counts is None:
            text = "\n".join(line.text for block in self._blocks for line in block.lines)
            self._counts = Counter(_WORD.findall(text.lower()))
        return self._counts[word]


class _Composer:
    """Text that grows line by line, with the offsets of each line and segment."""

    def __init__(self, vocabulary: _Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._parts: list[str] = []
        self._length = 0
        self._lines: list[TextLine] = []
        self._segments: list[Segment] = []

    def has_room_for(self, paragraph: Paragraph) -> bool:
        chars = self._length + sum(len(line.text) + 2 for line in paragraph.lines)
        return chars <= MAX_PAGE_TEXT_CHARS and len(self._lines) + len(paragraph.lines) <= MAX_LINES_PER_PAGE

    def add(self, paragraph: Paragraph) -> int:
        """Append the paragraph; where it starts."""
        if self._parts:
            self._append("\n\n" if paragraph.apart else "\n")
        start = self._length
        right = max(line.x1 for line in paragraph.lines)
        for line, following in zip(paragraph.lines, (*paragraph.lines[1:], None), strict=True):
            text, joins = self._without_hyphen(line.text, following)
            joins = joins or (following is not None and _runs_on(line, following, right))
            self._lines.append(TextLine(self._length, self._length + len(text), _box(line)))
            self._append(text)
            if following is not None and not joins:
                self._append("\n")
        return start

    def close_segment(self, start: int, heading: str, is_heading: bool) -> None:
        self._segments.append(Segment(start, self._length, heading, is_heading))

    def finished(self, *, is_cut: bool) -> LaidOutText:
        return LaidOutText("".join(self._parts), tuple(self._lines), tuple(self._segments), is_cut)

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

    def _without_hyphen(self, text: str, following: PrintedLine | None) -> tuple[str, bool]:
        """The line's text as it enters the page, and whether the next line goes on inside its last word.

        A hyphen between two words that the page also has elsewhere is a real one ("long-term") and stays.
        """
        if following is None or text[-1] not in "-\u2010":
            return text, False
        head, tail = _WORD_HYPHENATED.search(text), _WORD_AT_START.match(following.text)
        if head is None or tail is None or not tail[0].islower():
            return text, False
        left, right = head[1].lower(), tail[0]
        return (text if self._is_compound(left, right) else text[:-1]), True

    def _is_compound(self, left: str, right: str) -> bool:
        count = self._vocabulary.count
        if count(left + right) > 0:
            return False
        return _COMPOUND_TAIL.match(right) is not None or (count(left) > 1 and count(right) > 1)  # 1 is this very place


def _runs_on(line: PrintedLine, following: PrintedLine, right: float) -> bool:
    """A full line of Chinese goes on in the next one without a space."""
    is_full = line.x1 >= right - FULL_LINE_EM * line.size_pt or line.vertical
    return is_full and runs_on(line.text[-1], following.text[0])


def _box(line: PrintedLine) -> Box:
    return Box(line.x0, line.y0, line.x1, line.y1)
