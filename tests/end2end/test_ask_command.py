"""The main job through the front door: files in, a cited answer out."""

from __future__ import annotations

import json
from pathlib import Path

import pymupdf
import pytest

from app.answering.locate import comparable, find
from app.core.paths import program_root, resources
from tests.end2end.command import jingyan

SAMPLE = resources() / "samples" / "sample.pdf"
QUESTIONS = json.loads((resources() / "samples" / "questions.json").read_text("utf-8"))
CORPUS = program_root().parent / "shared" / "data" / "corpus"


def page_text(path: Path, page_no: int) -> str:
    with pymupdf.open(path) as document:
        return str(document[page_no - 1].get_text())


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q["question"][:40])
def test_sample_question_is_answered_from_the_right_page(question: dict, tmp_path: Path) -> None:  # type: ignore[type-arg]
    outcome = jingyan("ask", "--file", SAMPLE, "--json", question["question"], home=tmp_path / "home")
    assert outcome.code == 0, outcome.err
    answer = outcome.json
    cited = [c for c in answer["citations"] if c["page_no"] == question["page_no"]]
    assert cited and all(c["verified"] for c in answer["citations"]), answer
    assert any(find(question["answer"], comparable(c["quote"])) for c in cited), answer
    for citation in answer["citations"]:
        assert find(citation["quote"], comparable(page_text(SAMPLE, citation["page_no"])))
        assert citation["boxes"]


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.exists(), reason="the shared evaluation corpus is not here")
@pytest.mark.parametrize("row", [0, 1, 2])
def test_real_document_is_cited_with_text_that_stands_on_the_page(row: int, tmp_path: Path) -> None:
    questions = [json.loads(line) for line in (CORPUS / "qa" / "pdfqa_questions.jsonl").read_text("utf-8").splitlines()]
    by_document = {q["docs"][0]: q for q in questions if q["answerable"] and q["evidence"] and len(q["docs"]) == 1}
    document, question = sorted(by_document.items())[row * len(by_document) // 3]
    path = CORPUS / document
    outcome = jingyan("ask", "--file", path, "--json", question["question"], home=tmp_path / "home")
    assert outcome.code == 0, outcome.err
    citations = outcome.json["citations"]
    assert citations
    for citation in citations:
        assert citation["verified"]
        assert find(citation["quote"], comparable(page_text(path, citation["page_no"]))), citation
