"""Read PDF files: text with boxes, page labels, title, and pictures of pages. The only user of PyMuPDF.

Not thread-safe (MuPDF is not); one process reads one document at a time. It may hang or end the process on
a hostile file: run it inside the ingest child. Foreign errors leave here as JingyanError.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pymupdf

from app.core.errors import ErrorCode, JingyanError, Reason
from app.core.limits import MAX_PAGE_PX, MAX_PAGES
from app.core.values import DocumentKind, PageImage, PageProblem, PageText
from app.ingest.characters import UNKNOWN, clean, is_unreadable, spells_words
from app.ingest.headings import HeadingGuess
from app.ingest.lines import Matrix, PageFrame, join_rows, printed_blocks
from app.ingest.mupdf_json import FoundPage, found_text
from app.ingest.page_text import LaidOutText, lay_out
from app.ingest.paragraphs import join_spaced
from app.ingest.reading_order import in_reading_order
from app.ingest.segments import SegmentedPage

# No images (slow, not text), no ligature glyphs, no odd white space, and no glyph numbers in place of characters
# without a Unicode value: those look like text and are none. What lies outside the visible page is left out.
_TEXT_FLAGS = pymupdf.TEXT_MEDIABOX_CLIP
_MAX_TITLE_CHARS = 300
_MAX_LABEL_CHARS = 40
_WORD_PROCESSOR_PREFIXES = ("Microsoft Word - ", "Microsoft PowerPoint - ", "Microsoft Excel - ")
_PDF_ERRORS = (RuntimeError, ValueError, TypeError, IndexError, KeyError, pymupdf.mupdf.FzErrorBase)
_OUT_OF_MEMORY = re.compile(r"alloc.*failed")  # MuPDF tells it in words only: "code=2: calloc (4104 x 1 bytes) failed"

pymupdf.TOOLS.mupdf_display_errors(False)
pymupdf.TOOLS.mupdf_display_warnings(False)


class PdfDocument:
    """An open PDF. `page_count` is at least 1."""

    kind = DocumentKind.PDF

    def __init__(self, content: bytes, password: str = "") -> None:
        """Raises PASSWORD_NEEDED, DOCUMENT_BROKEN, NO_PAGES or TOO_MANY_PAGES."""
        with _as_jingyan_error(ErrorCode.DOCUMENT_BROKEN):
            self._document = pymupdf.Document(stream=content, filetype="pdf")
            if self._document.needs_pass and not self._document.authenticate(password):
                raise JingyanError(ErrorCode.PASSWORD_NEEDED)
            self.page_count: int = self._document.page_count
        if self.page_count < 1:
            raise JingyanError(ErrorCode.NO_PAGES)
        if self.page_count > MAX_PAGES:
            raise JingyanError(ErrorCode.TOO_MANY_PAGES, page_count=self.page_count, limit=MAX_PAGES)
        self.title = _title(self._document)
        self._labels = _label_rules(self._document)
        self._headings = HeadingGuess()

    def read_page(self, page_no: int) -> SegmentedPage:
        """Page `page_no` with its segments; empty text comes with a PAGE_NO_TEXT problem. Raises PAGE_BROKEN."""
        with _as_jingyan_error(ErrorCode.PAGE_BROKEN, page_no=page_no):
            width_pt, height_pt, laid_out = self._lay_out(page_no)
        problem = None
        if is_unreadable(laid_out.text):
            laid_out = LaidOutText("", (), (), is_cut=False)
            problem = PageProblem(page_no, Reason(ErrorCode.PAGE_NO_TEXT, {"page_no": page_no, "cause": "font"}))
        elif laid_out.is_cut:
            problem = PageProblem(page_no, Reason(ErrorCode.TOO_MUCH_TEXT, {"page_no": page_no}))
        elif not laid_out.text:
            problem = PageProblem(page_no, Reason(ErrorCode.PAGE_NO_TEXT, {"page_no": page_no}))
        page = PageText(page_no, self._label(page_no), width_pt, height_pt, laid_out.text, laid_out.lines)
        return SegmentedPage(page, laid_out.segments, problem)

    def _lay_out(self, page_no: int) -> tuple[float, float, LaidOutText]:
        page = self._document.load_page(page_no - 1)
        width_pt, height_pt = _page_size(page)
        to_display: Matrix | None = tuple(page.rotation_matrix) if page.rotation else None
        blocks = printed_blocks(_found(page), PageFrame(width_pt, height_pt, to_display))
        return width_pt, height_pt, lay_out(join_spaced(join_rows(in_reading_order(blocks))), self._headings)

    def render_page(self, page_no: int, width_px: int) -> PageImage:
        """The page as a picture `width_px` wide, smaller when it would exceed MAX_PAGE_PX.

        Raises PAGE_NOT_THERE or PAGE_BROKEN.
        """
        if not 1 <= page_no <= self.page_count:
            raise JingyanError(ErrorCode.PAGE_NOT_THERE, page_no=page_no, page_count=self.page_count)
        with _as_jingyan_error(ErrorCode.PAGE_BROKEN, page_no=page_no):
            page = self._document.load_page(page_no - 1)
            width_pt, height_pt = _page_size(page)
            scale = min(width_px / width_pt, math.sqrt(0.98 * MAX_PAGE_PX / (width_pt * height_pt)))
            picture = page.get_pixmap(matrix=pymupdf.Matrix(scale, scale), colorspace=pymupdf.csRGB, alpha=False)
            return PageImage(page_no, picture.width, picture.height, width_pt, height_pt, bytes(picture.samples))

    def close(self) -> None:
        self._document.close()

    def _label(self, page_no: int) -> str:
        """The label printed by the PDF's own rules, else the page number."""
        if not self._labels:
            return str(page_no)
        with _as_jingyan_error(ErrorCode.PAGE_BROKEN, page_no=page_no):
            label = pymupdf.utils.get_label_pno(page_no - 1, self._labels)
        return clean(label).strip()[:_MAX_LABEL_CHARS] or str(page_no)


def _found(page: pymupdf.Page) -> FoundPage:
    """The page's text; where a font has no Unicode map, its glyph numbers if they happen to spell words."""
    found = found_text(page, _TEXT_FLAGS)
    text = "".join([line.text for block in found.blocks for line in block.lines])
    if 10 * text.count(UNKNOWN) <= len(text):
        return found
    by_glyph = found_text(page, _TEXT_FLAGS | pymupdf.TEXT_CID_FOR_UNKNOWN_UNICODE)
    return by_glyph if spells_words(" ".join([line.text for b in by_glyph.blocks for line in b.lines])) else found


def _page_size(page: pymupdf.Page) -> tuple[float, float]:
    """Width and height in points as displayed. Raises ValueError for a page without area."""
    width_pt, height_pt = float(page.rect.width), float(page.rect.height)
    if not (math.isfinite(width_pt * height_pt) and width_pt > 0 and height_pt > 0):
        raise ValueError("a page without area")
    return width_pt, height_pt


def _title(document: pymupdf.Document) -> str:
    try:
        title = clean((document.metadata or {}).get("title") or "").strip()
    except _PDF_ERRORS:
        return ""  # a damaged title is no reason to refuse the text
    for prefix in _WORD_PROCESSOR_PREFIXES:
        title = title.removeprefix(prefix)
    title = " ".join(title.split())[:_MAX_TITLE_CHARS]
    return "" if title.casefold() in ("untitled", "title", "无标题") else title


def _label_rules(document: pymupdf.Document) -> list[tuple[int, str]]:
    """PyMuPDF's (first page index, rule) pairs, sorted; empty when there are none or they are damaged."""
    try:
        return sorted(document._get_page_labels())  # the public call reads and sorts them again for each page
    except _PDF_ERRORS:
        return []


@contextmanager
def _as_jingyan_error(code: ErrorCode, **facts: int) -> Iterator[None]:
    """What MuPDF raises becomes `code`; with the fact `memory` when there was not enough: this process is spoilt."""
    try:
        yield
    except JingyanError:
        raise
    except MemoryError as e:
        raise JingyanError(code, **facts, memory="short") from e
    except _PDF_ERRORS as e:
        if _OUT_OF_MEMORY.search(str(e)):
            raise JingyanError(code, **facts, memory="short") from e
        raise JingyanError(code, **facts) from e
