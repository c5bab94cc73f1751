"""Measure answers: questions with known answers, asked of the running program as a person would.

Works with whatever model is loaded: a starter's value and the quotes of reading mode, or a capable model's text. An
accepted answer counts as given when its letters and digits stand in the text, whatever the spacing, width and case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from app.answering.locate import comparable, find
from app.core.errors import JingyanError
from app.core.events import AnswerReady
from app.core.values import Answer, Question
from app.services.asking import AskingService

VALUE_MARK = "**"  # how a verified short value is set off before its quote


@dataclass(frozen=True, slots=True)
class AnswerableQuestion:
    text: str
    accepted: tuple[str, ...]
    document_name: str  # where the answer stands


@dataclass(frozen=True, slots=True)
class AnswerFigures:
    """Shares of all questions, but `value_right` of the values shown and `verified` of the citations."""

    questions: int
    answered: float  # any text at all
    answer_holds: float  # the text contains an accepted answer
    first_quote_holds: float  # the words quoted by the first citation contain one
    first_source_right: float  # the first citation is of the right document
    verified: float
    value_shown: float  # a short value was given before the quote
    value_right: float  # and it is an accepted answer, or contains or is contained in one


def measure_answers(
    asking: AskingService, questions: Sequence[AnswerableQuestion], progress: Callable[[int], None] = lambda done: None
) -> AnswerFigures:
    outcomes = []
    for done, question in enumerate(questions, start=1):
        outcomes.append((question, _answer(asking, question)))
        progress(done)
    answers = [(q, a) for q, a in outcomes if a is not None and a.text]
    values = [(q, value) for q, a in answers if (value := _value(a))]
    citations = [c for _, a in answers for c in a.citations]
    total = len(questions)
    return AnswerFigures(
        questions=total,
        answered=_share(len(answers), total),
        answer_holds=_share(sum(_holds(a.text, q.accepted) for q, a in answers), total),
        first_quote_holds=_share(sum(_holds(_first_quote(a), q.accepted) for q, a in answers), total),
        first_source_right=_share(sum(_first_source(a) == q.document_name for q, a in answers), total),
        verified=_share(sum(c.verified for c in citations), len(citations)),
        value_shown=_share(len(values), total),
        value_right=_share(sum(_agree(value, q.accepted) for q, value in values), len(values)),
    )


def _answer(asking: AskingService, question: AnswerableQuestion) -> Answer | None:
    try:
        for event in asking.ask(Question(question.text)):
            if isinstance(event, AnswerReady):
                return event.answer
    except JingyanError:
        return None  # counted as not answered
    return None


def _value(answer: Answer) -> str:
    return answer.text.split(VALUE_MARK)[1] if answer.reading_mode and answer.text.startswith(VALUE_MARK) else ""


def _first_quote(answer: Answer) -> str:
    return answer.citations[0].quote if answer.citations else ""


def _first_source(answer: Answer) -> str:
    return answer.citations[0].document_name if answer.citations else ""


def _holds(text: str, accepted: Iterable[str]) -> bool:
    page = comparable(text)
    return any(find(answer, page) is not None for answer in accepted)


def _agree(value: str, accepted: Sequence[str]) -> bool:
    return _holds(value, accepted) or any(find(value, comparable(answer)) is not None for answer in accepted)


def _share(count: int, of: int) -> float:
    return count / of if of else 0.0
