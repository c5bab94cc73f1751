"""Small documents that tests make for themselves, with real libraries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pymupdf

A4 = (595.0, 842.0)
CHINESE_FONT = "china-s"


def pdf_bytes(pages: Sequence[str], *, password: str = "", title: str = "", rotation: int = 0) -> bytes:
    """A PDF with one page of text for each string; lines end at newlines, Chinese works. "" makes an empty page."""
    document = pymupdf.open()
    for text in pages:
        page = document.new_page(width=A4[0], height=A4[1])
        if text:
            page.insert_text((72, 90), text, fontsize=11, fontname=_font(text), lineheight=1.4)
        page.set_rotation(rotation)
    if title:
        document.set_metadata({"title": title})
    return saved(document, password)


def make_pdf(path: Path, pages: Sequence[str], *, password: str = "", title: str = "") -> Path:
    """`pdf_bytes` in a file; returns its path."""
    path.write_bytes(pdf_bytes(pages, password=password, title=title))
    return path


def placed_pdf(texts: Sequence[tuple[float, float, str]], *, size_pt: float = 11, font: str = "helv") -> bytes:
    """One A4 page with each text starting at its (x, y) in points, written in the order given."""
    document = pymupdf.open()
    page = document.new_page(width=A4[0], height=A4[1])
    for x_pt, y_pt, text in texts:
        page.insert_text((x_pt, y_pt), text, fontsize=size_pt, fontname=font)
    return saved(document)


def scanned_pdf() -> bytes:
    """One page that holds a picture and no text."""
    document = pymupdf.open()
    page = document.new_page(width=A4[0], height=A4[1])
    picture = pymupdf.Pixmap(pymupdf.csRGB, pymupdf.IRect(0, 0, 40, 40))
    picture.clear_with(180)
    page.insert_image(pymupdf.Rect(72, 72, 300, 300), pixmap=picture)
    return saved(document)


def pdf_with_broken_page(pages: int, broken_page: int) -> bytes:
    """A PDF where loading page `broken_page` (from 1) fails and the others are well."""
    document = pymupdf.open()
    for number in range(1, pages + 1):
        document.new_page().insert_text((72, 90), f"This is page {number}.")
    xref = document[broken_page - 1].xref
    root = document.xref_get_key(document.pdf_catalog(), "Pages")[1]
    document.update_object(xref, f"<< /Type /Pages /Count 1 /Kids [{root}] /Parent {root} >>")  # a cycle
    return saved(document)


def pdf_without_pages() -> bytes:
    """A PDF whose page tree is empty; PyMuPDF refuses to save one, so it is written by hand."""
    body = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    return body + b"trailer<</Root 1 0 R/Size 3>>\n%%EOF\n"


def saved(document: pymupdf.Document, password: str = "") -> bytes:
    if not password:
        return bytes(document.tobytes())
    return bytes(document.tobytes(encryption=pymupdf.PDF_ENCRYPT_AES_256, owner_pw="owner", user_pw=password))


def _font(text: str) -> str:
    return "helv" if text.isascii() else CHINESE_FONT
