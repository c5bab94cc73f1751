"""The whole search over a real in-memory library."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from app.core.ports import Library, SearchHit
from app.core.values import DocumentId
from app.index.search import SearchIndex
from app.index.terms import fold
from app.index.vectors import Float32Row
from app.store import in_memory_library
from tests.index.builders import DICTIONARY, LetterEmbedder, add_document, add_with_vectors, texts_of


@pytest.fixture
def library() -> Iterator[Library]:
    made = in_memory_library(fold)
    yield made
    made.close()


@pytest.fixture
def index(library: Library) -> SearchIndex:
    return SearchIndex(library, LetterEmbedder(), DICTIONARY)


def vector(question: str) -> Float32Row:
    return LetterEmbedder().embed([question], as_question=True)[0]


def texts(library: Library, hits: tuple[SearchHit, ...]) -> list[str]:
    return texts_of(library, [hit.chunk_id for hit in hits])


def test_a_chinese_question_finds_an_english_passage(library: Library, index: SearchIndex) -> None:
    add_document(library, "The deposit is two months.", "The garden is green.")
    hits = index.search("押金多少？", 5)
    assert texts(library, hits) == ["The deposit is two months."]
    assert dict(hits[0].legs) == {"dictionary": 1.0}


def test_an_english_question_finds_a_chinese_passage(library: Library, index: SearchIndex) -> None:
    add_document(library, "押金为两个月租金。", "花园很大。")
    assert texts(library, index.search("How high is the deposit?", 5)) == ["押金为两个月租金。"]


def test_a_name_counts_across_languages_together_with_translations(library: Library, index: SearchIndex) -> None:
    add_document(library, "Deposit for flat A17: 900 euros.", "Deposit for flat B20: 800 euros.", "The garden.")
    hits = index.search("A17 的押金是多少？", 5)
    assert texts(library, hits)[0] == "Deposit for flat A17: 900 euros."
    assert set(hits[0].legs) == {"text", "dictionary"}


def test_the_other_language_never_changes_the_order_of_the_question_s_own(library: Library, index: SearchIndex) -> None:
    add_document(library, *[f"押金第{n}条" + "，附注" * n for n in range(1, 7)])
    before = texts(library, index.search("押金", 6))
    add_document(library, *[f"deposit clause {n}" for n in range(6)], name="english.txt")
    after = texts(library, index.search("押金", 9))
    assert [t for t in after if "押金" in t] == before
    assert ["deposit" in t for t in after] == [False, False, True] * 3


def test_the_language_that_says_more_of_the_question_leads(library: Library, index: SearchIndex) -> None:
    add_document(library, "租金条款和其他许多事情。", "The deposit is two months of rent.")
    hits = index.search("押金相当于几个月租金？", 5)
    assert texts(library, hits) == ["The deposit is two months of rent.", "租金条款和其他许多事情。"]


def test_a_good_passage_in_the_question_s_language_leads_whatever_the_other_has(
    library: Library, index: SearchIndex
) -> None:
    add_document(library, "押金为租金的两倍。", "Deposit, rent, deposit, rent.")
    assert texts(library, index.search("押金和租金", 5))[0] == "押金为租金的两倍。"


def test_vectors_find_what_no_word_finds(library: Library, index: SearchIndex) -> None:
    add_with_vectors(index, library, "tenancy", "zzzz")
    (hit, *_) = index.search("ten ancy", 5, question_vector=vector("ten ancy"))
    assert texts(library, (hit,)) == ["tenancy"]
    assert set(hit.legs) == {"vector"}


def test_without_a_vector_search_still_works(library: Library, index: SearchIndex) -> None:
    add_with_vectors(index, library, "the rent is due", "the garden")
    assert texts(library, index.search("rent", 5, question_vector=None)) == ["the rent is due"]
    nothing = np.zeros(26, np.float32)
    assert texts(library, index.search("rent", 5, question_vector=nothing)) == ["the rent is due"]


def test_chunks_without_vectors_are_found_beside_those_that_have_one(library: Library, index: SearchIndex) -> None:
    add_with_vectors(index, library, "rent of the flat")
    add_document(library, "rent of the garden", name="later.txt")
    hits = index.search("rent", 5, question_vector=vector("rent"))
    assert sorted(texts(library, hits)) == ["rent of the flat", "rent of the garden"]


def test_search_within_documents_keeps_to_them_on_every_leg(library: Library, index: SearchIndex) -> None:
    first = add_with_vectors(index, library, "the rent", "押金", name="a.txt")
    add_with_vectors(index, library, "the rent too", "押金条款", name="b.txt")
    only = frozenset({first[0].document_id})
    for question in ("rent and deposit", "押金"):
        hits = index.search(question, 10, only, question_vector=vector(question))
        assert hits
        assert {hit.document_id for hit in hits} == only
    assert index.search("rent", 10, frozenset(), question_vector=vector("rent")) == ()
    assert index.search("rent", 10, frozenset({DocumentId(77)}), question_vector=vector("rent")) == ()


def test_scores_fall_from_at_most_one(library: Library, index: SearchIndex) -> None:
    add_with_vectors(index, library, *[f"rent {'and more ' * n}" for n in range(8)], "deposit 押金", "租金")
    scores = [hit.score for hit in index.search("rent deposit", 10, question_vector=vector("rent deposit"))]
    assert len(scores) > 5
    assert 0 < scores[0] <= 1
    assert scores == sorted(scores, reverse=True)


def test_rebuilding_from_the_library_gives_the_same_results(library: Library, index: SearchIndex) -> None:
    add_with_vectors(index, library, "the rent is due", "a garden", "押金")
    before = index.search("rent", 5, question_vector=vector("rent"))
    other = SearchIndex(library, LetterEmbedder(), DICTIONARY)
    other.rebuild()
    assert other.vector_count == 3
    assert other.search("rent", 5, question_vector=vector("rent")) == before


def test_rebuilding_in_steps_may_be_interleaved_with_adding(library: Library, index: SearchIndex) -> None:
    add_with_vectors(index, library, "the rent is due")
    other = SearchIndex(library, LetterEmbedder(), DICTIONARY)
    steps = other.rebuild_steps()
    assert next(steps) == 1
    add_with_vectors(other, library, "a garden", name="later.txt")
    assert list(steps)[-1:] in ([], [2])
    assert other.vector_count == 2


def test_a_removed_document_is_not_found_any_more(library: Library, index: SearchIndex) -> None:
    gone = add_with_vectors(index, library, "the rent", name="a.txt")
    add_with_vectors(index, library, "the rent too", name="b.txt")
    index.remove(library.remove(gone[0].document_id))
    assert texts(library, index.search("rent", 5, question_vector=vector("rent"))) == ["the rent too"]
    assert index.vector_count == 1


def test_a_document_that_only_the_library_forgot_breaks_no_search(library: Library, index: SearchIndex) -> None:
    gone = add_with_vectors(index, library, "the rent", "押金", name="a.txt")
    library.remove(gone[0].document_id)
    add_with_vectors(index, library, "the deposit", "租金", name="b.txt")
    hits = index.search("rent and deposit", 10, question_vector=vector("rent and deposit"))
    assert {"the deposit", "租金"} <= set(texts(library, hits))


def test_a_question_without_any_word_finds_nothing(library: Library, index: SearchIndex) -> None:
    add_with_vectors(index, library, "the rent")
    assert index.search("?!", 5) == ()
    assert index.search("rent", 0) == ()
