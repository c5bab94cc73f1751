"""A page between reader and chunker: its text, and the spans that belong together.

The readers (pdf, text, markdown) know where paragraphs and headings are; the chunker only packs.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.core.values import PageProblem, PageText

MAX_HEADING_CHARS = 300  # a path of headings; longer ones are cut from the left, the nearest heading stays
MAX_HEADINGS = 3  # the nearest ones; the outermost are the title of the document
_SEPARATOR = " > "


@dataclass(frozen=True, slots=True)
class Segment:
    """A paragraph, list item, table row or heading: characters `start:end` of its page.

    Segments of a page are in order, do not overlap and hold every non-space character.
    `heading` is the path of headings in force, its own included when it is one.
    """

    start: int
    end: int
    heading: str
    is_heading: bool = False


@dataclass(frozen=True, slots=True)
class SegmentedPage:
    page: PageText
    segments: tuple[Segment, ...]
    problem: PageProblem | None = None


def heading_path(headings: list[str]) -> str:
    """The innermost headings as one line, outermost first, at most MAX_HEADING_CHARS."""
    path = _SEPARATOR.join(headings[-MAX_HEADINGS:])
    return path if len(path) <= MAX_HEADING_CHARS else "…" + path[1 - MAX_HEADING_CHARS :]
