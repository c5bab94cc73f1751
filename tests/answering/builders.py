"""Small pages and passages for tests of answering."""

from __future__ import annotations

from app.core.values import Box, Chunk, ChunkId, DocumentId, PageText, Passage, TextLine


def page_of(text: str, page_no: int = 1) -> PageText:
    """A page whose printed lines are the lines of `text`, 12 points apart."""
    lines, at = [], 0
    for row, line in enumerate(text.split("\n")):
        lines.append(TextLine(at, at + len(line), Box(50, 50 + 12 * row, 50 + 5 * len(line), 60 + 12 * row)))
        at += len(line) + 1
    return PageText(page_no, str(page_no), 595, 842, text, tuple(lines))


def passage_of(
    page: PageText, number: int = 1, start: int = 0, end: int | None = None, *, heading: str = "", score: float = 1.0
) -> Passage:
    end = len(page.text) if end is None else end
    chunk = Chunk(ChunkId(number), DocumentId(1), page.page_no, start, end, page.text[start:end], heading, ())
    return Passage(number, chunk, "lease.pdf", page.label, score)
