"""Keyword search: BM25 (k1 = 1.2, b = 0.75, FTS5's own) over title, headings and text of each chunk.

A chunk's score is the weighted sum over the terms, each scored as if it were asked alone. FTS5 knows no term
weights, so terms of equal weight share one query, and the sums are made in SQL.
"""

# ruff: noqa: S608 - only constants of this file are put into SQL

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence

from app.core.ports import ScoredChunk
from app.core.values import ChunkId, DocumentId
from app.store.database import Database, Row, SqlValue

# How much one occurrence in the title, in the headings and in the text counts. Measured on 125 questions over 1,543
# PDF pages, title weight 0 -> 1: page recall at 10 .520 -> .552; on short passages no difference; above 1 nothing.
_COLUMN_WEIGHTS = "1.0, 1.0, 1.0"
_MAX_QUERIES_IN_ONE = 100  # SQLite joins at most 500 queries by UNION ALL


def bm25(
    database: Database, terms: Mapping[str, float], limit: int, within: frozenset[DocumentId] | None
) -> tuple[ScoredChunk, ...]:
    """Best first; chunks of equal score in the order they were saved."""
    queries = _queries(terms)
    if not queries or limit <= 0 or (within is not None and not within):
        return ()
    inside = None if within is None else json.dumps(sorted(within))
    if len(queries) <= _MAX_QUERIES_IN_ONE:
        rows = _best(database, queries, limit, inside)
    else:
        rows = _best_of_many(database, queries, limit, inside)
    return tuple(
        ScoredChunk(ChunkId(chunk_id), DocumentId(document_id), score) for chunk_id, document_id, score in rows
    )


def _queries(terms: Mapping[str, float]) -> list[tuple[float, str]]:
    """(weight, FTS5 expression) per distinct weight."""
    by_weight: defaultdict[float, list[str]] = defaultdict(list)
    for term, weight in terms.items():
        quoted = term.replace("\0", " ").replace('"', '""')  # FTS5 ends an expression at the first NUL
        if weight > 0 and quoted.strip():
            by_weight[weight].append(f'"{quoted}"')
    return [(weight, " OR ".join(words)) for weight, words in by_weight.items()]


def _best(database: Database, queries: Sequence[tuple[float, str]], limit: int, inside: str | None) -> list[Row]:
    sql, values = _summed(queries, inside)
    return database.rows(
        f"SELECT best.id, document_id, score FROM ({sql} ORDER BY score DESC, id LIMIT ?) AS best"
        " JOIN chunks USING (id) ORDER BY score DESC, best.id",
        (*values, limit),
    )


def _best_of_many(
    database: Database, queries: Sequence[tuple[float, str]], limit: int, inside: str | None
) -> list[Row]:
    """The same for any number of queries: a pasted page of text has thousands of weighted terms."""
    scores: defaultdict[int, float] = defaultdict(float)
    for first in range(0, len(queries), _MAX_QUERIES_IN_ONE):
        sql, values = _summed(queries[first : first + _MAX_QUERIES_IN_ONE], inside)
        for chunk_id, score in database.rows(sql, values):
            scores[chunk_id] += score
    best = sorted(scores, key=lambda chunk_id: (-scores[chunk_id], chunk_id))[:limit]
    documents: dict[int, int] = dict(
        database.rows(
            "SELECT id, document_id FROM chunks WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(best),)
        )
    )
    return [(chunk_id, documents[chunk_id], scores[chunk_id]) for chunk_id in best]


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
