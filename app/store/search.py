"""Keyword search: BM25 (k1 = 1.2, b = 0.75, FTS5's own) over title, headings and text of each chunk.

A chunk's score is the weighted sum over the terms, each scored as if it were asked alone. FTS5 knows no term
weights, so terms of equal weight share one query, and the sums are made in SQL.
"""

# ruff: noqa: S608 - only constants of this file are put into SQL

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from app.core.ports import ScoredChunk
from app.core.values import ChunkId, DocumentId
from app.store.database import Database, SqlValue

# How much one occurrence in the title, in the headings and in the text counts. Measured on 125 questions over 1,543
# PDF pages, title weight 0 -> 1: page recall at 10 .520 -> .552; on short passages no difference; above 1 nothing.
_COLUMN_WEIGHTS = "1.0, 1.0, 1.0"
_MAX_TERMS = 64  # a pasted page has hundreds, and time grows with terms x chunks: minutes in a large library
_COMMON = 1_000  # no need to count further: there are rarer terms


def bm25(
    database: Database, terms: Mapping[str, float], limit: int, within: frozenset[DocumentId] | None
) -> tuple[ScoredChunk, ...]:
    """Best first; chunks of equal score in the order they were saved.

    Of more than 64 terms the 64 that say most (weight x rarity) are summed; the others would hardly move the order.
    """
    expressions = _expressions(terms)
    if len(expressions) > _MAX_TERMS:
        expressions = _most_telling(database, expressions)
    if not expressions or limit <= 0 or (within is not None and not within):
        return ()
    sql, values = _summed(_queries(expressions), None if within is None else json.dumps(sorted(within)))
    rows = database.rows(
        f"SELECT best.id, document_id, score FROM ({sql} ORDER BY score DESC, id LIMIT ?) AS best"
        " JOIN chunks USING (id) ORDER BY score DESC, best.id",
        (*values, limit),
    )
    return tuple(
        ScoredChunk(ChunkId(chunk_id), DocumentId(document_id), score) for chunk_id, document_id, score in rows
    )


def _expressions(terms: Mapping[str, float]) -> dict[str, float]:
    """FTS5 expression -> weight, for terms that can match and count."""
    quoted = ((term.replace("\0", " ").replace('"', '""'), weight) for term, weight in terms.items())
    # the first NUL would end the expression
    return {f'"{term}"': weight for term, weight in quoted if weight > 0}


def _most_telling(database: Database, expressions: Mapping[str, float]) -> dict[str, float]:
    chunk_count = 1 + database.number("SELECT count(*) FROM chunks")
    telling: dict[str, float] = {}
    for expression, weight in expressions.items():
        matches = database.number(
            "SELECT count(*) FROM (SELECT 1 FROM chunk_words WHERE chunk_words MATCH ? LIMIT ?)", (expression, _COMMON)
        )
        if matches:
            telling[expression] = weight * math.log(1 + chunk_count / matches)
    return {
        expression: expressions[expression] for expression in sorted(telling, key=telling.__getitem__)[-_MAX_TERMS:]
    }


def _queries(expressions: Mapping[str, float]) -> list[tuple[float, str]]:
    """(weight, FTS5 expression) per distinct weight."""
    by_weight: defaultdict[float, list[str]] = defaultdict(list)
    for expression, weight in expressions.items():
        by_weight[weight].append(expression)
    return [(weight, " OR ".join(of_weight)) for weight, of_weight in by_weight.items()]


def _summed(queries: Sequence[tuple[float, str]], inside: str | None) -> tuple[str, list[SqlValue]]:
    """SQL for (id, score), one row per chunk.

    CROSS JOIN keeps the full-text table outside: its matches come once, and chunks of other documents are dropped
    before they are scored.
    """
    one = f"SELECT chunk_words.rowid AS id, ? * -bm25(chunk_words, {_COLUMN_WEIGHTS}) AS score FROM chunk_words"
    if inside is None:
        one = f"{one} WHERE chunk_words MATCH ?"
    else:
        one = (
            f"{one} CROSS JOIN chunks ON chunks.id = chunk_words.rowid"
            " WHERE chunk_words MATCH ? AND chunks.document_id IN (SELECT value FROM json_each(?))"
        )
    values: list[SqlValue] = []
    for weight, expression in queries:
        values += (weight, expression) if inside is None else (weight, expression, inside)
    if len(queries) == 1:
        return one, values
    every = " UNION ALL ".join([one] * len(queries))
    return f"SELECT id, sum(score) AS score FROM ({every}) GROUP BY id", values
