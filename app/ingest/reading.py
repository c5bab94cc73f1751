"""Open any supported document and read one page of it with its chunks."""

from __future__ import annotations

from typing import Protocol

from app.core.errors import ErrorCode, JingyanError
from app.core.limits import MAX_DOCUMENT_TEXT_CHARS
from app.core.ports import PageRead
from app.core.values import DocumentKind, PageProblem
from app.ingest.chunker import cut
from app.ingest.kinds import recognise
from app.ingest.markdown import MarkdownDocument
from app.ingest.pdf import PdfDocument
from app.ingest.segments import SegmentedPage
from app.ingest.text import TextDocument


class OpenDocument(Protocol):
    @property
    def kind(self) -> DocumentKind: ...
    @property
    def title(self) -> str: ...
    @property
    def page_count(self) -> int: ...
    def read_page(self, page_no: int) -> SegmentedPage: ...
    def close(self) -> None: ...


def open_document(name: str, content: bytes, password: str = "") -> OpenDocument:
    """The document in `content`; `name` decides only between text and Markdown.

    Raises FILE_EMPTY, KIND_UNSUPPORTED, PASSWORD_NEEDED, DOCUMENT_BROKEN, NO_PAGES, TOO_MANY_PAGES or TOO_MUCH_TEXT.
    """
    kind = recognise(name, content)
    if kind is DocumentKind.PDF:
        return PdfDocument(content, password)
    try:
        return MarkdownDocument(content) if kind is DocumentKind.MARKDOWN else TextDocument(content)
    except MemoryError as e:
        raise JingyanError(ErrorCode.TOO_MUCH_TEXT, limit=MAX_DOCUMENT_TEXT_CHARS) from e


def read_page(document: OpenDocument, page_no: int) -> tuple[PageRead, PageProblem | None]:
    """Page `page_no` with its chunks, and what is wrong with it: no usable text, or more than the limits allow.

    Raises PAGE_BROKEN; the document can still be read on from the next page.
    """
    segmented = document.read_page(page_no)
    return PageRead(segmented.page, cut(segmented.page, segmented.segments)), segmented.problem
