"""What a text and a question look like to the full-text table; the table here is the library's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.index.terms import fold, query_terms
from tests.index.builders import library_of, texts_found


def test_chinese_becomes_pairs_and_traditional_becomes_simplified() -> None:
    assert fold("圖書館") == "图书 书馆"
    assert fold("圖書館") == fold("图书馆")


def test_a_lone_chinese_character_stays_findable() -> None:
    assert fold("2007年") == "2007 年"


def test_accents_width_and_case_do_not_matter() -> None:
    assert fold("Ångström ＣＡＦÉ") == "angstrom cafe"


@pytest.mark.parametrize("written", ["INV-7713", "inv 7713", "INV7713", "inv-7713."])
def test_a_code_is_found_however_it_is_punctuated(written: str) -> None:
    with library_of("Invoice INV-7713 was paid.", "Invoice INV-7714 is open.") as library:
        assert texts_found(library, query_terms(written))[0].startswith("Invoice INV-7713")


@pytest.mark.parametrize("written", ["12,480", "12480"])
def test_a_number_is_found_with_and_without_thousands_marks(written: str) -> None:
    with library_of("Revenue was 12,480 euros.", "Revenue was 12,790 euros.", "480 people") as library:
        assert texts_found(library, query_terms(written))[0] == "Revenue was 12,480 euros."


def test_a_decimal_is_not_taken_for_another_number() -> None:
    assert "35" not in fold("3.5 percent").split()
    assert "3.5" in fold("3.5 percent").split()


def test_dates_written_with_other_marks_are_the_same() -> None:
    assert fold("2024-01-05").split()[-1] == fold("2024/01/05").split()[-1]


def test_possessives_and_plurals_count_as_one_word_of_a_question() -> None:
    assert list(query_terms("the company's companies")) == ["company"]


def test_stop_words_are_dropped_unless_nothing_else_is_left() -> None:
    assert list(query_terms("What is the rent?")) == ["rent"]
    assert list(query_terms("The Who")) == ["the", "who"]


def test_an_empty_question_has_no_terms() -> None:
    assert not query_terms(" ?! ")


@given(st.text(max_size=200))
def test_folding_twice_changes_no_word_boundary(text: str) -> None:
    terms = fold(text).split(" ")
    assert all(terms) or terms == [""]
    assert not any(c.isspace() for t in terms for c in t)


@given(st.lists(st.sampled_from(["Rent-7", "租金", "12,480", "naïve", "a/b", "第3章", "x2.5y", "…"]), min_size=1))
def test_the_library_finds_every_text_by_each_of_its_own_terms(pieces: list[str]) -> None:
    text = " ".join(pieces)
    with library_of(text) as library:
        for term in set(fold(text).split()):
            assert texts_found(library, {term: 1.0}) == [text], term
