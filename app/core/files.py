"""Write a small file so that it is either the old one or the new one, also after a power cut."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from app.core.errors import ErrorCode, JingyanError

_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def write_atomically(path: Path, content: bytes) -> None:
    """Write a sibling file (rights 0600), bring it to the disk, and put it in the place of `path`.

    Missing folders are made, 0700. Raises DISK_FULL or FOLDER_NOT_WRITABLE; the old file is then untouched and no
    sibling is left.
    """
    sibling: Path | None = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        sibling = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        sibling.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        if sibling is not None:
            sibling.unlink(missing_ok=True)
        full = error.errno in _FULL_ERRNOS
        raise JingyanError(ErrorCode.DISK_FULL if full else ErrorCode.FOLDER_NOT_WRITABLE) from error


def _sync_folder(folder: Path) -> None:
    """So that the new name survives a power cut too. Windows has no such call, and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
