"""A file is what it contains, not what it is called."""

from __future__ import annotations

import io
import zipfile

import pytest

from app.core.errors import ErrorCode, JingyanError
from app.core.values import DocumentKind
from app.ingest.kinds import recognise
from app.ingest.reading import open_document
from tests.samples import pdf_bytes


def zip_with(*members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member in members:
            archive.writestr(member, "x")
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["a.pdf", "a.txt", "a.md", "a", "a.docx"])
def test_pdf_is_a_pdf_under_any_name(name: str) -> None:
    assert open_document(name, pdf_bytes(["hello"])).kind is DocumentKind.PDF


def test_pdf_behind_a_line_of_junk_is_a_pdf() -> None:
    assert recognise("a.bin", b"junk\r\n" + pdf_bytes(["hello"])) is DocumentKind.PDF


def test_text_called_pdf_is_read_as_text() -> None:
    assert recognise("a.pdf", "Just a note, 只是一条笔记。".encode()) is DocumentKind.TEXT


def test_headless_pdf_called_pdf_is_a_broken_pdf_and_not_text() -> None:
    assert recognise("a.pdf", b"1 0 obj\n<< /Type /Catalog >>\nendobj\n") is DocumentKind.PDF


@pytest.mark.parametrize(
    ("name", "kind"), [("a.md", "markdown"), ("A.MARKDOWN", "markdown"), ("a.txt", "text"), ("README", "text")]
)
def test_names_tell_markdown_from_text(name: str, kind: str) -> None:
    assert recognise(name, b"# Title\n") == kind


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (zip_with("[Content_Types].xml", "word/document.xml"), "docx"),
        (zip_with("[Content_Types].xml", "xl/workbook.xml"), "xlsx"),
        (zip_with("ppt/presentation.xml"), "pptx"),
        (zip_with("a.txt"), "zip"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "image"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "image"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image"),
        (b"{\\rtf1\\ansi hello}", "rtf"),
        (b"<!DOCTYPE html><html><body>x", "html"),
        (b"\x1f\x8b\x08" + bytes(20), "archive"),
        (b"\x7fELF\x02\x01", "program"),
        (b"GGUF\x03\0\0\0", "model"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "WordDocument".encode("utf-16-le"), "doc"),
    ],
)
def test_kinds_that_cannot_be_read_are_named(content: bytes, kind: str) -> None:
    with pytest.raises(JingyanError) as error:
        recognise("renamed.txt", content)
    assert error.value.code is ErrorCode.KIND_UNSUPPORTED and error.value.reason.facts == {"kind": kind}


@pytest.mark.parametrize("text", ["BMW builds cars.", "MZ is a county code.", "ID3 is a tag.", "BZh is no word."])
def test_text_that_begins_like_a_program_or_picture_is_text(text: str) -> None:
    assert recognise("a.txt", text.encode()) is DocumentKind.TEXT


def test_empty_file_is_refused() -> None:
    with pytest.raises(JingyanError) as error:
        recognise("a.pdf", b"")
    assert error.value.code is ErrorCode.FILE_EMPTY
