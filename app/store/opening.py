"""Open the library file: key, lock, settings of the connection, migrations. Owns the file's name and rights.

The cipher is ChaCha20-Poly1305 per page (SQLite3 Multiple Ciphers). The key is used as it is, without a password
function: it is random (app/secrets). The file's first 16 bytes, which the format leaves readable, are set to a
fingerprint of the key, so that a wrong key and a damaged file can be told apart before SQLite touches anything.

One process owns an open library: SQLite holds its exclusive lock until the file is closed or the process dies,
and everybody else gets LIBRARY_LOCKED, also readers. Never open the file in this process past SQLite: on POSIX,
closing any other handle of it drops the lock.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import apsw

from app.core.errors import ErrorCode, JingyanError
from app.store.database import Database, known_error, means_full
from app.store.migrations import MIGRATIONS, Migration, migrate

KEY_BYTES = 32
_FINGERPRINT_BYTES = 16  # what SQLite's file format keeps for its magic word
LOCK_WAIT_S = 2.0  # two commands after each other must not collide; two programs beside each other must be told
_LOCK_RETRY_S = 0.05
_CACHE_KIB = 32 * 1024  # the hot part of the full text of about 10,000 pages
_WAL_KEEP_BYTES = 16 * 1024 * 1024  # a large document leaves a large log; give the disk space back


def open_database(
    path: Path, key: bytes, *, lock_wait_s: float = LOCK_WAIT_S, migrations: Sequence[Migration] = MIGRATIONS
) -> Database:
    """The library file at `path`, made when it is not there, migrated when it is old.

    Raises LIBRARY_LOCKED, KEY_MISSING (found="another": the key is not this library's), LIBRARY_DAMAGED,
    LIBRARY_TOO_NEW, FOLDER_NOT_WRITABLE or DISK_FULL; the file is then as it was.
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"a library key has {KEY_BYTES} bytes")
    _make_private(path)
    _check_header(path, key)
    database = Database(_connect(path, key))
    try:
        _take_ownership(database, lock_wait_s)
        _configure(database)
        migrate(
            database,
            before_change=lambda version: _snapshot(database, path, key, version),
            migrations=migrations,
        )
    except BaseException:
        database.connection.close()
        raise
    return database


def memory_database() -> Database:
    database = Database(apsw.Connection(":memory:"))
    _configure(database)
    migrate(database)
    return database


def _make_private(path: Path) -> None:
    """Folder 0700 when we make it, file 0600 always; SQLite gives its log the rights of the file."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        if not path.is_file():
            raise JingyanError(ErrorCode.FOLDER_NOT_WRITABLE)
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise _creation_error(error) from error


def _creation_error(error: OSError) -> JingyanError:
    return JingyanError(ErrorCode.DISK_FULL if means_full(error.errno) else ErrorCode.FOLDER_NOT_WRITABLE)


def key_fingerprint(key: bytes) -> bytes:
    """Says which key opens a file, and nothing else about the key."""
    return hmac.digest(key, b"jingyan library file", hashlib.sha256)[:_FINGERPRINT_BYTES]


def _check_header(path: Path, key: bytes) -> None:
    header = _read_header(path)
    if not header or header[:_FINGERPRINT_BYTES] == key_fingerprint(key):
        return
    if _is_encrypted_database(header):
        raise JingyanError(ErrorCode.KEY_MISSING, found="another")
    raise JingyanError(ErrorCode.LIBRARY_DAMAGED)


def _read_header(path: Path) -> bytes:
    """The first 24 bytes, read through SQLite's own file layer, which knows about locks held in this process."""
    try:
        file = apsw.VFSFile("", str(path), [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0])
        try:
            size_bytes = file.xFileSize()
            return file.xRead(min(24, size_bytes), 0) if size_bytes else b""
        finally:
            file.xClose()
    except apsw.Error as error:
        raise known_error(error) or error from error


def _is_encrypted_database(header: bytes) -> bool:
    """Bytes 16 to 23 stay readable in every encrypted SQLite file: page size, versions, reserve, three constants."""
    if len(header) < 24 or header.startswith(b"SQLite format 3"):
        return False
    page_size = int.from_bytes(header[16:18], "big")
    is_power_of_two = page_size & (page_size - 1) == 0
    return is_power_of_two and (page_size == 1 or page_size >= 512) and header[21:24] == bytes((64, 32, 32))


def _connect(path: Path, key: bytes) -> apsw.Connection:
    try:
        connection = apsw.Connection(str(path))
    except UnicodeEncodeError as error:  # a folder name that is not text
        raise JingyanError(ErrorCode.FOLDER_NOT_WRITABLE) from error
    except apsw.Error as error:
        raise known_error(error) or error from error
    connection.pragma("cipher", "chacha20")
    connection.pragma("key", f"raw:{(key + key_fingerprint(key)).hex()}")
    return connection


def _take_ownership(database: Database, lock_wait_s: float) -> None:
    """Hold the exclusive lock from here to close(). Exclusive WAL also needs no shared memory file."""
    database.run("PRAGMA locking_mode = EXCLUSIVE")
    deadline_s = time.monotonic() + lock_wait_s
    while True:
        try:
            database.run("PRAGMA journal_mode = WAL")
            database.run("BEGIN EXCLUSIVE; COMMIT")
            return
        except JingyanError as error:
            if error.code is not ErrorCode.LIBRARY_LOCKED or time.monotonic() > deadline_s:
                raise
            time.sleep(_LOCK_RETRY_S)


def _configure(database: Database) -> None:
    for setting in (
        "synchronous = FULL",  # a committed page survives a power cut
        "fullfsync = ON",  # on macOS too, where fsync alone stops in the drive's cache
        "foreign_keys = ON",
        "secure_delete = ON",  # what the user removed is overwritten, not only unlinked
        "temp_store = MEMORY",  # temporary files would not be encrypted
        "trusted_schema = OFF",
        "cell_size_check = ON",
        f"cache_size = -{_CACHE_KIB}",
        f"journal_size_limit = {_WAL_KEEP_BYTES}",
    ):
        database.run(f"PRAGMA {setting}")


def snapshot_path(path: Path, version: int) -> Path:
    return path.with_name(f"{path.name}.before-{version + 1}")


def _snapshot(database: Database, path: Path, key: bytes, version: int) -> None:
    """A complete encrypted copy beside the file, before the first migration step. Older copies go."""
    target = snapshot_path(path, version)
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    _make_private(part)
    copy = _connect(part, key)
    try:
        with copy.backup("main", database.connection, "main") as backup:
            backup.step(-1)
    except apsw.Error as error:
        copy.close()
        part.unlink(missing_ok=True)
        raise known_error(error, copy) or error from error
    copy.close()
    part.replace(target)
    for old in path.parent.glob(f"{path.name}.before-*"):
        if old != target:
            old.unlink(missing_ok=True)
