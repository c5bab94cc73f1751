"""Measuring retrieval: known answers in, figures out, through the command as people run it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pymupdf
import pytest
from click.testing import CliRunner, Result

from app.cli.eval import eval_group
from app.index.dictionary import Dictionary
from app.index.search import SearchIndex
from app.index.terms import fold
from app.services.evaluation import Evaluation, KnownPassage, KnownQuestion
from app.services.library_thread import LibraryThread
from app.store import in_memory_library
from tests.index.builders import LetterEmbedder

PASSAGES = (
    KnownPassage("a", "Lease", "The deposit is two months of rent."),
    KnownPassage("b", "Garden", "Roses are red in June."),
    KnownPassage("c", "", "押金为两个月租金。"),
)


@pytest.fixture
def evaluation() -> Iterator[Evaluation]:
    thread = LibraryThread()
    library = thread.run(lambda: in_memory_library(fold))
    dictionary = Dictionary({"玫瑰": [("roses", 1.0)]}, {})
    yield Evaluation(library, SearchIndex(library, LetterEmbedder(), dictionary), thread, LetterEmbedder())
    thread.run(library.close)
    thread.close()


def lines(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(eval_group, [str(a) for a in arguments])


def test_each_leg_is_measured_alone_and_fused(evaluation: Evaluation) -> None:
    places = evaluation.add_passages("p", PASSAGES)
    questions = [
        KnownQuestion("en", "Which roses?", frozenset({places["b"]})),
        KnownQuestion("en", "No such word qqq", frozenset({places["a"]})),
        KnownQuestion("zh", "玫瑰？", frozenset({places["b"]})),
    ]
    figures = evaluation.measure(questions).figures
    assert figures["en"]["text"].recall_1 == 0.5
    assert figures["zh"]["text"].recall_10 == 0.0
    assert figures["zh"]["dictionary"].recall_1 == 1.0
    assert figures["zh"]["fused"].recall_10 == 1.0
    assert figures["en"]["vector"].recall_10 == 1.0
    assert figures["en"]["fused"].questions == 2


def test_the_rank_decides_recall_and_reciprocal_rank(evaluation: Evaluation) -> None:
    places = evaluation.add_passages("p", [KnownPassage(str(n), "", "rent " * n + "other words") for n in range(1, 5)])
    order = ["4", "3", "2", "1"]  # the more often the word is said, the better
    for rank, passage_id in enumerate(order, start=1):
        question = KnownQuestion(f"q{rank}", "rent", frozenset({places[passage_id]}))
        text = evaluation.measure([question]).figures[f"q{rank}"]["text"]
        assert text.recall_1 == (rank == 1)
        assert text.recall_5 == 1.0
        assert text.mrr_10 == pytest.approx(1 / rank)


def test_the_command_prints_every_leg(tmp_path: Path) -> None:
    passages = lines(tmp_path / "p.jsonl", *({"id": p.passage_id, "title": p.title, "text": p.text} for p in PASSAGES))
    questions = lines(
        tmp_path / "q.jsonl",
        {"question": "When are the roses red?", "passage_id": "b"},
        {"question": "Of something else", "passage_id": "not among these"},
    )
    across = lines(
        tmp_path / "x.jsonl",
        {
            "question_zh": "玫瑰何时开",
            "question_en": "How high is the deposit?",
            "passage_id_en": "b",
            "passage_id_zh": "c",
        },
    )
    done = run("retrieval", "--passages", passages, "--questions", questions, "--questions", across, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["figures"]["q"]["fused"] | {"ms_per_question": 0} == {
        "questions": 1, "recall_1": 1.0, "recall_5": 1.0, "recall_10": 1.0, "mrr_10": 1.0, "ms_per_question": 0,
    }  # fmt: skip
    assert set(report["figures"]) == {"q", "zh question, en passage", "en question, zh passage"}
    assert set(report["figures"]["q"]) == {"text", "dictionary", "vector", "fused"}


def test_pages_are_read_by_the_reader_and_found(tmp_path: Path) -> None:
    pdf = pymupdf.open()
    for text in ("The lease begins in May.", "The deposit is two months of rent.", "Roses are red."):
        pdf.new_page().insert_text((72, 72), text)
    pdf.save(tmp_path / "lease.pdf")
    questions = lines(
        tmp_path / "q.jsonl",
        {
            "question": "How high is the deposit?", "docs": ["lease.pdf"], "answerable": True,
            "evidence": [{"doc": "lease.pdf", "page0": 1}],
        },
        {"question": "Who?", "docs": ["lease.pdf"], "answerable": False, "evidence": []},
    )  # fmt: skip
    done = run("pages", "--root", tmp_path, "--questions", questions)
    assert done.exit_code == 0, done.output
    assert "pages, right document given (1 questions)" in done.stdout
    assert [line.split()[:2] for line in done.stdout.splitlines() if "fused" in line] == [["fused", "1.000"]] * 2
    assert "3 of    3 pages" in done.stderr


@pytest.mark.parametrize("content", ["", "{", '["a"]', '{"question": 3, "passage_id": "b"}', '{"question": "q"}'])
def test_a_file_of_another_format_is_named(tmp_path: Path, content: str) -> None:
    passages = lines(tmp_path / "p.jsonl", {"id": "b", "text": "Roses"})
    (tmp_path / "wrong.jsonl").write_text(content)
    done = run("retrieval", "--passages", passages, "--questions", tmp_path / "wrong.jsonl")
    assert done.exit_code == 1
    assert "wrong.jsonl" in done.stderr


def test_a_missing_document_stops_with_its_name(tmp_path: Path) -> None:
    row = {"question": "q", "docs": ["gone.pdf"], "evidence": [{"doc": "gone.pdf", "page0": 0}]}
    done = run("pages", "--root", tmp_path, "--questions", lines(tmp_path / "q.jsonl", row))
    assert done.exit_code == 1
    assert "gone.pdf" in done.stderr


@pytest.mark.corpus
def test_retrieval_keeps_its_floor_on_the_corpus(corpus: Path, tmp_path: Path) -> None:
    """Every fifth question; the floors lie below what docs/quality.md reports for all of them."""
    qa = corpus / "qa"
    sampled = [_every_fifth(qa / name, tmp_path) for name in ("questions_en.jsonl", "xquad_zh2en_questions.jsonl")]
    done = run(
        "retrieval", "--passages", qa / "passages_en.jsonl", *(x for f in sampled for x in ("--questions", f)), "--json"
    )
    figures = json.loads(done.stdout)["figures"]
    across = figures["zh question, en passage"]
    assert figures["questions_en"]["fused"]["recall_10"] > 0.96
    assert across["fused"]["recall_10"] > 0.66
    assert across["fused"]["recall_10"] > across["dictionary"]["recall_10"] > across["text"]["recall_10"]


def _every_fifth(questions: Path, folder: Path) -> Path:
    sample = folder / questions.name
    sample.write_text("\n".join(questions.read_text("utf-8").splitlines()[::5]), "utf-8")
    return sample
