"""The schema, as numbered steps. A step that has shipped is never edited; the next one is added below it.

Each step runs in one transaction together with its number (user_version), so a file is always at a whole number.
Chunk text is not stored: it is the page text `start:end`. The full-text table is contentless for the same reason.
Ids are AUTOINCREMENT: an id that was removed never comes back, so caches that still know it cannot be misled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.core.errors import ErrorCode, JingyanError
from app.store.database import Database


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    sql: str


FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path BLOB NOT NULL,              -- as the file system spells it, which need not be text
    kind TEXT,
    state TEXT NOT NULL,
    content_sha256 TEXT,
    size_bytes INTEGER NOT NULL,
    title TEXT NOT NULL DEFAULT '',
    page_count INTEGER NOT NULL DEFAULT 0,
    pages_read INTEGER NOT NULL DEFAULT 0,
    added_at TEXT NOT NULL
);
CREATE INDEX documents_by_content ON documents(content_sha256);
CREATE INDEX documents_by_path ON documents(path);

CREATE TABLE problems (
    document_id INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    page_no INTEGER NOT NULL,
    code TEXT NOT NULL,
    facts TEXT NOT NULL,             -- JSON object
    PRIMARY KEY (document_id, page_no, code)
) WITHOUT ROWID;

CREATE TABLE pages (
    id INTEGER PRIMARY KEY,
    document_id INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    page_no INTEGER NOT NULL,
    label TEXT NOT NULL,
    width_pt REAL NOT NULL,
    height_pt REAL NOT NULL,
    text TEXT NOT NULL,
    lines BLOB NOT NULL,             -- packing.py
    UNIQUE (document_id, page_no)
);

CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document_id INTEGER NOT NULL,
    page_no INTEGER NOT NULL,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    heading TEXT NOT NULL,
    boxes BLOB NOT NULL,             -- packing.py
    FOREIGN KEY (document_id, page_no) REFERENCES pages(document_id, page_no) ON DELETE CASCADE
);
CREATE INDEX chunks_by_page ON chunks(document_id, page_no);

CREATE TABLE embedders (
    id INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    dim INTEGER NOT NULL
);
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY,
    embedder_id INTEGER NOT NULL REFERENCES embedders(id) ON DELETE CASCADE,
    chunk_id INTEGER NOT NULL REFERENCES chunks(id) ON DELETE CASCADE,
    vector BLOB NOT NULL,            -- little-endian float32
    UNIQUE (embedder_id, chunk_id)
);
CREATE INDEX vectors_by_chunk ON vectors(chunk_id);

-- Words come in ready (folded, Chinese as bigrams), divided by spaces. Every visible character is part of a word;
-- porter stems English and leaves everything else alone.
CREATE VIRTUAL TABLE chunk_words USING fts5(
    title, heading, body, content='', contentless_delete=1,
    tokenize="porter unicode61 remove_diacritics 0 categories 'L* N* M* P* S* Co'"
);
"""

MIGRATIONS: tuple[Migration, ...] = (Migration(1, FIRST),)


def migrate(
    database: Database,
    *,
    before_change: Callable[[int], None] = lambda version: None,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> None:
    """Bring the file to the newest number.

    `before_change(version)` runs once, before the first step, when the file already holds a library of `version`.
    Raises LIBRARY_TOO_NEW, and changes nothing, when a newer program wrote the file.
    """
    version = database.number("PRAGMA user_version")
    newest = migrations[-1].number
    if version > newest:
        raise JingyanError(ErrorCode.LIBRARY_TOO_NEW, found=version, known=newest)
    pending = [migration for migration in migrations if migration.number > version]
    if pending and version:
        before_change(version)
    for migration in pending:
        with database.transaction():
            database.run(migration.sql)
            database.run(f"PRAGMA user_version = {migration.number:d}")
