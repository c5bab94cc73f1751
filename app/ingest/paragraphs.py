"""Group the printed lines of a page into paragraphs, list items, table rows and headings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.ingest.characters import is_wide, runs_on
from app.ingest.headings import HeadingGuess
from app.ingest.lines import PrintedBlock, PrintedLine

_ITEM = re.compile(
    r"(?:[•·▪◦●○■□➢✓*–—-]\s|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5}|[一二三四五六七八九十]{1,3})[.)、）]\s*\S"
    r"|第[一二三四五六七八九十百零\d]{1,4}[条款])"
)
_END_OF_SENTENCE = re.compile(r"[.!?:;。！？：；][”’」』）)\"']*$")
_SHORT_LAST_LINE = 0.85  # a line that ends a sentence left of this share of its block ends a paragraph
FULL_LINE_EM = 2.5  # a line of Chinese ends so close to the right edge unless it is a paragraph's last
_INDENT_EM = 0.9  # a line so far to the right of the one before, after a full stop, begins a paragraph
_MAX_LINE_GAP_EM = 1.8  # lines of one paragraph are not set further apart than that
_WHITE_BETWEEN = 0.5  # blocks with less white than this share of a line's height are set tight


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines that belong together. `rank` > 0: a heading. `apart`: white or a column stands before it."""

    lines: tuple[PrintedLine, ...]
    rank: float
    apart: bool


def paragraphs(blocks: Sequence[PrintedBlock], headings: HeadingGuess) -> Iterator[Paragraph]:
    """All lines of `blocks`, in order, none empty."""
    before: PrintedBlock | None = None
    for block in blocks:
        apart = before is None or not _is_tight(before, block)
        right, ranks = block.x1, [headings.rank(line) for line in block.lines]
        first = 0
        for at in range(1, len(block.lines) + 1):
            if at == len(block.lines) or ranks[at] != ranks[first] or _begins(block.lines, at, ranks[at], right):
                yield Paragraph(tuple(block.lines[first:at]), ranks[first], apart)
                first, apart = at, ranks[first] > 0 or (at < len(ranks) and ranks[at] > 0)
        before = block


def join_spaced(blocks: Sequence[PrintedBlock]) -> list[PrintedBlock]:
    """`blocks`, where one that goes on in the middle of a sentence joins the one above it.

    MuPDF makes a block of every line when lines are set far apart, as in letters and official Chinese documents.
    """
    joined: list[PrintedBlock] = []
    for block in blocks:
        if joined and _goes_on(joined[-1].lines[-1], block.lines[0]):
            joined[-1] = PrintedBlock(joined[-1].lines + block.lines)
        else:
            joined.append(block)
    return joined


def _goes_on(line: PrintedLine, following: PrintedLine) -> bool:
    em = line.size_pt
    gap = following.y0 - line.y1
    if not (
        line.upright and following.upright and -0.4 * em < gap < _MAX_LINE_GAP_EM * em and line.bold == following.bold
    ):
        return False
    if abs(line.size_pt - following.size_pt) > 0.3 or not -3 * em < following.x0 - line.x0 < 0.5 * em:
        return False
    if "\t" in line.text or "\t" in following.text or _END_OF_SENTENCE.search(line.text):
        return False
    if runs_on(line.text[-1], following.text[0]):
        return line.x1 > following.x1 - 2 * em and line.x1 - line.x0 > 8 * em
    return following.text[0].islower() and line.x1 - line.x0 > 12 * em


def _begins(lines: list[PrintedLine], at: int, rank: float, right: float) -> bool:
    """Whether line `at` begins a paragraph of its own inside its block."""
    if rank > 0:
        return False
    before, line = lines[at - 1], lines[at]
    if "\t" in line.text or "\t" in before.text or _ITEM.match(line.text):
        return True
    if is_wide(before.text[-1]) and before.upright and before.x1 < right - FULL_LINE_EM * before.size_pt:
        return True  # Chinese fills its lines, so a short one is the last
    if not _END_OF_SENTENCE.search(before.text):
        return False
    left = min(before.x0, lines[at - 2].x0 if at > 1 else before.x0)
    return before.x1 < _SHORT_LAST_LINE * right or line.x0 > left + _INDENT_EM * line.size_pt


def _is_tight(before: PrintedBlock, block: PrintedBlock) -> bool:
    last, first = before.lines[-1], block.lines[0]
    white = first.y0 - last.y1
    if "\t" in last.text and "\t" in first.text and abs(white) < 1.5 * first.height_pt:
        return True  # rows of a table
    return -0.5 * first.height_pt < white < _WHITE_BETWEEN * first.height_pt and abs(first.size_pt - last.size_pt) < 0.6
