"""Questions in terms of the other language."""

from __future__ import annotations

import pytest

from app.core.paths import starter_models
from app.index.dictionary import Dictionary
from app.index.terms import fold

SMALL = Dictionary(
    {
        "押金": [("deposit", 0.9)],
        "押": [("pledge", 0.5)],
        "图书": [("books", 0.7)],
        "租金": [("rent", 0.6), ("rental", 0.2)],
    },
    {"rent": [("租金", 0.6), ("的", 0.3), ("租", 0.2)]},
)
SHIPPED = Dictionary.load(starter_models() / "embedder" / "dict_enzh.json")


def test_the_longest_word_wins() -> None:
    assert dict(SMALL.expand("押金多少", to_chinese=False)) == {"deposit": 1.0}


def test_each_word_shares_out_one_among_its_translations() -> None:
    terms = SMALL.expand("租金", to_chinese=False)
    assert terms["rent"] > terms["rental"]
    assert abs(sum(terms.values()) - 1.0) < 1e-9


def test_english_inflections_find_their_entry_and_function_words_are_no_translation() -> None:
    assert SMALL.expand("Are rents high?", to_chinese=True) == pytest.approx({"租金": 0.75, "租": 0.25})


def test_a_traditional_question_finds_simplified_entries() -> None:
    assert dict(SMALL.expand("圖書", to_chinese=False)) == {"books": 1.0}


def test_unknown_words_and_names_give_nothing() -> None:
    assert not SMALL.expand("GLM-4 龘", to_chinese=False)
    assert not SMALL.expand("GLM-4", to_chinese=True)


def test_the_shipped_dictionary_knows_everyday_words_both_ways() -> None:
    assert "university" in SHIPPED.expand("哪所大学最大？", to_chinese=False)
    assert "大学" in SHIPPED.expand("Which university is the largest?", to_chinese=True)


def test_shipped_translations_are_index_terms_already() -> None:
    for question, to_chinese in (("经济和战争", False), ("economy and war", True)):
        terms = SHIPPED.expand(question, to_chinese=to_chinese)
        assert terms
        assert all(fold(term) == term for term in terms)
