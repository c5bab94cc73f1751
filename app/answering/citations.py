"""Tie an answer to its sources: which page, which words there, and whether the statement holds on that page.

A model only writes [n]; document, page and boxes come from retrieval metadata, never from the model.
For each statement with [n] the best matching sentence of passage n is quoted, and every number and quoted
phrase of the statement is looked for on that page. What is not there is reported, not hidden.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.answering.claims import MARKER, markers, numbers, quoted_phrases, strip_markers
from app.answering.locate import Comparable, comparable, find
from app.answering.relevance import passage_sentences
from app.core.sentences import Span, sentences
from app.core.values import Box, Citation, DocumentId, PageText, Passage

MIN_PAIR_SHARE = 0.7  # unrelated English sentences share up to about half of their letter pairs with a long passage
MIN_SHARED_PAIRS = 6  # "Yes." says nothing about its source

PageOf = Callable[[DocumentId, int], PageText]


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    text: str  # markers of passages that do not exist are taken out
    citations: tuple[Citation, ...]
    unsupported: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Page:
    page: PageText
    comparable: Comparable


class PageShelf:
    """Pages asked for once per answer, with their comparable form."""

    def __init__(self, page_of: PageOf) -> None:
        self._page_of = page_of
        self._pages: dict[tuple[DocumentId, int], _Page] = {}

    def of(self, passage: Passage) -> _Page:
        key = (passage.chunk.document_id, passage.chunk.page_no)
        if key not in self._pages:
            page = self._page_of(*key)
            self._pages[key] = _Page(page, comparable(page.text))
        return self._pages[key]


def check_answer(text: str, passages: Sequence[Passage], shelf: PageShelf) -> CheckedAnswer:
    """Citations in order of their first marker; `unsupported` holds what no cited page contains."""
    by_number = {p.number: p for p in passages}
    text = MARKER.sub(lambda m: m.group() if int(m.group(1)) in by_number else "", text)
    citations: dict[int, Citation] = {}
    unsupported: list[str] = []
    for statement, cited in _statements(text):
        sources = [by_number[n] for n in cited if n in by_number]
        missing = _not_found(statement, [shelf.of(p).comparable for p in sources])
        unsupported += missing
        for passage in sources:
            citation = cite(passage, statement, shelf, supported=not missing)
            earlier = citations.get(passage.number)
            if earlier is None or (citation.verified and not earlier.verified):
                citations[passage.number] = citation
    return CheckedAnswer(text, tuple(citations.values()), tuple(dict.fromkeys(unsupported)))


def add_missing_markers(text: str, passages: Sequence[Passage]) -> str:
    """Models often forget [n]. A sentence that shares most of its character pairs with one passage gets its number."""
    if markers(text) or not passages:
        return text
    sources = [(p.number, _pairs(p.chunk.text)) for p in passages]
    pieces, at = [], 0
    for span in sentences(text):
        wanted = _pairs(text[span.start : span.end])
        shares = [(sum(min(n, have.get(pair, 0)) for pair, n in wanted.items()), -number) for number, have in sources]
        best, number = max(shares)
        pieces.append(text[at : span.end])
        if best >= MIN_SHARED_PAIRS and best >= MIN_PAIR_SHARE * sum(wanted.values()):
            pieces.append(f" [{-number}]")
        at = span.end
    return "".join(pieces) + text[at:]


def cite(passage: Passage, statement: str, shelf: PageShelf, *, supported: bool = True) -> Citation:
    """The sentence of `passage` nearest to `statement`, as a citation with its boxes."""
    span = _nearest_sentence(passage, statement)
    return cite_span(passage, span, shelf, supported=supported)


def cite_span(passage: Passage, span: Span, shelf: PageShelf, *, supported: bool = True) -> Citation:
    """Cite the characters `span` of the passage's chunk. Verified when they really stand on the page."""
    held = shelf.of(passage)
    start, end = passage.chunk.start + span.start, passage.chunk.start + span.end
    quote = passage.chunk.text[span.start : span.end]
    on_page = held.page.text[start:end] == quote
    if not on_page and (found := find(quote, held.comparable)):
        start, end, on_page = found.start, found.end, True
    return Citation(
        marker=passage.number,
        document_id=passage.chunk.document_id,
        document_name=passage.document_name,
        page_no=passage.chunk.page_no,
        page_label=passage.page_label,
        boxes=boxes_of(held.page, start, end) or passage.chunk.boxes,
        quote=quote,
        verified=on_page and supported,
    )


def boxes_of(page: PageText, start: int, end: int) -> tuple[Box, ...]:
    """Boxes of the printed lines that hold any of the page's characters `start:end`."""
    return tuple(line.box for line in page.lines if line.start < end and start < line.end)


def _statements(text: str) -> list[tuple[str, tuple[int, ...]]]:
    """Sentences with the markers that stand in them; a sentence without one takes the next marked one's.

    "It costs 5 EUR. It is red [2]." cites [2] for both, as people read it; a new line starts afresh.
    """
    found: list[tuple[str, tuple[int, ...]]] = []
    for line in text.split("\n"):
        waiting: list[str] = []
        for span in _marked_sentences(line):
            cited = markers(span)
            waiting.append(strip_markers(span))
            if cited:
                found += [(statement, cited) for statement in waiting]
                waiting = []
        found += [(statement, ()) for statement in waiting if statement.strip()]
    return found


def _marked_sentences(line: str) -> list[str]:
    """Sentences of a line; a marker after the full stop belongs to the sentence before it."""
    parts = [line[s.start : s.end] for s in sentences(line)]
    joined: list[str] = []
    for part in parts:
        rest = part
        while joined and (m := MARKER.match(rest)):
            joined[-1] += m.group()
            rest = rest[m.end() :].lstrip()
        if rest:
            joined.append(rest)
    return joined


def _not_found(statement: str, pages: Sequence[Comparable]) -> list[str]:
    claims = (*numbers(statement), *quoted_phrases(statement))
    return [c for c in claims if not any(find(c, page) for page in pages)]


def _nearest_sentence(passage: Passage, statement: str) -> Span:
    """Most shared character pairs, numbers counted thrice; works for both languages without a tokenizer."""
    wanted = _pairs(statement)
    exact = numbers(statement)

    def score(span: Span) -> float:
        text = passage.chunk.text[span.start : span.end]
        have = _pairs(text)
        shared = sum(min(n, have.get(pair, 0)) for pair, n in wanted.items())
        page = comparable(text)
        return shared / math.sqrt(8 + sum(have.values())) + 3.0 * sum(find(n, page) is not None for n in exact)

    spans = passage_sentences(passage) or (Span(0, len(passage.chunk.text)),)
    return max(spans, key=score)


def _pairs(text: str) -> Mapping[str, int]:
    plain = comparable(text).text
    counts: dict[str, int] = {}
    for pair in itertools.pairwise(plain):
        counts["".join(pair)] = counts.get("".join(pair), 0) + 1
    return counts
