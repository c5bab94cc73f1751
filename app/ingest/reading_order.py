"""Put the blocks of a page in the order a person reads them.

A PDF's own order is nearly always that order already (also in columns), so it is kept unless it jumps up
again and again inside one column; only then the page is cut recursively at its white gaps (XY-cut).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from app.ingest.lines import PrintedBlock

_MIN_GUTTER_PT = 7.0  # columns are set at least so far apart
_MIN_COLUMN_SHARE = 0.22  # a column's blocks are at least so wide, as a share of the region; narrower = table cells
_MAX_SORTED_BLOCKS = 2_000  # XY-cut is quadratic at worst; pages with more blocks are drawings


def in_reading_order(blocks: Sequence[PrintedBlock]) -> list[PrintedBlock]:
    """The same blocks, sorted only when their order is plainly not the reading order."""
    if len(blocks) > _MAX_SORTED_BLOCKS or not _is_jumbled(blocks):
        return list(blocks)
    return _xy_cut(list(blocks))


def _is_jumbled(blocks: Sequence[PrintedBlock]) -> bool:
    """More than one block in eight (and more than one at all) goes up within its own column."""
    backward = 0
    for before, block in pairwise(blocks):
        shared = min(before.x1, block.x1) - max(before.x0, block.x0)
        narrower = min(before.x1 - before.x0, block.x1 - block.x0)
        if block.y1 <= before.y0 + 1 and shared > 0.3 * narrower:
            backward += 1
    return backward > max(1, len(blocks) // 8)


def _xy_cut(blocks: list[PrintedBlock]) -> list[PrintedBlock]:
    """Cut at a column gutter if there is one, else at the widest white band; recurse; else top to bottom."""
    pending, ordered = [blocks], []
    while pending:
        region = pending.pop()
        parts = _columns(region) or _bands(region)
        if parts is None:
            ordered += sorted(region, key=lambda b: (b.y0, b.x0))
        else:
            pending += reversed(parts)
    return ordered


def _columns(region: list[PrintedBlock]) -> tuple[list[PrintedBlock], list[PrintedBlock]] | None:
    gap = _widest_gap(region, lambda b: b.x0, lambda b: b.x1)
    if gap is None or gap[1] - gap[0] < _MIN_GUTTER_PT:
        return None
    left = [b for b in region if b.x1 <= gap[0]]
    right = [b for b in region if b.x1 > gap[0]]
    region_width = max(b.x1 for b in region) - min(b.x0 for b in region)
    if any(max(b.x1 - b.x0 for b in part) < _MIN_COLUMN_SHARE * region_width for part in (left, right)):
        return None
    return left, right


def _bands(region: list[PrintedBlock]) -> tuple[list[PrintedBlock], list[PrintedBlock]] | None:
    gap = _widest_gap(region, lambda b: b.y0, lambda b: b.y1)
    if gap is None:
        return None
    return [b for b in region if b.y1 <= gap[0]], [b for b in region if b.y1 > gap[0]]


def _widest_gap(
    region: list[PrintedBlock], low: Callable[[PrintedBlock], float], high: Callable[[PrintedBlock], float]
) -> tuple[float, float] | None:
    """The widest interval that no block covers, between the first and the last block; None when there is none."""
    best: tuple[float, float] | None = None
    reach = None
    for block in sorted(region, key=low):
        if reach is not None and low(block) > reach and (best is None or low(block) - reach > best[1] - best[0]):
            best = (reach, low(block))
        reach = high(block) if reach is None else max(reach, high(block))
    return best
