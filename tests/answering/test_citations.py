from __future__ import annotations

from app.answering.citations import PageShelf, add_missing_markers, check_answer
from app.core.values import DocumentId, PageText
from tests.answering.builders import page_of, passage_of

RENT = page_of("The monthly rent is 2,400 EUR.\nIt is payable on the third working day.\nThe deposit is 7,200 EUR.")
NOTICE = page_of("Either party may end the lease with “three months’ notice”.\nNotice must be in writing.", 4)
PASSAGES = (passage_of(RENT, 1), passage_of(NOTICE, 2))


def shelf() -> PageShelf:
    def page(document_id: DocumentId, page_no: int) -> PageText:
        return {1: RENT, 4: NOTICE}[page_no]

    return PageShelf(page)


def test_citation_quotes_the_sentence_with_its_own_boxes() -> None:
    checked = check_answer("The deposit is 7,200 EUR [1].", PASSAGES, shelf())
    (citation,) = checked.citations
    assert citation.quote == "The deposit is 7,200 EUR."
    assert citation.boxes == (RENT.lines[2].box,)
    assert (citation.page_no, citation.verified, checked.unsupported) == (1, True, ())


def test_wrong_number_is_reported_and_the_citation_not_verified() -> None:
    checked = check_answer("The rent is 2,500 EUR [1].", PASSAGES, shelf())
    assert checked.unsupported == ("2,500",)
    assert not checked.citations[0].verified


def test_number_from_another_page_does_not_support_this_citation() -> None:
    checked = check_answer("Notice is 7,200 days [2].", PASSAGES, shelf())
    assert checked.unsupported == ("7,200",)


def test_quoted_phrase_is_looked_for_on_the_cited_page() -> None:
    good = check_answer("It says “three months’ notice” [2].", PASSAGES, shelf())
    bad = check_answer("It says “six weeks' notice” [2].", PASSAGES, shelf())
    assert good.unsupported == () and good.citations[0].verified
    assert bad.unsupported == ("six weeks' notice",)


def test_marker_of_a_passage_that_was_not_given_is_taken_out() -> None:
    checked = check_answer("The deposit is 7,200 EUR [1][9].", PASSAGES, shelf())
    assert checked.text == "The deposit is 7,200 EUR [1]."
    assert [c.marker for c in checked.citations] == [1]


def test_marker_after_the_full_stop_belongs_to_the_sentence_before() -> None:
    checked = check_answer("The deposit is 7,200 EUR. [1] Notice must be in writing. [2]", PASSAGES, shelf())
    assert [(c.marker, c.quote) for c in checked.citations] == [
        (1, "The deposit is 7,200 EUR."),
        (2, "Notice must be in writing."),
    ]


def test_number_without_any_citation_is_unsupported() -> None:
    assert check_answer("It costs 99 EUR.", PASSAGES, shelf()).unsupported == ("99",)


def test_chinese_statement_is_cited_and_checked() -> None:
    page = page_of("第五条 违约金为合同总额的百分之十。\n第六条 押金人民币36,000元。", 2)
    passages = (passage_of(page, 1),)
    checked = check_answer("押金为36000元[1]。", passages, PageShelf(lambda _d, _p: page))
    assert checked.citations[0].quote.endswith("押金人民币36,000元。")
    assert checked.citations[0].verified


def test_forgotten_marker_is_added_only_where_a_passage_says_the_same() -> None:
    text = add_missing_markers("Notice must be in writing. Penguins live in Antarctica.", PASSAGES)
    assert text == "Notice must be in writing. [2] Penguins live in Antarctica."


def test_markers_that_the_model_wrote_are_left_alone() -> None:
    assert add_missing_markers("Yes [1]. Notice must be in writing.", PASSAGES).count("[") == 1
