"""Passages and questions of an evaluation, from JSON-lines files: one object a line, UTF-8.

    passages    id, title (may be missing), text
    questions   question, passage_id; in a two-language set instead question_zh, question_en, passage_id_zh and
                passage_id_en, of which those count whose passage is among the passages given
    answers     questions that also have answers (a list of accepted ones)
    pages       question, docs (paths below the root), evidence (doc, page0: counted from 0), answerable

Any other shape raises BAD_INPUT_FILE with the file's name and the line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from app.core.errors import ErrorCode, JingyanError
from app.services.answer_evaluation import AnswerableQuestion
from app.services.evaluation import KnownPassage, KnownQuestion, Place

Row: TypeAlias = Mapping[str, Any]  # Any: one line of somebody's JSON; checked where it is used
T = TypeVar("T")

_ACROSS = (("zh", "en", "zh question, en passage"), ("en", "zh", "en question, zh passage"))


@dataclass(frozen=True, slots=True)
class PageQuestion:
    """A question, the documents it is about, and the pages (document, page_no) that answer it; none when unknown."""

    text: str
    documents: tuple[str, ...]
    pages: tuple[tuple[str, int], ...]


def read_passages(path: Path) -> tuple[KnownPassage, ...]:
    return _parsed(path, lambda row: [KnownPassage(_text(row, "id"), str(row.get("title") or ""), _text(row, "text"))])


def read_questions(path: Path, places: Mapping[str, Place]) -> tuple[KnownQuestion, ...]:
    """Questions whose passage is in `places`, grouped by file, or by direction in a two-language set."""
    return _parsed(path, lambda row: _questions_of(row, path.stem, places))


def read_answerable(path: Path, names: Mapping[str, str]) -> tuple[AnswerableQuestion, ...]:
    """Questions with accepted answers; `names`: passage id -> name of the document made of it."""
    return _parsed(path, lambda row: _answerable_of(row, names))


def read_page_questions(path: Path) -> tuple[PageQuestion, ...]:
    """Every question of the file; those that cannot be answered or name no page have no `pages`."""
    return _parsed(path, lambda row: [_page_question(row)])


def _questions_of(row: Row, group: str, places: Mapping[str, Place]) -> Iterator[KnownQuestion]:
    if "passage_id" in row:
        if place := places.get(_text(row, "passage_id")):
            yield KnownQuestion(group, _text(row, "question"), frozenset({place}))
        return
    for asked, answered, name in _ACROSS:
        if place := places.get(_text(row, f"passage_id_{answered}")):
            yield KnownQuestion(name, _text(row, f"question_{asked}"), frozenset({place}))


def _answerable_of(row: Row, names: Mapping[str, str]) -> Iterator[AnswerableQuestion]:
    if name := names.get(_text(row, "passage_id")):
        yield AnswerableQuestion(_text(row, "question"), tuple(map(str, row["answers"])), name)


def _page_question(row: Row) -> PageQuestion:
    pages = tuple((_text(e, "doc"), int(e["page0"]) + 1) for e in row["evidence"] if "page0" in e)
    answered = pages if row.get("answerable", True) else ()
    return PageQuestion(_text(row, "question"), tuple(map(str, row["docs"])), answered)


def _parsed(path: Path, parse: Callable[[Row], Iterable[T]]) -> tuple[T, ...]:
    """What `parse` makes of every line; never empty."""
    found: list[T] = []
    for line_no, line in enumerate(_lines(path), start=1):
        try:
            found.extend(parse(json.loads(line)) if line.strip() else ())
        except (ValueError, TypeError, KeyError, AttributeError) as e:
            raise JingyanError(ErrorCode.BAD_INPUT_FILE, name=path.name, line_no=line_no) from e
    if not found:
        raise JingyanError(ErrorCode.BAD_INPUT_FILE, name=path.name)
    return tuple(found)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as e:
        raise JingyanError(ErrorCode.FILE_NOT_FOUND, name=path.name) from e
    except IsADirectoryError as e:
        raise JingyanError(ErrorCode.FILE_IS_FOLDER, name=path.name) from e
    except OSError as e:
        raise JingyanError(ErrorCode.FILE_UNREADABLE, name=path.name) from e
    except UnicodeDecodeError as e:
        raise JingyanError(ErrorCode.BAD_INPUT_FILE, name=path.name) from e


def _text(row: Row, key: str) -> str:
    value = row[key]
    if not isinstance(value, str):
        raise TypeError(key)
    return value
