"""One SQLite connection, with SQLite's errors turned into ours. The only file of the store that catches them.

    busy                                   -> LIBRARY_LOCKED
    full, or an I/O error that means full  -> DISK_FULL
    cannot open, read-only, no permission  -> FOLDER_NOT_WRITABLE
    malformed, not a database              -> LIBRARY_DAMAGED
    any other I/O error                    -> FILE_UNREADABLE

A broken constraint or wrong SQL is a bug of ours and passes through as it is.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import apsw

from app.core.errors import ErrorCode, JingyanError

SqlValue: TypeAlias = int | float | str | bytes | None
Row: TypeAlias = tuple[Any, ...]  # Any: the schema, not Python, gives the columns their types

_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Database:
    """Thin on purpose: SQL goes in, rows come out, whole lists only, so no statement stays open between calls."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    @property
    def connection(self) -> apsw.Connection:
        return self._connection

    def rows(self, sql: str, values: Sequence[SqlValue] = ()) -> list[Row]:
        with self._translated():
            return list(self._connection.execute(sql, values))

    def row(self, sql: str, values: Sequence[SqlValue] = ()) -> Row | None:
        found = self.rows(sql, values)
        return found[0] if found else None

    def run(self, sql: str, values: Sequence[SqlValue] = ()) -> None:
        self.rows(sql, values)

    def run_many(self, sql: str, rows: Iterable[Sequence[SqlValue]]) -> None:
        with self._translated():
            self._connection.executemany(sql, rows)

    def number(self, sql: str, values: Sequence[SqlValue] = ()) -> int:
        """The first column of the first row, 0 when there is none or it is NULL."""
        found = self.row(sql, values)
        return int(found[0] or 0) if found else 0

    @property
    def last_id(self) -> int:
        return self._connection.last_insert_rowid()

    @property
    def rows_changed_ever(self) -> int:
        return self._connection.total_changes()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block or nothing of it, also when the disk is full or the process dies."""
        self.run("BEGIN IMMEDIATE")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            # a full disk has already rolled back; a second ROLLBACK would hide the first error
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        with self._translated():
            self._connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except apsw.Error as error:
            known = known_error(error, self._connection)
            if known is None:
                raise
            raise known from error


def means_full(error_number: int | None) -> bool:
    return error_number in _FULL_ERRNOS


def known_error(error: apsw.Error, connection: apsw.Connection | None = None) -> JingyanError | None:
    """Our error for SQLite's, or None when it is a bug of ours."""
    match error:
        case apsw.BusyError() | apsw.LockedError():
            return JingyanError(ErrorCode.LIBRARY_LOCKED)
        case apsw.FullError():
            return JingyanError(ErrorCode.DISK_FULL)
        case apsw.CantOpenError() | apsw.ReadOnlyError() | apsw.PermissionsError():
            return JingyanError(ErrorCode.FOLDER_NOT_WRITABLE)
        case apsw.CorruptError() | apsw.NotADBError():
            return JingyanError(ErrorCode.LIBRARY_DAMAGED)
        case apsw.IOError():
            if connection is not None and means_full(connection.system_errno):
                return JingyanError(ErrorCode.DISK_FULL)
            return JingyanError(ErrorCode.FILE_UNREADABLE)
        case apsw.NoMemError():
            return JingyanError(ErrorCode.OUT_OF_MEMORY)
    return None
