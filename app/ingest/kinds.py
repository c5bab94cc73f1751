"""Which kind of document some bytes are: by what they contain, by their name only where content cannot tell.

Promise: a renamed file is read as what it is; what cannot be read yet is refused as KIND_UNSUPPORTED with
its kind in the facts ("docx", "image", "zip" ...). Bytes that are no text at all are found by the text reader.
"""

from __future__ import annotations

from pathlib import PurePath

from app.core.errors import ErrorCode, JingyanError
from app.core.values import DocumentKind
from app.ingest.encodings import control_bytes

_PDF_HEADER_WITHIN = 1024  # PDF 1.7, implementation note 13: readers accept a header in the first 1024 bytes
_MARKDOWN_SUFFIXES = frozenset({".md", ".markdown", ".mdown", ".mkd", ".mkdn", ".mdx"})
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF8", "image"),
    (b"BM", "image"),
    (b"II*\0", "image"),
    (b"MM\0*", "image"),
    (b"8BPS", "image"),
    (b"\0\0\0\x0cjP  ", "image"),
    (b"\xff\x4f\xff\x51", "image"),
    (b"\0\0\1\0", "image"),
    (b"{\\rtf", "rtf"),
    (b"%!PS", "postscript"),
    (b"AT&TFORM", "djvu"),
    (b"\x1f\x8b", "archive"),
    (b"BZh", "archive"),
    (b"\xfd7zXZ\0", "archive"),
    (b"7z\xbc\xaf\x27\x1c", "archive"),
    (b"Rar!", "archive"),
    (b"\x28\xb5\x2f\xfd", "archive"),
    (b"\x7fELF", "program"),
    (b"MZ", "program"),
    (b"\xcf\xfa\xed\xfe", "program"),
    (b"\xca\xfe\xba\xbe", "program"),
    (b"SQLite format 3\0", "database"),
    (b"GGUF", "model"),
    (b"ID3", "sound"),
    (b"OggS", "sound"),
    (b"fLaC", "sound"),
    (b"\x1a\x45\xdf\xa3", "video"),
    (b"wOFF", "font"),
    (b"OTTO", "font"),
)
_SHORT_MAGIC = frozenset({b"BM", b"MZ", b"ID3", b"BZh"})  # these also begin words: believed only in binary content
_ZIP_MEMBERS = ((b"word/", "docx"), (b"xl/", "xlsx"), (b"ppt/", "pptx"), (b"FixedPage", "xps"))
_ZIP_MIMES = (
    (b"application/epub+zip", "epub"),
    (b"opendocument.text", "odt"),
    (b"opendocument.spreadsheet", "ods"),
    (b"opendocument.presentation", "odp"),
)
_OLE_STREAMS = (("WordDocument", "doc"), ("Workbook", "xls"), ("PowerPoint Document", "ppt"), ("__substg1.0", "msg"))


def recognise(name: str, content: bytes) -> DocumentKind:
    """The kind of `content`. Raises FILE_EMPTY, or KIND_UNSUPPORTED with the fact `kind`."""
    if not content:
        raise JingyanError(ErrorCode.FILE_EMPTY)
    head = content[:_PDF_HEADER_WITHIN]
    if b"%PDF-" in head or _is_damaged_pdf(name, content):
        return DocumentKind.PDF
    if unsupported := _unsupported(content, head):
        raise JingyanError(ErrorCode.KIND_UNSUPPORTED, kind=unsupported)
    return DocumentKind.MARKDOWN if _suffix(name) in _MARKDOWN_SUFFIXES else DocumentKind.TEXT


def _suffix(name: str) -> str:
    return PurePath(name).suffix.lower()


def _is_damaged_pdf(name: str, content: bytes) -> bool:
    """A .pdf that lost its header, but still has the marks of one (or is no text at all)."""
    if _suffix(name) != ".pdf":
        return False
    if any(mark in content for mark in (b" obj", b"%%EOF", b"startxref", b"trailer")):
        return True
    return _looks_binary(content[:4096]) and _unsupported(content, content[:_PDF_HEADER_WITHIN]) is None


def _unsupported(content: bytes, head: bytes) -> str | None:
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return _zip_kind(content)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _ole_kind(content)
    for magic, kind in _MAGIC:
        if head.startswith(magic) and (magic not in _SHORT_MAGIC or _looks_binary(head)):
            return kind
    if head[:4] == b"RIFF":
        return {b"WEBP": "image", b"WAVE": "sound"}.get(head[8:12], "video")
    if head[4:8] == b"ftyp":
        return "image" if head[8:12] in (b"heic", b"heix", b"mif1", b"avif", b"avis") else "video"
    if head[60:68] == b"BOOKMOBI":
        return "mobi"
    return "html" if _is_html(head) else None


def _zip_kind(content: bytes) -> str:
    for mime, kind in _ZIP_MIMES:
        if mime in content[:200]:
            return kind
    directory = content[-65_536:] + content[:4096]
    return next((kind for member, kind in _ZIP_MEMBERS if member in directory), "zip")


def _ole_kind(content: bytes) -> str:
    return next((kind for stream, kind in _OLE_STREAMS if stream.encode("utf-16-le") in content), "office")


def _is_html(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"<?xml"):
        return b"<html" in start
    return start.startswith((b"<!doctype html", b"<html"))


def _looks_binary(sample: bytes) -> bool:
    """More control bytes than any text of one or more bytes a character has."""
    return control_bytes(sample) > max(2, len(sample) // 200)
