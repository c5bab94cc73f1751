"""Reading mode: no model writes; the sentences that answer best are quoted verbatim with their pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.answering.citations import PageShelf, cite_span
from app.answering.relevance import RankedSentence, passage_sentences
from app.answering.starter import VerifiedValue
from app.core.values import Citation, Passage

MAX_QUOTES = 3
MAX_OPENINGS = 6
MIN_OPENING_CHARS = 24  # shorter "sentences" are titles, dates and page numbers
_WORTH_QUOTING = 0.62  # of the best sentence's score
_FITS_AS_WELL = 0.9


@dataclass(frozen=True, slots=True)
class Quoted:
    text: str
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]  # renumbered: only those quoted


def quote_sentences(ranked: Sequence[RankedSentence], shelf: PageShelf) -> Quoted:
    """One quote per line, Markdown block quotes, each with its marker."""
    return _compose("", _best(ranked, _WORTH_QUOTING), shelf)


def quote_value(found: VerifiedValue, ranked: Sequence[RankedSentence], shelf: PageShelf) -> Quoted:
    """A short verified value, then the sentence it stands in, and others only where they fit as well."""
    return _compose(f"**{found.value}** [1]\n\n", _best(ranked, _FITS_AS_WELL), shelf)


def quote_openings(passages: Sequence[Passage], shelf: PageShelf) -> Quoted:
    """The first full sentence under each heading: what a document is about, without a model to summarise it."""
    chosen: list[RankedSentence] = []
    seen: set[str] = set()
    for passage in passages:
        place = passage.chunk.heading or f"p{passage.chunk.page_no}"
        full = next((s for s in passage_sentences(passage) if s.end - s.start >= MIN_OPENING_CHARS), None)
        if place in seen or full is None:
            continue
        seen.add(place)
        chosen.append(RankedSentence(passage, full, passage.chunk.text[full.start : full.end], 1.0))
        if len(chosen) == MAX_OPENINGS:
            break
    return _compose("", _distinct(chosen), shelf)


def _best(ranked: Sequence[RankedSentence], share: float) -> list[RankedSentence]:
    """The sentences with at least `share` of the best one's score."""
    return _distinct([r for r in ranked if r.score >= ranked[0].score * share])[:MAX_QUOTES]


def _compose(lead: str, sentences: Sequence[RankedSentence], shelf: PageShelf) -> Quoted:
    lines, citations, passages = [], [], []
    for number, sentence in enumerate(sentences, 1):
        passage = replace(sentence.passage, number=number)
        citations.append(cite_span(passage, sentence.span, shelf))
        passages.append(passage)
        lines.append(f"{_as_quote(sentence.text)} [{number}]")
    return Quoted(lead + "\n\n".join(lines), tuple(citations), tuple(passages))


def _as_quote(text: str) -> str:
    """A Markdown block quote: printed lines run together as one, rows of a table stay rows."""
    rows: list[str] = []
    for line in filter(None, (part.strip() for part in text.split("\n"))):
        if rows and "\t" not in line and "\t" not in rows[-1]:
            rows[-1] += line if _is_han(rows[-1][-1]) and _is_han(line[0]) else f" {line}"
        else:
            rows.append(line)
    return "  \n".join("> " + row.replace("\t", " | ") for row in rows)


def _is_han(char: str) -> bool:
    return "\u3000" <= char <= "\u9fff" or "\uff00" <= char <= "\uffef"


def _distinct(sentences: Sequence[RankedSentence]) -> list[RankedSentence]:
    """Headers and footers repeat on every page: quote the same words once."""
    seen: set[str] = set()
    kept = []
    for sentence in sentences:
        key = "".join(sentence.text.split()).casefold()
        if key not in seen:
            seen.add(key)
            kept.append(sentence)
    return kept
