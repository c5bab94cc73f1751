from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.answering.locate import comparable, find


def found_text(phrase: str, text: str) -> str | None:
    span = find(phrase, comparable(text))
    return text[span.start : span.end] if span else None


@pytest.mark.parametrize(
    ("phrase", "page", "expected"),
    [
        ("monthly rent", "The Monthly\nRent is due", "Monthly\nRent"),
        ("agreement", "this agree-\nment ends", "agree-\nment"),
        ("12480", "a total of 12,480 EUR", "12,480"),
        ("12,480 EUR", "a total of 12480 EUR", "12480 EUR"),
        ("第三十条", "依照第三\n十条的规定", "第三\n十条"),
        ("ＡＢＣ１２", "code abc12 here", "abc12"),
        ("3.5%", "rises by 3.5 % a year", "3.5 %"),
    ],
)
def test_phrase_is_found_despite_spacing_case_and_width(phrase: str, page: str, expected: str) -> None:
    assert found_text(phrase, page) == expected


@pytest.mark.parametrize(
    ("phrase", "page"),
    [("48", "12480"), ("15", "2015"), ("2.5", "12.57"), ("3", "3.5"), ("5", "3.5"), ("rent", "re5nt"), ("", "x")],
)
def test_part_of_a_longer_number_is_not_that_number(phrase: str, page: str) -> None:
    assert found_text(phrase, page) is None


def test_number_after_another_number_is_still_found() -> None:
    assert found_text("15,000 EUR", "Clause 3 15,000 EUR") == "15,000 EUR"
    assert found_text("315000", "Clause 3 15,000 EUR") is None


@given(st.text(max_size=60), st.text(alphabet="abc甲乙丙12 ,.-\n", max_size=40), st.text(max_size=60))
def test_found_span_holds_the_same_comparable_characters(before: str, middle: str, after: str) -> None:
    page = comparable(before + middle + after)
    span = find(middle, page)
    if span:
        assert comparable((before + middle + after)[span.start : span.end]).text.strip() == comparable(middle).text
