"""MuPDF's own description of a page's text, as typed values.

`fz_print_stext_page_as_json` writes lines with boxes in C and costs about what plain text costs; PyMuPDF's
`extractDICT` builds thousands of Python objects and makes reading a third slower. Numbers are whole, so the page is
described in hundredths of a point.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec
import pymupdf


class FoundBox(msgspec.Struct):
    x: float
    y: float
    w: float
    h: float


class FoundFont(msgspec.Struct):
    weight: str
    size: float


class FoundLine(msgspec.Struct):
    """`bbox` and `font.size` in units of 1/UNITS_PER_PT point; `wmode` 1 is vertical writing."""

    wmode: int
    bbox: FoundBox
    font: FoundFont
    text: str


class FoundBlock(msgspec.Struct):
    lines: list[FoundLine] = []


class FoundPage(msgspec.Struct):
    UNITS_PER_PT: ClassVar[float] = 100.0
    blocks: list[FoundBlock]


_decoder = msgspec.json.Decoder(FoundPage)


def found_text(page: pymupdf.Page, flags: int) -> FoundPage:
    """The text of `page`, unrotated. Raises what MuPDF raises, and ValueError for output that is no JSON."""
    mupdf = pymupdf.mupdf
    text_page = page.get_textpage(flags=flags)
    buffer = mupdf.fz_new_buffer(64 * 1024)
    output = mupdf.FzOutput(buffer)
    mupdf.fz_print_stext_page_as_json(output, text_page.this, FoundPage.UNITS_PER_PT)
    output.fz_close_output()
    json: bytes = mupdf.fz_buffer_extract_copy(buffer)
    try:
        return _decoder.decode(json)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decoder.decode(json.decode(errors="replace"))  # fonts can claim characters that UTF-8 has not
