"""The file beside the library that says where its key is kept: an entry of the keyring, or sealed right here.

It never holds the key in the open. It moves with the data folder, so a moved library still finds its keyring entry.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import msgspec

from app.core.errors import ErrorCode, JingyanError
from app.core.files import write_atomically
from app.secrets.sealing import SealedKey

_MAX_BYTES = 4_096  # ours have about 300


class KeyringEntry(msgspec.Struct, frozen=True, tag="keyring", tag_field="kept_by", forbid_unknown_fields=True):
    """`account`: the name of the entry; random, so that several libraries of one user do not meet."""

    account: str
    format: int = 1


KeyRecord: TypeAlias = KeyringEntry | SealedKey


def read_record(path: Path) -> KeyRecord | None:
    """None when there is no file. Raises KEY_MISSING (found="damaged") or FILE_UNREADABLE."""
    try:
        with path.open("rb") as file:
            untrusted_content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JingyanError(ErrorCode.FILE_UNREADABLE, name=path.name) from error
    try:
        if len(untrusted_content) > _MAX_BYTES:
            raise msgspec.DecodeError("too long")
        return msgspec.json.decode(untrusted_content, type=KeyringEntry | SealedKey)
    except msgspec.DecodeError as error:
        raise JingyanError(ErrorCode.KEY_MISSING, found="damaged") from error


def write_record(path: Path, record: KeyRecord) -> None:
    write_atomically(path, msgspec.json.format(msgspec.json.encode(record)) + b"\n")
