"""Rows of documents and of what went wrong with them."""

# ruff: noqa: S608 - only constants and column names of this program are put into SQL

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from app.core.errors import ErrorCode, JingyanError, Reason
from app.core.values import Document, DocumentId, DocumentKind, DocumentState, PageProblem
from app.store.database import Database, Row, SqlValue

_COLUMNS = "id, path, kind, state, content_sha256, size_bytes, title, page_count, pages_read, added_at"


class DocumentRows:
    """Single statements; the library puts transactions around those that belong together."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, path: Path, size_bytes: int) -> DocumentId:
        self._database.run(
            "INSERT INTO documents (path, state, size_bytes, added_at) VALUES (?, ?, ?, ?)",
            (os.fsencode(path), DocumentState.QUEUED, size_bytes, datetime.now(UTC).isoformat()),
        )
        return DocumentId(self._database.last_id)

    def get(self, document_id: DocumentId) -> Document:
        """Raises DOCUMENT_NOT_THERE."""
        found = self._where("id = ?", (document_id,))
        if not found:
            raise JingyanError(ErrorCode.DOCUMENT_NOT_THERE)
        return found[0]

    def all(self) -> tuple[Document, ...]:
        return self._where("TRUE", ())

    def first_with_content(self, content_sha256: str) -> Document | None:
        return next(iter(self._where("content_sha256 = ?", (content_sha256,))), None)

    def first_with_path(self, path: Path) -> Document | None:
        return next(iter(self._where("path = ?", (os.fsencode(path),))), None)

    def set(self, document_id: DocumentId, **columns: SqlValue) -> None:
        """Raises DOCUMENT_NOT_THERE: nothing may be written about a document that was removed meanwhile."""
        assignments = ", ".join(f"{name} = ?" for name in columns)  # names come from our own calls only
        changed = self._database.row(
            f"UPDATE documents SET {assignments} WHERE id = ? RETURNING id",
            (*columns.values(), document_id),
        )
        if changed is None:
            raise JingyanError(ErrorCode.DOCUMENT_NOT_THERE)

    def set_path(self, document_id: DocumentId, path: Path) -> None:
        self.set(document_id, path=os.fsencode(path))

    def delete(self, document_id: DocumentId) -> None:
        self._database.run("DELETE FROM documents WHERE id = ?", (document_id,))

    def add_problems(self, document_id: DocumentId, problems: Iterable[PageProblem]) -> None:
        """The same code for the same page is kept once, with the newest facts."""
        self._database.run_many(
            "INSERT OR REPLACE INTO problems (document_id, page_no, code, facts) VALUES (?, ?, ?, ?)",
            [(document_id, p.page_no, p.reason.code, json.dumps(dict(p.reason.facts))) for p in problems],
        )

    def clear_problems(self, document_id: DocumentId) -> None:
        self._database.run("DELETE FROM problems WHERE document_id = ?", (document_id,))

    def _where(self, condition: str, values: tuple[SqlValue, ...]) -> tuple[Document, ...]:
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM documents WHERE {condition} ORDER BY id",
            values,
        )
        problems = self._problems([row[0] for row in rows])
        return tuple(_document(row, problems.get(row[0], ())) for row in rows)

    def _problems(self, document_ids: list[int]) -> dict[int, tuple[PageProblem, ...]]:
        found: defaultdict[int, list[PageProblem]] = defaultdict(list)
        for document_id, page_no, code, facts in self._database.rows(
            "SELECT document_id, page_no, code, facts FROM problems"
            " WHERE document_id IN (SELECT value FROM json_each(?)) ORDER BY document_id, page_no, code",
            (json.dumps(document_ids),),
        ):
            found[document_id].append(PageProblem(page_no, Reason(ErrorCode(code), json.loads(facts))))
        return {document_id: tuple(problems) for document_id, problems in found.items()}


def _document(row: Row, problems: tuple[PageProblem, ...]) -> Document:
    document_id, path, kind, state, content_sha256, size_bytes, title, page_count, pages_read, added_at = row
    return Document(
        document_id=DocumentId(document_id),
        path=Path(os.fsdecode(path)),
        name=file_name(path),
        kind=DocumentKind(kind) if kind else None,
        state=DocumentState(state),
        content_sha256=content_sha256,
        size_bytes=size_bytes,
        title=title,
        page_count=page_count,
        pages_read=pages_read,
        problems=problems,
        added_at=datetime.fromisoformat(added_at),
    )


def file_name(path: bytes) -> str:
    """The last part of a stored path, always printable: bytes that are no text become U+FFFD."""
    return clean(Path(os.fsdecode(path)).name)


def clean(text: str) -> str:
    """`text` without lone surrogates, which UTF-8 cannot hold; each becomes U+FFFD, so offsets stay right."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    return text
