"""The shapes that docs/cli.md promises."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.cli.output import terminal_language
from app.cli.views import answer_json, document_json, document_line, sources_text
from app.core.errors import ErrorCode, Reason
from app.core.values import (
    Answer,
    Box,
    Citation,
    Document,
    DocumentId,
    DocumentKind,
    DocumentState,
    EndReason,
    PageProblem,
    Route,
    Timings,
)
from tests.answering.builders import page_of, passage_of

CITATION = Citation(1, DocumentId(7), "租约.pdf", 2, "ii", (Box(1, 2.341, 3, 4),), "The rent is 5.", verified=False)
ANSWER = Answer(
    text="The rent is 5 [1].",
    citations=(CITATION,),
    route=Route.RETRIEVAL,
    passages=(passage_of(page_of("The rent is 5.")),),
    images=0,
    model="GLM-4",
    reading_mode=False,
    unsupported=("5",),
    end_reason=EndReason.STOP,
    timings=Timings(0.12345, 100, 60, 8, 41.237),
)


def document(state: DocumentState, *problems: PageProblem) -> Document:
    return Document(
        DocumentId(7), Path("/a/租约.pdf"), "租约.pdf", DocumentKind.PDF, state, "ab" * 32, 10, "", 9, 8, problems,
        datetime(2026, 11, 22, tzinfo=UTC),
    )  # fmt: skip


def test_answer_has_every_field_that_is_documented() -> None:
    shape = json.loads(json.dumps(answer_json(ANSWER), ensure_ascii=False))
    assert set(shape) == {
        "answer", "citations", "unsupported", "route", "used", "model", "reading_mode", "end_reason", "timings"
    }  # fmt: skip
    assert shape["citations"][0] == {
        "marker": 1, "document": "租约.pdf", "document_id": 7, "page_no": 2, "page_label": "ii",
        "boxes": [[1, 2.34, 3, 4]],
        "quote": "The rent is 5.", "verified": False,
    }  # fmt: skip
    assert set(shape["used"]) == {"passages", "images"} and shape["used"]["passages"][0]["text"] == "The rent is 5."
    assert set(shape["timings"]) == {"ttft_s", "prompt_tokens", "cached_tokens", "tokens", "tokens_per_s"}


def test_sources_name_page_and_what_was_not_found() -> None:
    text = sources_text(ANSWER)
    assert "[1] 租约.pdf, p. ii" in text and "not found in the source" in text
    assert "Not found on the cited pages: 5" in text


def test_partial_document_says_why_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    broken = document(DocumentState.PARTIAL, PageProblem(4, Reason(ErrorCode.PAGE_BROKEN, {"page_no": 4})))
    assert "8/9 p." in document_line(broken) and "(p. 4)" in document_line(broken)
    assert document_json(broken)["problems"] == [{"page_no": 4, "code": "page_broken", "facts": {"page_no": 4}}]


@pytest.mark.parametrize(("value", "language"), [("zh_CN.UTF-8", "zh_CN"), ("en_GB.UTF-8", "en"), ("C", "en")])
def test_terminal_speaks_the_language_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, value: str, language: str
) -> None:
    monkeypatch.setenv("LC_ALL", value)
    assert terminal_language() == language
