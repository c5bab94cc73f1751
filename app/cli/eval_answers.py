"""`jingyan eval answers`: how often the whole program gives the right answer, with the model that is loaded.

The passages become Markdown files that are added, read, stored and searched like a user's; each question is then asked.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from app.cli.eval_files import read_answerable, read_passages
from app.cli.output import note, print_json
from app.cli.session import json_option, model_option, session
from app.core.errors import JingyanError
from app.core.values import DocumentState
from app.services.answer_evaluation import AnswerFigures, measure_answers
from app.services.evaluation import KnownPassage

_PROGRESS_EVERY = 100

file_path = click.Path(path_type=Path)


@click.command()
@click.option("--passages", "passage_file", required=True, type=file_path)
@click.option("--questions", "question_file", required=True, type=file_path)
@click.option("--limit", default=300, show_default=True, type=click.IntRange(1), help="Questions asked, evenly spread.")
@model_option
@json_option
def answers(passage_file: Path, question_file: Path, limit: int, model: Path | None, as_json: bool) -> None:
    """Ask questions with known answers over a library of passages and count the right ones."""
    with (
        session(in_memory=True, model=model, with_model=True) as jingyan,
        tempfile.TemporaryDirectory(prefix="jingyan-") as folder,
    ):
        passages = read_passages(passage_file)
        names = {p.passage_id: f"{number}.md" for number, p in enumerate(passages, start=1)}
        documents = jingyan.add_and_wait(_write(Path(folder), passages, names))
        note(f"{sum(d.state is DocumentState.READY for d in documents)} of {len(passages)} passages ready")
        if (failure := jingyan.wait_for_model()) and model:
            raise JingyanError(failure.code, **failure.facts)
        questions = read_answerable(question_file, names)
        chosen = questions[:: max(1, len(questions) // limit)][:limit]
        figures = measure_answers(jingyan.asking, chosen, _progress)
        loaded = jingyan.models.current()
    if as_json:
        print_json({"model": loaded.name if loaded else "", **asdict(figures)})
    else:
        _print(figures)


def _write(folder: Path, passages: Sequence[KnownPassage], names: Mapping[str, str]) -> list[Path]:
    paths = []
    for passage in passages:
        path = folder / names[passage.passage_id]
        heading = f"# {passage.title}\n\n" if passage.title else ""
        path.write_text(f"{heading}{passage.text}\n\n<!-- {passage.passage_id} -->\n", "utf-8")  # no two are the same
        paths.append(path)
    return paths


def _progress(done: int) -> None:
    if done % _PROGRESS_EVERY == 0:
        note(f"{done} questions")


def _print(figures: AnswerFigures) -> None:
    for name, value in asdict(figures).items():
        click.echo(f"{name:<20}{value:>8.3f}" if isinstance(value, float) else f"{name:<20}{value:>8}")
