"""Locked, broken and odd PDF files, and pictures of pages."""

from __future__ import annotations

import pymupdf
import pytest

from app.core.errors import ErrorCode, JingyanError
from app.core.limits import MAX_PAGE_PX
from app.ingest.pdf import PdfDocument
from app.ingest.reading import open_document
from tests.ingest.pages import read_all
from tests.samples import pdf_bytes, pdf_with_broken_page, pdf_without_pages, saved, scanned_pdf


def code_of(content: bytes, password: str = "", name: str = "a.pdf") -> ErrorCode:
    with pytest.raises(JingyanError) as error:
        open_document(name, content, password)
    return error.value.code


def test_locked_document_asks_for_its_password() -> None:
    locked = pdf_bytes(["secret words"], password="密码 1")
    assert code_of(locked) is ErrorCode.PASSWORD_NEEDED
    assert code_of(locked, "wrong") is ErrorCode.PASSWORD_NEEDED
    assert read_all("a.pdf", locked, "密码 1")[0][0].page.text == "secret words"


def test_broken_document_is_refused() -> None:
    assert code_of(b"%PDF-1.7\nnothing of use") in (ErrorCode.DOCUMENT_BROKEN, ErrorCode.NO_PAGES)


def test_document_cut_in_half_is_read_as_far_as_it_goes_or_refused() -> None:
    whole = pdf_bytes([f"Page {n} has words." for n in range(40)])
    try:
        pages = read_all("a.pdf", whole[: len(whole) // 2])
    except JingyanError as e:
        assert e.code in (ErrorCode.DOCUMENT_BROKEN, ErrorCode.NO_PAGES)
    else:
        assert pages


def test_document_without_pages_is_refused() -> None:
    assert code_of(pdf_without_pages()) is ErrorCode.NO_PAGES


def test_broken_page_does_not_end_the_reading() -> None:
    document = open_document("a.pdf", pdf_with_broken_page(4, 2))
    with pytest.raises(JingyanError) as error:
        document.read_page(2)
    assert error.value.code is ErrorCode.PAGE_BROKEN and error.value.reason.facts["page_no"] == 2
    assert [document.read_page(n).page.text for n in (1, 3, 4)] == [f"This is page {n}." for n in (1, 3, 4)]


def test_scanned_page_is_kept_empty_with_its_reason() -> None:
    ((read, problem),) = read_all("a.pdf", scanned_pdf())
    assert read.page.text == "" and read.page.width_pt == 595
    assert problem is not None and problem.reason.code is ErrorCode.PAGE_NO_TEXT


def test_title_comes_from_the_metadata_without_the_name_of_the_program() -> None:
    assert open_document("a.pdf", pdf_bytes(["x"], title="Microsoft Word - Lease\n 2027")).title == "Lease 2027"
    assert open_document("a.pdf", pdf_bytes(["x"], title="untitled")).title == ""


def test_page_is_drawn_at_the_width_asked_for() -> None:
    image = PdfDocument(pdf_bytes(["hello", "world"])).render_page(2, 300)
    assert (image.page_no, image.width_px, image.width_pt) == (2, 300, 595)
    assert len(image.rgb) == image.width_px * image.height_px * 3
    assert min(image.rgb) < 100 < max(image.rgb)  # ink and paper


def test_rotated_page_is_drawn_as_displayed() -> None:
    image = PdfDocument(pdf_bytes(["hello"], rotation=90)).render_page(1, 420)
    assert image.width_px == 420 and image.height_px < image.width_px


def test_huge_picture_is_capped() -> None:
    document = pymupdf.open()
    document.new_page(width=200, height=14_000)
    image = PdfDocument(saved(document)).render_page(1, 5_000)
    assert image.width_px * image.height_px <= MAX_PAGE_PX


def test_page_that_is_not_there_cannot_be_drawn() -> None:
    with pytest.raises(JingyanError) as error:
        PdfDocument(pdf_bytes(["x"])).render_page(2, 100)
    assert error.value.code is ErrorCode.PAGE_NOT_THERE
