from __future__ import annotations

import itertools

import pytest

from app.answering.citations import PageShelf
from app.answering.reading import quote_openings, quote_sentences, quote_value
from app.answering.relevance import QuestionTerms, RankedSentence, rank_sentences
from app.answering.starter import verify_value, windows
from tests.answering.builders import page_of, passage_of

PAGE = page_of(
    "The landlord is Harbour Estates Ltd.\nThe monthly rent is 2,400 EUR.\nThe deposit is 7,200 EUR.\nPets are allowed."
)
SHELF = PageShelf(lambda _d, _p: PAGE)


def fold(text: str) -> str:
    return "".join(c.lower() if c.isalnum() else " " for c in text)


def rank(question: str) -> tuple[RankedSentence, ...]:
    weights = {t: 1.0 for t in fold(question).split() if t not in {"what", "is", "the", "how", "much"}}
    return rank_sentences([passage_of(PAGE)], QuestionTerms(weights, fold, lambda t: t))


def test_sentence_with_the_rare_words_of_the_question_comes_first() -> None:
    assert rank("What is the monthly rent?")[0].text == "The monthly rent is 2,400 EUR."


def test_question_that_shares_no_word_quotes_nothing() -> None:
    assert quote_sentences(rank("Who won the cup final?"), SHELF).text == ""


def test_quotes_are_verbatim_and_verified_with_boxes() -> None:
    quoted = quote_sentences(rank("deposit"), SHELF)
    assert quoted.text == "> The deposit is 7,200 EUR. [1]"
    assert quoted.citations[0].verified and quoted.citations[0].boxes == (PAGE.lines[2].box,)


def test_value_is_shown_with_the_sentence_it_stands_in() -> None:
    ranked = rank("How much is the deposit?")
    found = verify_value("7,200 EUR [3]", "How much is the deposit?", ranked)
    assert found is not None
    assert quote_value(found, ranked, SHELF).text == "**7,200 EUR** [1]\n\n> The deposit is 7,200 EUR. [1]"


@pytest.mark.parametrize(
    ("value", "question"),
    [
        ("7,300 EUR", "How much is the deposit?"),  # not in the source
        ("200 EUR", "How much is the deposit?"),  # part of a number
        ("Harbour Estates Ltd", "How much is the deposit?"),  # no number where one is asked for
        ("the deposit", "What is the deposit?"),  # echo of the question
        ("Pets", "What is the deposit?"),  # stands in a sentence about something else
        ("2,400 EUR", "How much is the deposit?"),  # stands in another sentence than the best
        ("allowed", "Are pets allowed?"),  # a kind of question whose answer cannot be checked
        ("", "How much is the deposit?"),
        ("x" * 500, "How much is the deposit?"),
    ],
)
def test_unsafe_value_of_a_starter_is_not_shown(value: str, question: str) -> None:
    assert verify_value(value, question, rank(question)) is None


def test_windows_hold_the_best_sentence_and_do_not_overlap() -> None:
    ranked = rank("monthly rent deposit")
    chosen = windows(ranked)
    assert ranked[0].text in chosen[0].text
    spans = sorted((w.span.start, w.span.end) for w in chosen)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def test_repeated_header_is_quoted_once() -> None:
    first, second = page_of("Confidential deposit note.", 1), page_of("Confidential deposit note.", 2)
    passages = [passage_of(first, 1), passage_of(second, 2)]
    ranked = rank_sentences(passages, QuestionTerms({"deposit": 1.0}, fold, lambda t: t))
    assert len(quote_sentences(ranked, PageShelf(lambda _d, n: first if n == 1 else second)).citations) == 1


def test_openings_take_one_sentence_per_heading() -> None:
    quoted = quote_openings(
        [passage_of(PAGE, 1, heading="Rent"), passage_of(PAGE, 2, heading="Rent"), passage_of(PAGE, 3, heading="Term")],
        SHELF,
    )
    assert len(quoted.citations) == 1  # same words under the second heading are not repeated


def test_rows_of_a_table_stay_rows_and_chinese_lines_join_without_a_space() -> None:
    table = page_of("Year\tRent\n2027\t4,850 EUR")
    ranked = rank_sentences([passage_of(table)], QuestionTerms({"rent": 1.0}, fold, lambda t: t))
    shown = quote_sentences(ranked, PageShelf(lambda _d, _p: table)).text
    assert shown == "> Year | Rent  \n> 2027 | 4,850 EUR [1]"
    lines = page_of("两个月租金作\n为补偿。")
    ranked = rank_sentences([passage_of(lines)], QuestionTerms({"两个月租金作": 1.0}, fold, lambda t: t))
    assert quote_sentences(ranked, PageShelf(lambda _d, _p: lines)).text == "> 两个月租金作为补偿。 [1]"


def test_bare_heading_is_not_quoted() -> None:
    page = page_of("5 Deposit\n\nThe tenant pays a deposit of EUR 14,550.")
    passage = passage_of(page, heading="Lease > 5 Deposit")
    ranked = rank_sentences([passage], QuestionTerms({"deposit": 1.0}, fold, lambda t: t))
    assert [r.text for r in ranked] == ["The tenant pays a deposit of EUR 14,550."]
