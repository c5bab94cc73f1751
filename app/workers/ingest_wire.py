"""How a page travels from the ingest child to the parent: packed by the child, checked and unpacked here.

Positions travel as packed numbers in the frame's body, because JSON would cost more than reading the page did.
Body: line spans (2 x u32 a line), line boxes (4 x f32), chunks (start, end, heading index: 3 x u32), text in UTF-8;
all little-endian. A chunk's text and boxes are not sent: the parent takes them from the page.
Promise of `unpack_page`: whatever bytes come, the result keeps every promise of core.values, or CHILD_LIED is raised.
"""

from __future__ import annotations

import math
import re
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias

import msgspec

from app.core.errors import ErrorCode, Fact, JingyanError, Reason
from app.core.limits import MAX_CHUNK_CHARS, MAX_LINES_PER_PAGE, MAX_PAGE_PX, MAX_PAGE_TEXT_CHARS, MAX_PAGES
from app.core.ports import DocumentOpened, PageRead
from app.core.values import Box, DocumentKind, DraftChunk, PageImage, PageProblem, PageText, TextLine
from app.workers.protocol import JsonValue, Reply, checked

_MAX_PAGE_PT = 1_000_000.0  # PDF 2.0 allows 14,400 units of up to 72 points each
_SLACK_PT = 0.05  # boxes travel as float32, page sizes as float64
_FORBIDDEN = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # all control characters but newline and tab

_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]
_Line: TypeAlias = Annotated[str, msgspec.Meta(max_length=300)]
_PageNo: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGES)]
_Points: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=_MAX_PAGE_PT)]
_FactName: TypeAlias = Annotated[str, msgspec.Meta(max_length=40)]
_Facts: TypeAlias = Annotated[dict[_FactName, _Line | int | float], msgspec.Meta(max_length=8)]


class WireProblem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a page is missing, or has less than it should."""

    code: ErrorCode
    facts: _Facts = {}


class WirePage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    page_no: _PageNo
    label: _Line
    width_pt: _Points
    height_pt: _Points
    lines: Annotated[int, msgspec.Meta(ge=0, le=MAX_LINES_PER_PAGE)]
    chunks: _Count
    headings: Annotated[list[_Line], msgspec.Meta(max_length=10_000)]
    problem: WireProblem | None = None


class WireMissingPage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    page_no: _PageNo
    problem: WireProblem


class WireOpened(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: DocumentKind
    title: _Line
    page_count: _PageNo


class WireImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    page_no: _PageNo
    width_px: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE_PX)]
    height_px: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE_PX)]
    width_pt: _Points
    height_pt: _Points


# What may be wrong with a single page; any other code in that place is a lie.
_OF_A_PAGE = frozenset({ErrorCode.PAGE_BROKEN, ErrorCode.PAGE_NO_TEXT, ErrorCode.TOO_MUCH_TEXT})


# ---- child side ------------------------------------------------------------------------------
def wire_problem(reason: Reason) -> WireProblem:
    return WireProblem(reason.code, dict(reason.facts))


def pack_page(read: PageRead, problem: PageProblem | None) -> tuple[WirePage, bytes]:
    """The page as header value and body."""
    page, chunks = read.page, read.chunks
    headings = list(dict.fromkeys(chunk.heading for chunk in chunks))
    number_of = {heading: number for number, heading in enumerate(headings)}
    spans: list[int] = []
    boxes: list[float] = []
    for line in page.lines:
        spans += (line.start, line.end)
        boxes += (line.box.x0, line.box.y0, line.box.x1, line.box.y1)
    cuts: list[int] = []
    for chunk in chunks:
        cuts += (chunk.start, chunk.end, number_of[chunk.heading])
    numbers = struct.pack(f"<{len(spans)}I{len(boxes)}f{len(cuts)}I", *spans, *boxes, *cuts)
    header = WirePage(
        page.page_no,
        page.label,
        page.width_pt,
        page.height_pt,
        len(page.lines),
        len(chunks),
        headings,
        wire_problem(problem.reason) if problem is not None else None,
    )
    return header, numbers + page.text.encode()


# ---- parent side -----------------------------------------------------------------------------
def unpack_opened(untrusted_value: JsonValue) -> DocumentOpened:
    opened = checked(untrusted_value, WireOpened)
    return DocumentOpened(opened.kind, _clean(opened.title), opened.page_count)


def unpack_missing(untrusted_value: JsonValue, expected_page: int) -> PageProblem:
    missing = checked(untrusted_value, WireMissingPage)
    _require(missing.page_no == expected_page)
    return _problem(missing.page_no, missing.problem)


def unpack_page(untrusted_value: JsonValue, body: bytes, expected_page: int) -> tuple[PageRead, PageProblem | None]:
    """The page, and what is wrong with it. Raises CHILD_LIED."""
    wire = checked(untrusted_value, WirePage)
    _require(wire.page_no == expected_page)
    numbers = struct.Struct(f"<{2 * wire.lines}I{4 * wire.lines}f{3 * wire.chunks}I")
    _require(len(body) >= numbers.size)
    values = numbers.unpack_from(body)
    text = _text(body[numbers.size :])
    boxes = _boxes(values[2 * wire.lines : 6 * wire.lines], wire.width_pt, wire.height_pt)
    lines = _lines(values[: 2 * wire.lines], boxes, len(text))
    page = PageText(wire.page_no, _clean(wire.label), wire.width_pt, wire.height_pt, text, lines)
    chunks = _chunks(page, values[6 * wire.lines :], [_clean(heading) for heading in wire.headings])
    problem = _problem(wire.page_no, wire.problem) if wire.problem is not None else None
    if problem is None and not text.strip():
        problem = PageProblem(wire.page_no, Reason(ErrorCode.PAGE_NO_TEXT, {"page_no": wire.page_no}))
    return PageRead(page, chunks), problem


def unpack_image(reply: Reply, page_no: int) -> PageImage:
    """The rendered page. Raises CHILD_LIED."""
    wire = checked(reply.value, WireImage)
    pixels = wire.width_px * wire.height_px
    _require(wire.page_no == page_no and pixels <= MAX_PAGE_PX and len(reply.body) == 3 * pixels)
    return PageImage(page_no, wire.width_px, wire.height_px, wire.width_pt, wire.height_pt, reply.body)


def _text(untrusted_utf8: bytes) -> str:
    try:
        text = untrusted_utf8.decode()
    except UnicodeDecodeError as e:
        raise JingyanError(ErrorCode.CHILD_LIED) from e
    _require(len(text) <= MAX_PAGE_TEXT_CHARS)
    return _clean(text)


def _clean(text: str) -> str:
    _require(_FORBIDDEN.search(text) is None)
    return text


def _boxes(numbers: Sequence[float], width_pt: float, height_pt: float) -> list[Box]:
    boxes = []
    right, bottom = width_pt + _SLACK_PT, height_pt + _SLACK_PT
    values = iter(numbers)
    for x0, y0, x1, y1 in zip(values, values, values, values, strict=True):
        # Written so that a NaN fails: every comparison with it is false.
        _require(0.0 <= x0 <= x1 <= right and 0.0 <= y0 <= y1 <= bottom)
        boxes.append(Box(x0, y0, x1, y1))
    return boxes


def _lines(spans: Sequence[int], boxes: Sequence[Box], text_chars: int) -> tuple[TextLine, ...]:
    lines = []
    reached = 0
    values = iter(spans)
    for start, end, box in zip(values, values, boxes, strict=True):
        _require(reached <= start < end <= text_chars)
        lines.append(TextLine(start, end, box))
        reached = end
    return tuple(lines)


def _chunks(page: PageText, cuts: Sequence[int], headings: Sequence[str]) -> tuple[DraftChunk, ...]:
    starts, ends = [line.start for line in page.lines], [line.end for line in page.lines]
    chunks = []
    reached = 0
    values = iter(cuts)
    for start, end, heading in zip(values, values, values, strict=True):
        _require(reached <= start < end <= len(page.text) and end - start <= MAX_CHUNK_CHARS)
        _require(heading < len(headings))
        covered = page.lines[bisect_right(ends, start) : bisect_left(starts, end)]
        boxes = tuple(line.box for line in covered)
        chunks.append(DraftChunk(page.page_no, start, end, page.text[start:end], headings[heading], boxes))
        reached = end
    return tuple(chunks)


def _problem(page_no: int, problem: WireProblem) -> PageProblem:
    _require(problem.code in _OF_A_PAGE)
    facts: Mapping[str, Fact] = problem.facts
    for name, fact in facts.items():
        _clean(name)
        _require(bool(_clean(fact) or True) if isinstance(fact, str) else math.isfinite(fact))
    return PageProblem(page_no, Reason(problem.code, facts))


def _require(condition: bool) -> None:
    if not condition:
        raise JingyanError(ErrorCode.CHILD_LIED)
