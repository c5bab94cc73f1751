"""Chunks cover the page, point back at it exactly, and follow its structure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.core.limits import MAX_CHUNK_CHARS
from app.core.ports import PageRead
from app.core.values import Box, PageText, TextLine
from app.ingest.characters import width
from app.ingest.chunker import MAX_WIDTH, SMALL_WIDTH, TARGET_WIDTH, cut
from app.ingest.segments import Segment
from tests.ingest.pages import check_promises

SENTENCE = "The tenant pays the rent on the third working day of every month. "
CHINESE_SENTENCE = "承租方应当在每个月的第三个工作日之前支付租金。"


def page_of(*parts: str, headings: tuple[int, ...] = ()) -> tuple[PageText, list[Segment]]:
    """A page of `parts` with a blank line between; those numbered in `headings` are headings."""
    segments, lines, text, path = [], [], "", ""
    for number, part in enumerate(parts):
        start = len(text)
        text += part
        path = part if number in headings else path
        segments.append(Segment(start, len(text), path, number in headings))
        offset = start
        for line in part.splitlines(keepends=True):
            if line.strip():
                y = 10.0 * len(lines)
                lines.append(TextLine(offset, offset + len(line.rstrip("\n")), Box(0, y, 500, y + 9)))
            offset += len(line)
        text += "\n\n"
    return PageText(1, "1", 595, 10.0 * len(lines) + 10, text, tuple(lines)), segments


def chunks_of(*parts: str, headings: tuple[int, ...] = ()) -> list[str]:
    page, segments = page_of(*parts, headings=headings)
    return [chunk.text for chunk in cut(page, segments)]


words = st.text(alphabet="ab 。.\n中，\t", max_size=60)


@given(st.lists(st.tuples(words, st.integers(1, 60)), max_size=6), st.sets(st.integers(0, 5)))
def test_chunks_hold_every_character_once_whatever_the_page(
    parts: list[tuple[str, int]], headings: frozenset[int]
) -> None:
    page, segments = page_of(*(text * times for text, times in parts), headings=tuple(headings))
    chunks = cut(page, segments)
    check_promises(PageRead(page, chunks))
    for chunk in chunks:
        assert chunk.text.strip() == chunk.text != ""
        assert len(chunk.text) <= MAX_CHUNK_CHARS and width(chunk.text) <= MAX_WIDTH + SMALL_WIDTH


def test_tiny_page_is_one_chunk() -> None:
    assert len(chunks_of("Title", "A line of text.", "Another heading", "More.", headings=(0, 2))) == 1


def test_heading_begins_a_chunk_and_names_it() -> None:
    page, segments = page_of("1 Rent", SENTENCE * 8, "2 Deposit", SENTENCE * 8, headings=(0, 2))
    chunks = cut(page, segments)
    assert [chunk.heading for chunk in chunks] == ["1 Rent", "2 Deposit"]
    assert chunks[1].text.startswith("2 Deposit\n\nThe tenant")


def test_long_paragraph_is_cut_between_sentences() -> None:
    chunks = chunks_of(SENTENCE * 60)
    assert all(text.startswith("The tenant") and text.endswith("month.") for text in chunks)
    assert all(width(text) <= TARGET_WIDTH for text in chunks)
    assert all(width(text) > 0.8 * TARGET_WIDTH for text in chunks[:-1])


def test_chinese_chunks_are_smaller_and_end_with_a_sentence() -> None:
    chunks = chunks_of(CHINESE_SENTENCE * 80)
    assert all(text.endswith("。") and 200 < len(text) <= 400 for text in chunks)


def test_sentence_without_end_is_cut_between_words() -> None:
    chunks = chunks_of("word " * 2_000)
    assert all(set(text.split()) == {"word"} for text in chunks)


def test_word_without_end_is_cut_anyway() -> None:
    assert max(map(len, chunks_of("x" * 5_000))) <= TARGET_WIDTH


def test_paragraphs_are_packed_whole() -> None:
    paragraph = SENTENCE * 4
    chunks = chunks_of(*[paragraph] * 9)
    assert all(text.count("The tenant") % 4 == 0 for text in chunks)


def test_boxes_are_those_of_the_lines_the_chunk_touches() -> None:
    page, segments = page_of("\n".join([SENTENCE.strip()] * 30))
    chunks = cut(page, segments)
    assert len(chunks) > 1
    assert [box for chunk in chunks for box in chunk.boxes] == [line.box for line in page.lines]
