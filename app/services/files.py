"""Read a user's file once, completely, with bounds; what is hashed is what is parsed."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path

from app.core.cancel import CancelToken
from app.core.errors import ErrorCode, JingyanError
from app.core.limits import MAX_FILE_BYTES, MIB

_PIECE_BYTES = 4 * MIB


@dataclass(frozen=True, slots=True)
class FileContent:
    content: bytes
    sha256: str


def check_file(path: Path) -> int:
    """Size in bytes. Raises JingyanError for everything that is not a readable, non-empty, regular file."""
    try:
        info = path.stat()
    except FileNotFoundError as error:
        raise JingyanError(ErrorCode.FILE_NOT_FOUND) from error
    except OSError as error:
        raise JingyanError(ErrorCode.FILE_UNREADABLE) from error
    if stat.S_ISDIR(info.st_mode):
        raise JingyanError(ErrorCode.FILE_IS_FOLDER)
    if not stat.S_ISREG(info.st_mode):
        raise JingyanError(ErrorCode.FILE_NOT_REGULAR)
    if info.st_size == 0:
        raise JingyanError(ErrorCode.FILE_EMPTY)
    if info.st_size > MAX_FILE_BYTES:
        raise JingyanError(ErrorCode.FILE_TOO_LARGE, size_mib=info.st_size // MIB, limit_mib=MAX_FILE_BYTES // MIB)
    return info.st_size


def read_file(path: Path, cancel: CancelToken | None = None) -> FileContent:
    """The whole file and its SHA-256. A file that grows past the limit while it is read is refused."""
    check_file(path)
    digest, pieces, size = hashlib.sha256(), [], 0
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                if cancel:
                    cancel.raise_if_cancelled()
                size += len(piece)
                if size > MAX_FILE_BYTES:
                    raise JingyanError(ErrorCode.FILE_TOO_LARGE, size_mib=size // MIB, limit_mib=MAX_FILE_BYTES // MIB)
                digest.update(piece)
                pieces.append(piece)
    except FileNotFoundError as error:
        raise JingyanError(ErrorCode.FILE_NOT_FOUND) from error
    except OSError as error:
        raise JingyanError(ErrorCode.FILE_UNREADABLE) from error
    return FileContent(b"".join(pieces), digest.hexdigest())
