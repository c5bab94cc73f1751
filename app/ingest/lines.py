"""Printed lines of a PDF page, from what MuPDF found.

MuPDF gives blocks of lines of spans; cells of one table row come as lines of their own. Here they become
printed lines: clean text, a box on the page as displayed, the size and weight of the type.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from app.ingest.characters import clean, is_wide

# What TextPage.extractDICT gives: nested dicts and lists of MuPDF's making, with no types of their own.
MuPdfPage: TypeAlias = Mapping[str, Any]
Matrix: TypeAlias = tuple[float, float, float, float, float, float]

_BOLD = 16  # span flag, see PyMuPDF's TextPage documentation
_SAME_ROW_OVERLAP = 0.6  # of the smaller one's height
_OVERLAP_EM = 1.6  # letters set one by one with a space behind each overlap by up to so much
_LETTER_GAP_EM = 0.6  # Chinese letters with less between them are one word
_COLUMN_GAP_EM = 1.0  # a wider gap than this between cells becomes a tab, a narrower one a space


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
    upright: bool  # written left to right; False for rotated and vertical lines
    vertical: bool  # written top to bottom, as Chinese and Japanese can be
    last_x0: float = 0.0  # where the last cell of the line begins

    @property
    def height_pt(self) -> float:
        return self.y1 - self.y0


@dataclass(slots=True)
class PrintedBlock:
    """Lines that MuPDF sees as one paragraph or column; never empty."""

    lines: list[PrintedLine]

    @property
    def x0(self) -> float:
        return min(line.x0 for line in self.lines)

    @property
    def y0(self) -> float:
        return min(line.y0 for line in self.lines)

    @property
    def x1(self) -> float:
        return max(line.x1 for line in self.lines)

    @property
    def y1(self) -> float:
        return max(line.y1 for line in self.lines)


def printed_blocks(
    found: MuPdfPage, to_display: Matrix | None, width_pt: float, height_pt: float
) -> list[PrintedBlock]:
    """The text blocks of a page in MuPDF's order, boxes inside (0, 0, width_pt, height_pt).

    `to_display` maps unrotated to displayed points; None when the page is not rotated.
    """
    blocks = []
    for block in found["blocks"]:
        lines: list[PrintedLine] = []
        for raw in block.get("lines", ()):
            line = _printed_line(raw, to_display, width_pt, height_pt)
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
            continue
        joined.append(block)
    return joined


def _printed_line(raw: MuPdfPage, to_display: Matrix | None, width_pt: float, height_pt: float) -> PrintedLine | None:
    spans = raw["spans"]
    text = clean(_hyphen_shown("".join([span["text"] for span in spans]))).replace("\n", " ").strip()
    if not text:
        return None
    x0, y0, x1, y1 = _displayed(raw["bbox"], to_display)
    if not math.isfinite(x0 + y0 + x1 + y1):
        x0 = y0 = x1 = y1 = 0.0
    widest = max(spans, key=lambda span: len(span["text"]))
    cos, sin = raw["dir"]
    if to_display is not None:
        cos, sin = cos * to_display[0] + sin * to_display[2], cos * to_display[1] + sin * to_display[3]
    return PrintedLine(
        text,
        x0=min(max(x0, 0.0), width_pt),
        y0=min(max(y0, 0.0), height_pt),
        x1=min(max(x1, 0.0), width_pt),
        y1=min(max(y1, 0.0), height_pt),
        size_pt=round(widest["size"], 1),
        bold=bool(widest["flags"] & _BOLD),
        upright=cos > 0.99 and raw["wmode"] == 0,
        vertical=sin > 0.99 and raw["wmode"] == 1,
        last_x0=x0,
    )


def _displayed(box: tuple[float, float, float, float], matrix: Matrix | None) -> tuple[float, float, float, float]:
    if matrix is None:
        return box
    a, b, c, d, e, f = matrix
    xs = (a * box[0] + c * box[1] + e, a * box[2] + c * box[3] + e)
    ys = (b * box[0] + d * box[1] + f, b * box[2] + d * box[3] + f)
    return min(xs), min(ys), max(xs), max(ys)


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
        if not _shares(row.y0, row.y1, cell.y0, cell.y1) or not _is_to_the_right(row, cell):
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
    if row.vertical or gap < _LETTER_GAP_EM * cell.size_pt:
        touching = gap < 0.1 * cell.size_pt or (is_wide(row.text[-1]) and is_wide(cell.text[0]))
        return "" if touching and (gap > -0.1 * cell.size_pt or is_wide(cell.text[0])) else " "
    return "\t" if gap > _COLUMN_GAP_EM * cell.size_pt else " "
