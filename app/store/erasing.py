"""Purge what was removed. Rows are zeroed when deleted (secure_delete); the full-text table only marks its words.

The words of removed chunks leave the file when the table's segments are merged into one. That takes long in a large
library, so it is done in steps, and the wish to do it is stored: a restart does not forget it.
No program can promise that an SSD forgets; what it may still hold is encrypted.
"""

from __future__ import annotations

from app.store.database import Database

_STARTED, _ASKED = "started", "asked"
_PAGES_PER_STEP = 200  # of 4 KiB: about 20 ms


def request(database: Database) -> None:
    """To be called inside the transaction that removes something."""
    database.run("INSERT OR REPLACE INTO meta VALUES ('erasing', ?)", (_ASKED,))


def step(database: Database) -> bool:
    """One step; True while there is more to do."""
    stage = database.row("SELECT value FROM meta WHERE name = 'erasing'")
    if stage is None:
        return False
    with database.transaction():
        more = _merge(database, starting=stage == (_ASKED,))
        if more:
            database.run("INSERT OR REPLACE INTO meta VALUES ('erasing', ?)", (_STARTED,))
        else:
            database.run("DELETE FROM meta WHERE name = 'erasing'")
    if not more:
        database.run("PRAGMA wal_checkpoint(TRUNCATE)")  # the log holds older versions of the zeroed pages
    return more


def _merge(database: Database, *, starting: bool) -> bool:
    """FTS5: a negative number puts all segments on one level first; fewer than two changes mean that it is done."""
    before = database.rows_changed_ever
    pages = -_PAGES_PER_STEP if starting else _PAGES_PER_STEP
    database.run("INSERT INTO chunk_words (chunk_words, rank) VALUES ('merge', ?)", (pages,))
    return starting or database.rows_changed_ever - before >= 2
