"""Cut a page into chunks by its structure.

Whole segments (paragraphs, list items, rows) are packed up to a target; a heading starts a new chunk; a
segment too long for one chunk is cut between sentences, then between words. Chunks do not overlap.
Promise: every non-space character of the page is in exactly one chunk, chunks are in order, none is
longer than MAX_WIDTH + SMALL_WIDTH, and `chunk.text == page.text[chunk.start:chunk.end]`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from app.core.sentences import sentences
from app.core.values import Box, DraftChunk, PageText
from app.ingest.characters import width
from app.ingest.segments import Segment

TARGET_WIDTH = 900.0  # about 900 English or 400 Chinese characters: 3-5 sentences, one idea
MAX_WIDTH = 1.4 * TARGET_WIDTH  # a segment up to here stays whole
TINY_PAGE_WIDTH = 0.6 * TARGET_WIDTH  # a page up to here is one chunk, headings or not
SMALL_WIDTH = 0.25 * TARGET_WIDTH  # a rest below this joins its neighbour
RUNNING_HEAD_WIDTH = 120.0  # "Annual report 2025 | page 7" and the like
_WORD_WINDOW_CHARS = 80  # look so far back for a space before cutting inside a word


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    end: int
    width: float
    heading: str
    is_heading: bool


def cut(page: PageText, segments: Sequence[Segment]) -> tuple[DraftChunk, ...]:
    """The chunks of `page`, in order; empty for a page without text."""
    pieces = [piece for segment in segments for piece in _pieces(page.text, segment)]
    boxes = LineBoxes(page)
    return tuple(_chunk(page, boxes, group) for group in _join_small(_groups(pieces)))


class LineBoxes:
    """Which boxes a span of the page's text covers."""

    def __init__(self, page: PageText) -> None:
        self._lines = page.lines
        self._starts = [line.start for line in page.lines]
        self._ends = [line.end for line in page.lines]

    def between(self, start: int, end: int) -> tuple[Box, ...]:
        """The boxes of all lines that share a character with `start:end`."""
        first = bisect_right(self._ends, start)
        last = bisect_left(self._starts, end)
        return tuple(line.box for line in self._lines[first:last])


def _pieces(text: str, segment: Segment) -> Iterator[_Piece]:
    """The segment whole, or cut into pieces of at most TARGET_WIDTH when it is longer than MAX_WIDTH."""
    start, end = _trim(text, segment.start, segment.end)
    if start == end:
        return
    total = width(text[start:end])
    if total <= MAX_WIDTH:
        yield _Piece(start, end, total, segment.heading, segment.is_heading)
        return
    for low, high in _packed_sentences(text, start, end):
        yield _Piece(low, high, width(text[low:high]), segment.heading, False)


def _packed_sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Spans of whole sentences up to TARGET_WIDTH; a longer sentence is cut between words."""
    low = high = start
    used = 0.0
    for span in sentences(text[start:end]):
        a, b = start + span.start, start + span.end
        gap, size = a - high, width(text[a:b])
        if high > low and used + gap + size > TARGET_WIDTH:
            yield low, high
            low, used = a, size
        else:
            low, used = (a, size) if high == low else (low, used + gap + size)
        high = b
        if used > MAX_WIDTH:
            *whole, (low, high) = _cut_words(text, low, high)
            yield from whole
            used = width(text[low:high])
    if high > low:
        yield low, high


def _cut_words(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """`start:end` in spans of at most TARGET_WIDTH, cut at spaces where there are any."""
    while (stop := _stop(text, start, end)) < end:
        window = stop - _WORD_WINDOW_CHARS
        space = max(text.rfind(" ", window, stop), text.rfind("\n", window, stop))
        low, high = _trim(text, start, space if space > start else stop)
        if low < high:
            yield low, high
        start = _trim(text, max(high, start + 1), end)[0]
    yield start, end


def _stop(text: str, start: int, end: int) -> int:
    """The furthest stop with width(text[start:stop]) <= TARGET_WIDTH."""
    low, high = start + 1, min(end, start + int(TARGET_WIDTH))
    while low < high:
        middle = (low + high + 1) // 2
        if width(text[start:middle]) <= TARGET_WIDTH:
            low = middle
        else:
            high = middle - 1
    return low


def _groups(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    """Neighbours packed up to TARGET_WIDTH; a heading begins a new group unless only headings stand before it.

    A page of at most TINY_PAGE_WIDTH (a slide, a title page) is one group.
    """
    if not pieces:
        return
    if _span_width(pieces) <= TINY_PAGE_WIDTH:
        yield list(pieces)
        return
    group = [pieces[0]]
    for piece in pieces[1:]:
        only_headings = all(p.is_heading for p in group)
        limit = MAX_WIDTH if _span_width(group) < SMALL_WIDTH else TARGET_WIDTH  # a heading keeps what is below it
        if (piece.is_heading and not only_headings) or _span_width([*group, piece]) > limit:
            yield group
            group = []
        group.append(piece)
    yield group


def _join_small(groups: Iterable[list[_Piece]]) -> Iterator[list[_Piece]]:
    """Small rests join a neighbour on the page when both together stay small enough."""
    waiting: list[_Piece] = []
    is_first = True
    for group in groups:
        if waiting and _may_join(waiting, group, is_first):
            waiting = waiting + group
            continue
        if waiting:
            yield waiting
            is_first = False
        waiting = group
    if waiting:
        yield waiting


def _may_join(before: list[_Piece], group: list[_Piece], before_is_first: bool) -> bool:
    """Rests join what they belong to; a section of its own joins a tiny one, or the running head of the page."""
    if _span_width(before + group) > TARGET_WIDTH + SMALL_WIDTH:
        return False
    smaller, larger = sorted((_span_width(before), _span_width(group)))
    if group[0].is_heading:
        is_running_head = before_is_first and _span_width(before) < RUNNING_HEAD_WIDTH
        return is_running_head or larger < SMALL_WIDTH
    return smaller < SMALL_WIDTH


def _span_width(group: Sequence[_Piece]) -> float:
    """The width from the first character to the last; white space between pieces counts 1 a character."""
    gaps = group[-1].end - group[0].start - sum(p.end - p.start for p in group)
    return gaps + sum(p.width for p in group)


def _chunk(page: PageText, boxes: LineBoxes, group: list[_Piece]) -> DraftChunk:
    start, end = group[0].start, group[-1].end
    heading = next((p.heading for p in group if not p.is_heading), group[-1].heading)
    return DraftChunk(page.page_no, start, end, page.text[start:end], heading, boxes.between(start, end))


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
