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
from itertools import pairwise

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


@dataclass(slots=True)
class _Piece:
    """Characters `start:end`, trimmed, on their way to be a chunk. `width` runs from the first to the last of them;
    white space between joined pieces counts 1 a character."""

    start: int
    end: int
    width: float
    heading: str
    begins_with_heading: bool
    only_headings: bool

    def width_with(self, following: _Piece) -> float:
        return self.width + (following.start - self.end) + following.width

    def join(self, following: _Piece) -> None:
        self.width = self.width_with(following)
        self.end = following.end
        if self.only_headings:
            self.heading = following.heading
        self.only_headings = self.only_headings and following.only_headings


def cut(page: PageText, segments: Sequence[Segment]) -> tuple[DraftChunk, ...]:
    """The chunks of `page`, in order; empty for a page without text."""
    pieces = [piece for segment in segments for piece in _pieces(page.text, segment)]
    boxes = LineBoxes(page)
    return tuple(
        DraftChunk(
            page.page_no,
            piece.start,
            piece.end,
            page.text[piece.start : piece.end],
            piece.heading,
            boxes.between(piece.start, piece.end),
        )
        for piece in _join_small(_packed(pieces))
    )


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
        yield _Piece(start, end, total, segment.heading, segment.is_heading, segment.is_heading)
        return
    for low, high in _packed_sentences(text, start, end):
        yield _Piece(low, high, width(text[low:high]), segment.heading, False, False)


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


def _packed(pieces: Sequence[_Piece]) -> Iterator[_Piece]:
    """Neighbours joined up to TARGET_WIDTH; a heading begins anew unless only headings stand before it.

    A page of at most TINY_PAGE_WIDTH (a slide, a title page) becomes one piece.
    """
    if not pieces:
        return
    whole_width = sum(p.width for p in pieces) + sum(b.start - a.end for a, b in pairwise(pieces))
    is_tiny = whole_width <= TINY_PAGE_WIDTH
    current = pieces[0]
    for piece in pieces[1:]:
        limit = MAX_WIDTH if current.width < SMALL_WIDTH else TARGET_WIDTH  # a heading keeps what is below it
        begins_section = piece.only_headings and not current.only_headings
        if is_tiny or not (begins_section or current.width_with(piece) > limit):
            current.join(piece)
        else:
            yield current
            current = piece
    yield current


def _join_small(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """Small rests join a neighbour on the page when both together stay small enough."""
    waiting: _Piece | None = None
    is_first = True
    for piece in pieces:
        if waiting is None:
            waiting = piece
        elif _may_join(waiting, piece, is_first):
            waiting.join(piece)
        else:
            yield waiting
            waiting, is_first = piece, False
    if waiting is not None:
        yield waiting


def _may_join(before: _Piece, piece: _Piece, before_is_first: bool) -> bool:
    """Rests join what they belong to; a section of its own joins a tiny one, or the running head of the page."""
    if before.width_with(piece) > TARGET_WIDTH + SMALL_WIDTH:
        return False
    if piece.begins_with_heading:
        is_running_head = before_is_first and before.width < RUNNING_HEAD_WIDTH
        return is_running_head or max(before.width, piece.width) < SMALL_WIDTH
    return min(before.width, piece.width) < SMALL_WIDTH


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
