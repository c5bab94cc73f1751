"""Read plain text: any encoding, cut into pages of whole lines.

A text file has no pages of its own; a page here is a run of whole lines of at most PAGE_CHARS characters,
labelled with its line numbers. Only a single line longer than that is cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.core.errors import ErrorCode, JingyanError, Reason
from app.core.limits import MAX_DOCUMENT_TEXT_CHARS, MAX_PAGES
from app.core.values import DocumentKind, PageProblem, PageText
from app.ingest.characters import clean
from app.ingest.encodings import decode
from app.ingest.segments import Segment, SegmentedPage

PAGE_CHARS = 4_000  # about one printed page of small type: an exact enough place for a citation
_LINE_ENDS = re.compile(r"\r\n?|[\v\f\x85\u2028\u2029]")
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n\s*")


@dataclass(frozen=True, slots=True)
class LineRun:
    """Characters `start:end` of the document: lines `first_line` to `last_line`, counted from 1."""

    start: int
    end: int
    first_line: int
    last_line: int


class TextDocument:
    """An open text file. `page_count` is at least 1."""

    kind = DocumentKind.TEXT

    def __init__(self, content: bytes) -> None:
        """Raises KIND_UNSUPPORTED, TOO_MUCH_TEXT or TOO_MANY_PAGES."""
        self._text = plain_text(content)
        self._runs = runs_of_lines(self._text)
        if len(self._runs) > MAX_PAGES:
            raise JingyanError(ErrorCode.TOO_MANY_PAGES, page_count=len(self._runs), limit=MAX_PAGES)
        self.page_count = len(self._runs)
        self.title = ""

    def read_page(self, page_no: int) -> SegmentedPage:
        run = self._runs[page_no - 1]
        text = self._text[run.start : run.end]
        return SegmentedPage(page_of(page_no, run, text), tuple(paragraph_segments(text)), no_text(page_no, text))

    def close(self) -> None:
        self._text = ""


def plain_text(content: bytes) -> str:
    """`content` decoded and cleaned, every line end a newline."""
    if len(content) > 4 * MAX_DOCUMENT_TEXT_CHARS:  # no encoding takes more bytes for a character
        raise JingyanError(ErrorCode.TOO_MUCH_TEXT, limit=MAX_DOCUMENT_TEXT_CHARS)
    text = clean(_LINE_ENDS.sub("\n", decode(content)))
    if len(text) > MAX_DOCUMENT_TEXT_CHARS:
        raise JingyanError(ErrorCode.TOO_MUCH_TEXT, chars=len(text), limit=MAX_DOCUMENT_TEXT_CHARS)
    return text


def runs_of_lines(text: str) -> Sequence[LineRun]:
    """The pages of `text`: every character in exactly one run, at least one run."""
    runs: list[LineRun] = []
    for unit in _units(text):
        if runs and unit.end - runs[-1].start <= PAGE_CHARS:
            runs[-1] = LineRun(runs[-1].start, unit.end, runs[-1].first_line, unit.last_line)
        else:
            runs.append(unit)
    return runs or [LineRun(0, 0, 1, 1)]


def _units(text: str) -> Iterator[LineRun]:
    """Whole lines; a line longer than PAGE_CHARS in pieces."""
    start, line_no = 0, 1
    while start < len(text):
        line_end = text.find("\n", start) + 1 or len(text)
        while line_end - start > PAGE_CHARS:
            space = text.rfind(" ", start + PAGE_CHARS // 2, start + PAGE_CHARS) + 1
            stop = space or start + PAGE_CHARS
            yield LineRun(start, stop, line_no, line_no)
            start = stop
        yield LineRun(start, line_end, line_no, line_no)
        start, line_no = line_end, line_no + 1


def page_of(page_no: int, run: LineRun, text: str) -> PageText:
    label = f"lines {run.first_line}-{run.last_line}" if run.last_line > run.first_line else f"line {run.first_line}"
    return PageText(page_no, label, 0.0, 0.0, text)


def no_text(page_no: int, text: str) -> PageProblem | None:
    if text.strip():
        return None
    return PageProblem(page_no, Reason(ErrorCode.PAGE_NO_TEXT, {"page_no": page_no}))


def paragraph_segments(text: str) -> Iterator[Segment]:
    """Runs of lines between blank lines; in text without blank lines the chunker cuts at sentences."""
    start = 0
    for gap in _PARAGRAPH_END.finditer(text):
        yield Segment(start, gap.start(), "")
        start = gap.end()
    if text[start:].strip():
        yield Segment(start, len(text), "")
