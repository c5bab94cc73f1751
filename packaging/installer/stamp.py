"""What is already installed, remembered inside .venv, so that the next run can skip it.

A part is recorded only after it is complete. Before a part is begun its name is written down too: when that note is
still there at the next start, the run before was interrupted in the middle of it and the part is not to be trusted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

FILE_NAME = "jingyan-stamp.json"
_BEGUN = "begun"


def fingerprint(parts: Iterable[bytes | str]) -> str:
    """A digest that changes when any part does."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


class Stamp:
    """The record in `venv`; a missing or unreadable file means that nothing is known to be installed."""

    def __init__(self, venv: Path) -> None:
        self._file = venv / FILE_NAME
        self._parts = self._read()

    @property
    def interrupted(self) -> str | None:
        """The part that was begun and never finished, or None."""
        return self._parts.get(_BEGUN)

    def has(self, part: str, print_of_part: str) -> bool:
        return self._parts.get(part) == print_of_part

    def begin(self, part: str) -> None:
        self._parts[_BEGUN] = part
        self._write()

    def finish(self, **prints_by_part: str) -> None:
        self._parts.pop(_BEGUN, None)
        self._parts.update(prints_by_part)
        self._write()

    def abandon(self) -> None:
        """Takes back `begin`: the part failed before it touched anything."""
        self._parts.pop(_BEGUN, None)
        self._write()

    def _read(self) -> dict[str, str]:
        try:
            parts = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(k): str(v) for k, v in parts.items()} if isinstance(parts, dict) else {}

    def _write(self) -> None:
        fresh = self._file.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(self._parts, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)
