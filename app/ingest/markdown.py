"""Read Markdown as its source: the text stays as written, headings name what is below them.

Not a renderer. It knows ATX and underlined headings, fenced code (where "#" is no heading), lists, and YAML
front matter (kept as text, its `title` becomes the document's).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from app.core.errors import ErrorCode, JingyanError
from app.core.limits import MAX_PAGES
from app.core.values import DocumentKind
from app.ingest.segments import Segment, SegmentedPage, heading_path
from app.ingest.text import no_text, page_of, plain_text, runs_of_lines

_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\S")
_FRONT_MATTER_TITLE = re.compile(r"^title:[ \t]*[\"']?(.+?)[\"']?[ \t]*$", re.MULTILINE)
_INLINE_MARKS = re.compile(r"[*_`]+|!?\[([^\]]*)\]\([^)]*\)")
_MAX_FRONT_MATTER_CHARS = 20_000
_MAX_TITLE_CHARS = 300


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines `start:end` of the document that belong together; `level` 1-6 for a heading, else 0."""

    start: int
    end: int
    level: int
    title: str = ""


class MarkdownDocument:
    """An open Markdown file. `page_count` is at least 1."""

    kind = DocumentKind.MARKDOWN

    def __init__(self, content: bytes) -> None:
        """Raises KIND_UNSUPPORTED, TOO_MUCH_TEXT or TOO_MANY_PAGES."""
        self._text = plain_text(content)
        self._runs = runs_of_lines(self._text)
        if len(self._runs) > MAX_PAGES:
            raise JingyanError(ErrorCode.TOO_MANY_PAGES, page_count=len(self._runs), limit=MAX_PAGES)
        self.page_count = len(self._runs)
        body = _front_matter_end(self._text)
        blocks = list(_blocks(self._text, body))
        self.title = _title(self._text[:body], blocks)
        self._segments = _with_paths(blocks)

    def read_page(self, page_no: int) -> SegmentedPage:
        run = self._runs[page_no - 1]
        text = self._text[run.start : run.end]
        segments = tuple(
            Segment(max(s.start, run.start) - run.start, min(s.end, run.end) - run.start, s.heading, s.is_heading)
            for s in self._segments
            if s.start < run.end and s.end > run.start
        )
        return SegmentedPage(page_of(page_no, run, text), segments, no_text(page_no, text))

    def close(self) -> None:
        self._text = ""


def _front_matter_end(text: str) -> int:
    """Where the YAML front matter ends; 0 without one."""
    if not text.startswith("---\n"):
        return 0
    match = re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE).search(text, 4, _MAX_FRONT_MATTER_CHARS)
    return match.end() if match else 0


def _blocks(text: str, start: int) -> Iterator[_Block]:
    """Headings, paragraphs, list items and fenced code from the front matter on; blank lines separate."""
    if text[:start].strip():
        yield _Block(0, start, 0)
    open_at: int | None = None  # where the block that is being read began
    fence = ""
    at = start
    while at < len(text):
        end = text.find("\n", at) + 1 or len(text)
        line = text[at:end].rstrip("\n")
        opened = _FENCE.match(line)
        if fence:
            closes = opened is not None and opened[1].startswith(fence) and not line[opened.end() :].strip()
            fence = "" if closes else fence
        elif opened:
            fence = opened[1]
            open_at = at if open_at is None else open_at
        elif atx := _ATX.match(line):
            if open_at is not None:
                yield _Block(open_at, at, 0)
            yield _Block(at, end, len(atx[1]), atx[2])
            open_at = None
        elif open_at is not None and (under := _UNDERLINE.match(line)) and "\n" not in text[open_at : at - 1]:
            yield _Block(open_at, end, 1 if under[1][0] == "=" else 2, text[open_at:at])
            open_at = None
        elif not line.strip() or _ITEM.match(line):
            if open_at is not None:
                yield _Block(open_at, at, 0)
            open_at = at if line.strip() else None
        elif open_at is None:
            open_at = at
        at = end
    if open_at is not None:
        yield _Block(open_at, len(text), 0)


def _with_paths(blocks: list[_Block]) -> list[Segment]:
    stack: list[tuple[int, str]] = []
    segments = []
    for block in blocks:
        if block.level:
            stack = [*(entry for entry in stack if entry[0] < block.level), (block.level, _plain(block.title))]
        path = heading_path([title for _, title in stack if title])
        segments.append(Segment(block.start, block.end, path, block.level > 0))
    return segments


def _title(front_matter: str, blocks: list[_Block]) -> str:
    """The front matter's title, else the first heading of level 1."""
    if match := _FRONT_MATTER_TITLE.search(front_matter):
        return match[1].strip()[:_MAX_TITLE_CHARS]
    first = next((block.title for block in blocks if block.level == 1), "")
    return _plain(first)[:_MAX_TITLE_CHARS]


def _plain(title: str) -> str:
    return " ".join(_INLINE_MARKS.sub(lambda m: m[1] or "", title).split())
