"""`jingyan eval`: how well search finds what answers a question, measured on files with known answers.

Runs the program's own parts (reader and engine children, the store in memory, full text, dictionary, FAISS, fusion)
over a library of its own; the user's library is not touched. Formats of the files: eval_files.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from app.cli.eval_files import PageQuestion, read_page_questions, read_passages, read_questions
from app.cli.output import known_errors, note, print_json
from app.cli.session import json_option
from app.core.errors import ErrorCode, JingyanError
from app.core.paths import starter_models
from app.core.values import Document, DocumentId
from app.index.dictionary import Dictionary
from app.index.search import SearchIndex
from app.index.terms import fold
from app.services.evaluation import Evaluation, KnownQuestion, Place, Report
from app.services.library import LibraryService
from app.services.library_thread import LibraryThread
from app.store import in_memory_library
from app.workers.engine_client import EngineClient
from app.workers.ingest_client import ReaderClient

ALL_DOCUMENTS = "pages, all documents"
GIVEN_DOCUMENT = "pages, right document given"
_PROGRESS_EVERY = 500

file_path = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class _Bench:
    evaluation: Evaluation
    add_files: Callable[[Sequence[Path]], tuple[Document, ...]]


@click.group("eval")
def eval_group() -> None:
    """Measure search on questions with known answers: recall at 1, 5, 10 and mean reciprocal rank."""


@eval_group.command()
@click.option("--passages", "passage_files", multiple=True, required=True, type=file_path, help="May be repeated.")
@click.option("--questions", "question_files", multiple=True, required=True, type=file_path, help="May be repeated.")
@json_option
def retrieval(passage_files: tuple[Path, ...], question_files: tuple[Path, ...], as_json: bool) -> None:
    """Find the passage that answers each question; all passages are in one library, one chunk each."""
    with _bench() as bench:
        places: dict[str, Place] = {}
        for path in passage_files:
            places.update(bench.evaluation.add_passages(path.name, read_passages(path)))
        questions = [q for path in question_files for q in read_questions(path, places)]
        note(f"{len(places)} passages, {len(questions)} questions")
        _print(bench.evaluation.measure(questions, _progress), as_json)


@eval_group.command()
@click.option("--root", required=True, type=file_path, help="Folder that the questions' document paths start from.")
@click.option("--questions", "question_file", required=True, type=file_path)
@json_option
def pages(root: Path, question_file: Path, as_json: bool) -> None:
    """Find a page that answers each question: among all documents of the file, and in the right document alone."""
    all_questions = read_page_questions(question_file)
    names = sorted({d for q in all_questions for d in (*q.documents, *(name for name, _ in q.pages))})
    questions = [q for q in all_questions if q.pages]
    with _bench() as bench:
        note(f"reading {len(names)} documents")
        documents = dict(zip(names, bench.add_files([root / name for name in names]), strict=True))
        for name, document in documents.items():
            note(f"{document.state.value:8} {document.pages_read:4} of {document.page_count:4} pages  {name}")
        ids = {name: d.document_id for name, d in documents.items()}
        known = [k for q in questions for k in _asked_twice(q, ids)]
        note(f"{sum(d.pages_read for d in documents.values())} pages, {len(questions)} questions, each asked twice")
        _print(bench.evaluation.measure(known, _progress), as_json)


def _asked_twice(question: PageQuestion, ids: Mapping[str, DocumentId]) -> Iterator[KnownQuestion]:
    right = frozenset((ids[name], page_no) for name, page_no in question.pages)
    yield KnownQuestion(ALL_DOCUMENTS, question.text, right)
    yield KnownQuestion(GIVEN_DOCUMENT, question.text, right, frozenset(ids[d] for d in question.documents))


@contextlib.contextmanager
def _bench() -> Iterator[_Bench]:
    """The parts that search is made of, over an empty library in memory; known errors end the command."""
    with known_errors(), contextlib.ExitStack() as closing:
        embedder = EngineClient()
        closing.callback(embedder.close)
        thread = LibraryThread()
        closing.callback(thread.close)
        library = thread.run(lambda: in_memory_library(fold))
        closing.callback(lambda: thread.run(library.close))
        dictionary = Dictionary.load(starter_models() / "embedder" / "dict_enzh.json")
        index = thread.run(lambda: SearchIndex(library, embedder, dictionary))
        reader = ReaderClient()
        closing.callback(reader.close)

        def add_files(paths: Sequence[Path]) -> tuple[Document, ...]:
            service = LibraryService(library, index, thread, reader, embedder)
            closing.callback(service.close)
            return _read(service, paths)

        yield _Bench(Evaluation(library, index, thread, embedder), add_files)


def _read(service: LibraryService, paths: Sequence[Path]) -> tuple[Document, ...]:
    """The documents of `paths` in their final state; raises FILE_NOT_FOUND when one is not there."""
    for path in paths:
        if not path.exists():
            raise JingyanError(ErrorCode.FILE_NOT_FOUND, name=path.name)
    rows = service.add(paths)
    service.wait_idle()
    by_id = {d.document_id: d for d in service.documents()}
    return tuple(by_id.get(row.document_id, row) for row in rows)


def _progress(done: int) -> None:
    if done % _PROGRESS_EVERY == 0:
        note(f"{done} questions")


def _print(report: Report, as_json: bool) -> None:
    if as_json:
        figures = {group: {leg: asdict(f) for leg, f in legs.items()} for group, legs in report.figures.items()}
        print_json({"figures": figures, "embed_question_ms": report.embed_question_ms})
        return
    for group, legs in report.figures.items():
        count = next(iter(legs.values())).questions
        click.echo(f"\n{group} ({count} questions)")
        click.echo(f"  {'leg':<12}{'R@1':>7}{'R@5':>7}{'R@10':>7}{'MRR':>7}{'ms':>8}")
        for leg, f in legs.items():
            recall = "".join(f"{value:7.3f}" for value in (f.recall_1, f.recall_5, f.recall_10, f.mrr_10))
            click.echo(f"  {leg:<12}{recall}{f.ms_per_question:8.1f}")
    click.echo(f"\nembedding a question takes {report.embed_question_ms:.2f} ms")
