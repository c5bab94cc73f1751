"""Shorthands for reading in this process what tests made."""

from __future__ import annotations

from app.core.ports import PageRead
from app.core.values import PageProblem
from app.ingest.reading import open_document, read_page


def read_all(name: str, content: bytes, password: str = "") -> list[tuple[PageRead, PageProblem | None]]:
    document = open_document(name, content, password)
    return [read_page(document, page_no) for page_no in range(1, document.page_count + 1)]


def texts(name: str, content: bytes) -> list[str]:
    return [read.page.text for read, _ in read_all(name, content)]


def check_promises(read: PageRead) -> None:
    """What core.values promises about a page and its chunks, whatever the document."""
    page = read.page
    reached = 0
    for line in page.lines:
        assert reached <= line.start < line.end <= len(page.text)
        assert page.text[line.start : line.end].strip()
        assert 0 <= line.box.x0 <= line.box.x1 <= page.width_pt
        assert 0 <= line.box.y0 <= line.box.y1 <= page.height_pt
        reached = line.end
    reached = 0
    for chunk in read.chunks:
        assert reached <= chunk.start < chunk.end and chunk.page_no == page.page_no
        assert chunk.text == page.text[chunk.start : chunk.end]
        assert not page.text[reached : chunk.start].strip()
        assert chunk.boxes == tuple(
            line.box for line in page.lines if line.start < chunk.end and line.end > chunk.start
        )
        reached = chunk.end
    assert not page.text[reached:].strip()
