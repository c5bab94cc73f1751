"""What a small starter model may say: a short value, shown only when it is verified in the source.

The application knows which sentences it sent, so it adds the citation itself. A value is shown only when its
kind can be checked (a number, date or amount where one is asked for, somebody where "who" is asked) and it stands
verbatim in the sentence that fits the question best; otherwise the caller quotes sentences. Measured with
`jingyan eval answers`: values in any other sentence were hardly ever right, values of unchecked kinds one time in
three.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.answering.claims import strip_markers
from app.answering.language import Language, language_of
from app.answering.locate import comparable, find
from app.answering.relevance import RankedSentence, passage_sentences
from app.core.sentences import Span
from app.core.values import Passage

WINDOW_CHARS = 340  # the starters were trained on passages of about this length
HAN_WINDOW_CHARS = 200  # a Chinese character says more and takes a token of its own
MAX_WINDOWS = 3
MAX_VALUE_CHARS = 120

_NUMBER_ASKED = re.compile(
    r"\b(how (?:much|many|long|old|often|far|high|large|big)|when|which (?:year|date|day)"
    r"|what (?:is|are|was|were) the .*\b(?:year|date|time|percentage|amount|price|rent|fee|deposit|salary|cost|period"
    r"|deadline|rate|number|total))\b"
    r"|多少|几|哪天|哪年|哪一[天年月日]|什么时候|何时|多久|多长|多大|日期|金额|比例|百分",
    re.IGNORECASE,
)
_SOMEBODY_ASKED = re.compile(r"\b(who|whose|whom)\b|谁|哪位", re.IGNORECASE)
_HAS_NUMBER = re.compile(
    r"\d|[一二三四五六七八九十百千万亿两]|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|thirty|sixty|ninety|hundred|thousand|"
    r"monday|tuesday|wednesday|thursday|friday|saturday|sunday|january|february|march|april|may|june|july|august|september|october|november|december)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Window:
    """A sentence and its neighbours, about WINDOW_CHARS long; `span` counts inside the chunk's text."""

    passage: Passage
    span: Span

    @property
    def text(self) -> str:
        return self.passage.chunk.text[self.span.start : self.span.end]


@dataclass(frozen=True, slots=True)
class VerifiedValue:
    value: str
    sentence: RankedSentence


def windows(ranked: Sequence[RankedSentence]) -> tuple[Window, ...]:
    """The best sentences widened by their neighbours, no two overlapping, best first."""
    chosen: list[Window] = []
    for sentence in ranked:
        if any(_overlap(w, sentence) for w in chosen):
            continue
        chosen.append(_widen(sentence))
        if len(chosen) == MAX_WINDOWS:
            break
    return tuple(chosen)


def verify_value(value: str, question: str, ranked: Sequence[RankedSentence]) -> VerifiedValue | None:
    """The value with the best sentence, which holds it, or None when it must not be shown."""
    value = strip_markers(value).strip().rstrip("。.；;，,")
    if not value or len(value) > MAX_VALUE_CHARS or not ranked or not _of_asked_kind(value, question):
        return None
    if find(value, comparable(question)):  # an echo of the question says nothing
        return None
    return VerifiedValue(value, ranked[0]) if find(value, comparable(ranked[0].text)) else None


def _of_asked_kind(value: str, question: str) -> bool:
    if _NUMBER_ASKED.search(question):
        return _HAS_NUMBER.search(value) is not None
    return _SOMEBODY_ASKED.search(question) is not None and not any(c.isdigit() for c in value)


def _widen(sentence: RankedSentence) -> Window:
    limit = HAN_WINDOW_CHARS if language_of(sentence.text) is Language.CHINESE else WINDOW_CHARS
    spans = passage_sentences(sentence.passage)
    at = spans.index(sentence.span)
    first = last = at
    while True:
        before = spans[first - 1] if first > 0 else None
        after = spans[last + 1] if last + 1 < len(spans) else None
        if after and after.end - spans[first].start <= limit:
            last += 1
        elif before and spans[last].end - before.start <= limit:
            first -= 1
        else:
            return Window(sentence.passage, Span(spans[first].start, spans[last].end))


def _overlap(window: Window, sentence: RankedSentence) -> bool:
    same = window.passage.chunk.chunk_id == sentence.passage.chunk.chunk_id
    return same and window.span.start < sentence.span.end and sentence.span.start < window.span.end
