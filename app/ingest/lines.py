"""Printed lines of a PDF page, from what MuPDF found.

MuPDF gives blocks of lines; cells of one table row, and letters set one by one, come as lines of their own. Here they
become printed lines: clean text, a box on the page as displayed, the size and weight of the type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from app.ingest.characters import clean, is_wide
from app.ingest.mupdf_json import FoundLine, FoundPage

Matrix: TypeAlias = tuple[float, float, float, float, float, float]

_SAME_ROW_OVERLAP = 0.6  # of the smaller one's height
_OVERLAP_EM = 1.6  # letters set one by one with a space behind each overlap by up to so much
_LETTER_GAP_EM = 0.6  # Chinese letters with less between them are one word
_COLUMN_GAP_EM = 1.0  # a wider gap than this between cells becomes a tab, a narrower one a space
_MARK_CHARS, _MARK_GAP_EM = 5, 3.5  # "(c)", "2.1": marks of items and headings stand further from their text
_TURNED_EM = 1.9  # a line of several letters that is taller than this does not run left to right


@dataclass(slots=True)
class PrintedLine:
    """One line as printed; `text` is clean and stripped. Mutable, because table cells are appended to it."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    size_pt: float
    bold: bool
    upright: bool  # runs left to right; False for turned and vertical lines
    vertical: bool  # runs top to bottom, as Chinese and Japanese can
    last_x0: float  # where the last cell of the line begins

    @property
    def height_pt(self) -> float:
        return self.y1 - self.y0


class PrintedBlock:
    """Lines that MuPDF sees as one paragraph or column; never empty. The box is that of its lines."""

    __slots__ = ("lines", "x0", "x1", "y0", "y1")

    def __init__(self, lines: list[PrintedLine]) -> None:
        self.lines = lines
        self.x0 = min([line.x0 for line in lines])
        self.y0 = min([line.y0 for line in lines])
        self.x1 = max([line.x1 for line in lines])
        self.y1 = max([line.y1 for line in lines])


class PageFrame:
    """The page as displayed: how large it is, and how to get there from unrotated points (None: not rotated)."""

    def __init__(self, width_pt: float, height_pt: float, to_display: Matrix | None) -> None:
        self.width_pt = width_pt
        self.height_pt = height_pt
        self._to_display = to_display

    def place(self, line: FoundLine) -> tuple[float, float, float, float] | None:
        """The line's box in displayed points, cut at the edges of the page; None when all of it is outside."""
        box, scale = line.bbox, FoundPage.UNITS_PER_PT
        x0, y0 = box.x / scale, box.y / scale
        x1, y1 = x0 + box.w / scale, y0 + box.h / scale
        if self._to_display is not None:
            a, b, c, d, e, f = self._to_display
            xs, ys = (a * x0 + c * y0 + e, a * x1 + c * y1 + e), (b * x0 + d * y0 + f, b * x1 + d * y1 + f)
            x0, x1, y0, y1 = min(xs), max(xs), min(ys), max(ys)
        if 0.0 <= x0 <= x1 <= self.width_pt and 0.0 <= y0 <= y1 <= self.height_pt:
            return x0, y0, x1, y1
        if not (x0 < self.width_pt and x1 > 0.0 and y0 < self.height_pt and y1 > 0.0):
            return None
        return max(x0, 0.0), max(y0, 0.0), min(x1, self.width_pt), min(y1, self.height_pt)


def printed_blocks(found: FoundPage, frame: PageFrame) -> list[PrintedBlock]:
    """The text blocks of a page in MuPDF's order, all boxes on the page."""
    blocks = []
    for block in found.blocks:
        lines: list[PrintedLine] = []
        for raw in block.lines:
            line = _printed_line(raw, frame)
            if line is not None and not (lines and _append_cell(lines[-1], line)):
                lines.append(line)
        if lines:
            blocks.append(PrintedBlock(lines))
    return blocks


def join_rows(blocks: Sequence[PrintedBlock]) -> list[PrintedBlock]:
    """`blocks`, where a block that goes on in the row where the one before it ended becomes part of it."""
    joined: list[PrintedBlock] = []
    for block in blocks:
        if joined and len(block.lines) == 1 and _append_cell(joined[-1].lines[-1], block.lines[0]):
            joined[-1] = PrintedBlock(joined[-1].lines)
        else:
            joined.append(block)
    return joined


def _printed_line(raw: FoundLine, frame: PageFrame) -> PrintedLine | None:
    text = raw.text
    if not (text.isascii() and text.isprintable()):
        text = clean(_hyphen_shown(text)).replace("\n", " ").replace("\t", " ")
    text = text.strip()
    if not text:
        return None
    placed = frame.place(raw)
    if placed is None:
        return None
    x0, y0, x1, y1 = placed
    size_pt = raw.font.size / FoundPage.UNITS_PER_PT
    vertical = raw.wmode == 1
    upright = not vertical and (y1 - y0 < _TURNED_EM * size_pt or len(text) == 1)
    return PrintedLine(text, x0, y0, x1, y1, round(size_pt, 1), raw.font.weight == "bold", upright, vertical, x0)


def _hyphen_shown(text: str) -> str:
    """A soft hyphen at the end of a line is printed, so it counts; elsewhere `clean` removes it."""
    return text.rstrip("\u00ad \n") + "-" if text.rstrip().endswith("\u00ad") else text


def _append_cell(row: PrintedLine, cell: PrintedLine) -> bool:
    """Append `cell` to `row` when it goes on in the same row (or the same vertical column). False when not."""
    if row.vertical and cell.vertical:
        gap = cell.y0 - row.y1
        if not _shares(row.x0, row.x1, cell.x0, cell.x1) or not -0.3 * cell.size_pt < gap < cell.size_pt:
            return False
    elif row.upright and cell.upright:
        gap = cell.x0 - row.x1
        if not _is_to_the_right(row, cell) or not _shares(row.y0, row.y1, cell.y0, cell.y1):
            return False
    else:
        return False
    row.text += _between(row, cell, gap) + cell.text
    row.x0, row.y0 = min(row.x0, cell.x0), min(row.y0, cell.y0)
    row.x1, row.y1 = max(row.x1, cell.x1), max(row.y1, cell.y1)
    row.bold, row.last_x0 = row.bold and cell.bold, cell.x0
    return True


def _is_to_the_right(row: PrintedLine, cell: PrintedLine) -> bool:
    """Boxes of letters set one by one overlap (each has a space behind it); text printed twice does not move on."""
    overlap_em = _OVERLAP_EM if len(cell.text) <= 2 else 0.2
    return cell.x0 >= row.x1 - overlap_em * cell.size_pt and cell.x0 > row.last_x0 + 0.4 * cell.size_pt


def _shares(low: float, high: float, other_low: float, other_high: float) -> bool:
    shared = min(high, other_high) - max(low, other_low)
    return shared > 0 and shared >= _SAME_ROW_OVERLAP * min(high - low, other_high - other_low)


def _between(row: PrintedLine, cell: PrintedLine, gap: float) -> str:
    """What stands between the two: a tab between columns, a space between words, nothing between Chinese letters."""
    column_gap_em = _COLUMN_GAP_EM if len(row.text) > _MARK_CHARS else _MARK_GAP_EM
    if gap > column_gap_em * cell.size_pt and not row.vertical:
        return "\t"
    both_wide = is_wide(row.text[-1]) and is_wide(cell.text[0])
    if row.vertical or (both_wide and gap < _LETTER_GAP_EM * cell.size_pt):
        return ""
    return "" if abs(gap) < 0.1 * cell.size_pt else " "
