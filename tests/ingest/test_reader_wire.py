"""Pages cross to the parent unchanged, and nothing a child makes up gets through."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import ErrorCode, JingyanError
from app.core.ports import PageRead
from app.core.values import Box, DraftChunk, PageText, TextLine
from app.workers.ingest_wire import pack_page, unpack_page
from tests.ingest.hostile_reader import GOOD, LIES, body
from tests.ingest.pages import check_promises, read_all
from tests.samples import pdf_bytes


def test_page_arrives_as_it_was_sent() -> None:
    text = "月租金 is 4,850 欧元。"
    page = PageText(3, "iii", 595.0, 842.0, text, (TextLine(0, len(text), Box(1.5, 2.25, 100.0, 12.5)),))
    read = PageRead(page, (DraftChunk(3, 0, len(text), text, "租约 > Rent", (Box(1.5, 2.25, 100.0, 12.5),)),))
    header, packed = pack_page(read, None)
    assert unpack_page(msgspec.to_builtins(header), packed, 3) == (read, None)


def test_real_pages_keep_their_promises_on_the_way() -> None:
    for read, problem in read_all("a.pdf", pdf_bytes(["One line.\nAnother line.", "租金\n押金", ""])):
        header, packed = pack_page(read, problem)
        arrived, told = unpack_page(msgspec.to_builtins(header), packed, read.page.page_no)
        check_promises(arrived)
        assert arrived.page.text == read.page.text and (told is None) == (problem is None)


def test_page_without_text_always_comes_with_a_problem() -> None:
    read = PageRead(PageText(1, "1", 595.0, 842.0, ""), ())
    header, packed = pack_page(read, None)
    _, problem = unpack_page(msgspec.to_builtins(header), packed, 1)
    assert problem is not None and problem.reason.code is ErrorCode.PAGE_NO_TEXT


@pytest.mark.parametrize("lie", LIES)
def test_lie_is_refused(lie: str) -> None:
    changes, packed = LIES[lie]
    with pytest.raises(JingyanError) as error:
        unpack_page({"page_no": 2, **GOOD, **changes}, packed, 2)
    assert error.value.code is ErrorCode.CHILD_LIED


@given(st.binary(max_size=200), st.integers(0, 6), st.integers(0, 6))
def test_any_bytes_make_a_sound_page_or_are_refused(packed: bytes, lines: int, chunks: int) -> None:
    header = {"page_no": 2, **GOOD, "lines": lines, "chunks": chunks}
    try:
        read, _ = unpack_page(header, packed, 2)
    except JingyanError as e:
        assert e.code is ErrorCode.CHILD_LIED
        return
    for line in read.page.lines:
        assert read.page.text[line.start : line.end] and 0 <= line.box.x0 <= line.box.x1
    assert all(chunk.text == read.page.text[chunk.start : chunk.end] for chunk in read.chunks)


def test_honest_page_of_the_hostile_child_is_sound() -> None:
    read, _ = unpack_page({"page_no": 2, **GOOD}, body(), 2)
    assert read.chunks[0].boxes == (Box(10.0, 10.0, 50.0, 20.0),)
