from __future__ import annotations

from app.services.answer_evaluation import AnswerableQuestion, measure_answers
from tests.fakes.engine import model_info
from tests.services.conftest import Bench

QUESTIONS = [
    AnswerableQuestion("What is the deposit?", ("EUR 500", "500 EUR"), "lease.txt"),
    AnswerableQuestion("What is the monthly rent?", ("100 EUR",), "lease.txt"),
    AnswerableQuestion("Quasar luminosity?", ("nothing of it",), "lease.txt"),
]


def test_quoted_answers_are_counted_right_and_wrong(bench: Bench) -> None:
    bench.embedder.down = True
    bench.add("lease.txt", "The deposit is 500 EUR.\fThe monthly rent is 100 EUR.")
    figures = measure_answers(bench.asking, QUESTIONS)
    assert (figures.questions, round(figures.answered, 2), round(figures.first_quote_holds, 2)) == (3, 0.67, 0.67)
    assert (round(figures.first_source_right, 2), figures.verified, figures.value_shown) == (0.67, 1.0, 0.0)


def test_values_of_a_starter_are_counted_among_those_shown(bench: Bench) -> None:
    bench.embedder.down = True
    bench.add("lease.txt", "The deposit is 500 EUR.\fThe monthly rent is 100 EUR.")
    bench.engine.info, bench.engine.answer = model_info(starter=True), "500 EUR"
    figures = measure_answers(bench.asking, QUESTIONS)
    assert round(figures.value_shown, 2) == 0.33  # not for the rent: its sentence does not hold this value
    assert figures.value_right == 1.0


def test_library_without_documents_counts_as_not_answered(bench: Bench) -> None:
    assert measure_answers(bench.asking, QUESTIONS).answered == 0.0
