"""Which vault keeps the key of this library, and getting the key out of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from app.core.errors import ErrorCode, JingyanError
from app.core.paths import DataPaths
from app.core.ports import KeyVault
from app.secrets.key_file import KeyringEntry, read_record
from app.secrets.keyring_vault import KeyringVault, safe_backend
from app.secrets.passphrase_vault import PassphraseVault
from app.secrets.recovery import recovery_code
from app.secrets.sealing import SealedKey

AskPassphrase: TypeAlias = Callable[[bool], str]
"""Called with True when a new passphrase is to be chosen, with False when the existing one is needed."""

PASSPHRASE_FILE_VARIABLE = "JINGYAN_PASSPHRASE_FILE"
_MAX_PASSPHRASE_BYTES = 4_096
_KEY_BYTES = 32


def choose_vault(
    paths: DataPaths,
    ask_passphrase: AskPassphrase | None = None,
    *,
    anew: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> KeyVault:
    """The vault that keeps this library's key, or, for a new library, the safest one there is.

    A known library stays where its key is. A new one goes to a passphrase when JINGYAN_PASSPHRASE_FILE names one,
    else to the keyring when that is safe, else to a passphrase that `ask_passphrase` gets. `anew`: choose as for a
    new library, to write a key that came back by its recovery code.
    Raises KEYRING_UNSAFE, with why and the backend's name, when none of these is there.
    """
    record = None if anew else read_record(paths.key_file)
    named_file = environment.get(PASSPHRASE_FILE_VARIABLE)
    ask = (lambda new: read_passphrase(Path(named_file))) if named_file else ask_passphrase
    if isinstance(record, KeyringEntry):
        return KeyringVault(paths.key_file, safe_backend())
    if isinstance(record, SealedKey):
        return PassphraseVault(paths.key_file, ask or _nobody_to_ask)
    if ask and named_file:
        return PassphraseVault(paths.key_file, ask)
    try:
        return KeyringVault(paths.key_file, safe_backend())
    except JingyanError:
        if ask is None:
            raise
        return PassphraseVault(paths.key_file, ask)


def library_key(vault: KeyVault, library: Path, *, on_new_key: Callable[[str], None] | None = None) -> bytes:
    """The key of the library file at `library`; made and written when there is no library yet.

    `on_new_key` gets the recovery code of a new key, to be shown once. Raises KEY_MISSING when the library is there
    and its key is not: a new key would lock it for ever.
    """
    key = vault.read()
    if key is not None:
        if len(key) != _KEY_BYTES:
            raise JingyanError(ErrorCode.KEY_MISSING, found="damaged")
        return key
    if library.exists() and library.stat().st_size:
        raise JingyanError(ErrorCode.KEY_MISSING, found="nothing")
    key = os.urandom(_KEY_BYTES)
    vault.write(key)
    if on_new_key:
        on_new_key(recovery_code(key))
    return key


def read_passphrase(path: Path) -> str:
    """The passphrase in the file at `path`, without the line end an editor leaves.

    Raises FILE_NOT_FOUND, FILE_UNREADABLE, FILE_EMPTY.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_PASSPHRASE_BYTES + 1)
        if len(content) > _MAX_PASSPHRASE_BYTES:
            raise JingyanError(ErrorCode.FILE_TOO_LARGE, name=path.name)
        passphrase = content.decode("utf-8-sig").rstrip("\r\n")
    except FileNotFoundError as error:
        raise JingyanError(ErrorCode.FILE_NOT_FOUND, name=path.name) from error
    except (OSError, UnicodeDecodeError) as error:
        raise JingyanError(ErrorCode.FILE_UNREADABLE, name=path.name) from error
    if not passphrase:
        raise JingyanError(ErrorCode.FILE_EMPTY, name=path.name)
    return passphrase


def _nobody_to_ask(new: bool) -> str:
    raise JingyanError(ErrorCode.KEY_MISSING, found="sealed")
