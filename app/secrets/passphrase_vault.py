"""The library key, sealed with a passphrase, in the key file. For systems without a safe keyring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.core.errors import ErrorCode, JingyanError
from app.secrets.key_file import read_record, write_record
from app.secrets.sealing import SealedKey, seal, unseal

MIN_NEW_CHARS = 8  # Argon2id makes guessing slow, not hopeless


class PassphraseVault:
    """KeyVault that asks `ask(new)` for the passphrase at each use and keeps it no longer than that.

    `ask` gets True when a passphrase is to be chosen. It may raise, for example CANCELLED.
    """

    def __init__(self, key_file: Path, ask: Callable[[bool], str]) -> None:
        self._key_file = key_file
        self._ask = ask

    def read(self) -> bytes | None:
        """None when nothing was written. Raises WRONG_PASSPHRASE; KEY_MISSING (found="damaged")."""
        sealed = read_record(self._key_file)
        return unseal(sealed, self._ask(False)) if isinstance(sealed, SealedKey) else None

    def write(self, key: bytes) -> None:
        """Raises KEYRING_UNSAFE (why="short_passphrase", least=8)."""
        passphrase = self._ask(True)
        if len(passphrase) < MIN_NEW_CHARS:
            raise JingyanError(ErrorCode.KEYRING_UNSAFE, why="short_passphrase", least=MIN_NEW_CHARS)
        write_record(self._key_file, seal(key, passphrase))

    def describe(self) -> str:
        return "passphrase"
