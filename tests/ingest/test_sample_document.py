"""Our sample: small, drawn by its script, and the answers to its questions stand where they should."""

from __future__ import annotations

import json
import runpy

import pymupdf
import pytest

from app.core.paths import resources
from tests.ingest.pages import check_promises, read_all

FOLDER = resources() / "samples"
QUESTIONS = json.loads((FOLDER / "questions.json").read_text(encoding="utf-8"))


def test_sample_is_small_and_reads_well() -> None:
    content = (FOLDER / "sample.pdf").read_bytes()
    assert len(content) < 300_000
    pages = read_all("sample.pdf", content)
    assert [read.page.label for read, _ in pages] == ["i", "1", "2", "3", "4", "A-1"]
    for read, problem in pages:
        check_promises(read)
        assert problem is None and "\ufffd" not in read.page.text


def test_sample_is_what_its_script_makes() -> None:
    made: pymupdf.Document = runpy.run_path(str(FOLDER / "make_sample.py"))["drawn"]()
    shipped = read_all("sample.pdf", (FOLDER / "sample.pdf").read_bytes())
    again = read_all("sample.pdf", made.tobytes())
    assert [read.page.text for read, _ in shipped] == [read.page.text for read, _ in again]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q["question"])
def test_answer_stands_in_a_chunk_of_its_page(question: dict[str, str | int]) -> None:
    read, _ = read_all("sample.pdf", (FOLDER / "sample.pdf").read_bytes())[int(question["page_no"]) - 1]
    assert any(str(question["answer"]) in chunk.text for chunk in read.chunks)


def test_there_are_six_questions_in_each_language() -> None:
    assert sorted(q["language"] for q in QUESTIONS) == ["en"] * 6 + ["zh"] * 6
