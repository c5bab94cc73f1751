"""Plain text and Markdown: pages of whole lines, headings, exact offsets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.values import DocumentKind
from app.ingest.reading import open_document
from app.ingest.text import PAGE_CHARS, runs_of_lines
from tests.ingest.pages import check_promises, read_all, texts

MARKDOWN = """---
title: "The Lease: Notes"
---

# Lease *agreement*

Opening words.

## Rent

- first item
- second item

```sh
# not a heading
```

Payment
-------

Due on day three.
"""


def test_short_text_is_one_page_with_its_line_numbers() -> None:
    ((read, problem),) = read_all("notes.txt", b"one\r\ntwo\r\nthree")
    assert (read.page.label, read.page.text, problem) == ("lines 1-3", "one\ntwo\nthree", None)
    assert read.page.width_pt == 0 and read.page.lines == () and read.chunks[0].boxes == ()


def test_long_text_is_cut_into_pages_of_whole_lines() -> None:
    text = "".join(f"line {n} with a few more words\n" for n in range(1, 1_001))
    pages = read_all("long.log", text.encode())
    assert "".join(read.page.text for read, _ in pages) == text
    assert all(len(read.page.text) <= PAGE_CHARS and read.page.text.endswith("\n") for read, _ in pages)
    assert pages[0][0].page.label.startswith("lines 1-")
    last = int(pages[0][0].page.label.split("-")[1])
    assert pages[1][0].page.text.startswith(f"line {last + 1} ")


def test_one_endless_line_is_cut_too() -> None:
    pages = texts("data.json", b"x" * 10_000)
    assert [len(page) for page in pages] == [4_000, 4_000, 2_000]


@given(st.text(alphabet="ab \n\u4e2d", max_size=300), st.integers(1, 3))
def test_pages_hold_every_character_once_and_in_order(text: str, times: int) -> None:
    text = text * times * 20
    runs = runs_of_lines(text)
    assert "".join(text[run.start : run.end] for run in runs) == text
    assert all(run.end - run.start <= PAGE_CHARS for run in runs)
    for run in runs:
        assert text.count("\n", 0, run.start) + 1 == run.first_line
        assert text.count("\n", 0, max(run.start, run.end - 1)) + 1 == run.last_line


def test_blank_file_has_a_page_that_says_there_is_no_text() -> None:
    ((read, problem),) = read_all("blank.txt", b"\n\n  \n")
    assert read.chunks == () and problem is not None and problem.reason.code == "page_no_text"


def test_markdown_headings_make_the_path_and_the_source_stays() -> None:
    ((read, _),) = read_all("notes.md", MARKDOWN.encode())
    check_promises(read)
    assert read.page.text == MARKDOWN
    headings = {chunk.heading for chunk in read.chunks}
    assert (
        headings == {"", "Lease agreement", "Lease agreement > Rent", "Lease agreement > Payment"} or len(headings) == 1
    )


def test_markdown_sections_of_a_long_page_are_chunks_of_their_own() -> None:
    body = "Words that fill the section. " * 12
    source = f"# A\n\n{body}\n\n## B\n\n{body}\n\n# C\n\n{body}\n"
    ((read, _),) = read_all("notes.md", source.encode())
    check_promises(read)
    assert [chunk.heading for chunk in read.chunks] == ["A", "A > B", "C"]


def test_front_matter_gives_the_title_and_stays_searchable() -> None:
    document = open_document("notes.md", MARKDOWN.encode())
    assert document.kind is DocumentKind.MARKDOWN and document.title == "The Lease: Notes"
    assert "The Lease: Notes" in document.read_page(1).page.text


def test_first_heading_is_the_title_without_front_matter() -> None:
    assert open_document("a.md", b"# The [Plan](x.md)\n\ntext").title == "The Plan"


@pytest.mark.parametrize(
    "source", ["---\n---\n", "---\nno end of front matter\n", "```\n# open fence", "# ", "=\n=\n", "\n# x"]
)
def test_odd_markdown_keeps_every_character(source: str) -> None:
    for read, _ in read_all("odd.md", source.encode()):
        check_promises(read)
