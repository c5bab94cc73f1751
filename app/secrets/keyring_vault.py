"""The library key in the keyring of the operating system, and the judgement which keyrings are safe.

Only backends that hand the secret to the system's own encrypted store are accepted, by name: a list of bad ones
would miss the next. keyring picks its backend from the environment, a configuration file and whatever is
installed, so what it picked is looked at each time.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keyring
from keyring.backend import KeyringBackend
from keyring.backends.chainer import ChainerBackend
from keyring.errors import KeyringLocked, NoKeyringError

from app.core.errors import ErrorCode, JingyanError
from app.secrets.key_file import KeyringEntry, read_record, write_record

SERVICE = "Jingyan"
_SAFE_BACKENDS = frozenset(
    {
        "keyring.backends.SecretService",
        "keyring.backends.libsecret",
        "keyring.backends.kwallet",
        "keyring.backends.macOS",
        "keyring.backends.Windows",
    }
)
_ACCOUNT_BYTES = 8


def safe_backend(candidate: KeyringBackend | None = None) -> KeyringBackend:
    """The keyring of this system when it is safe; `candidate` instead of what keyring picks.

    Raises KEYRING_UNSAFE: why="none" (there is no keyring), "weak" (it would not encrypt, or nobody knows),
    "failing" (it answers with an error); backend=its name.
    """
    with _translated(""):
        picked = candidate or keyring.get_keyring()
        # a chain writes to its first member, and would read from any: all of them must be safe
        members = list(picked.backends) if isinstance(picked, ChainerBackend) else [picked]
    if not members or all(type(member).__module__ == "keyring.backends.fail" for member in members):
        raise JingyanError(ErrorCode.KEYRING_UNSAFE, why="none", backend="")
    for member in members:
        if type(member).__module__ not in _SAFE_BACKENDS:
            raise JingyanError(ErrorCode.KEYRING_UNSAFE, why="weak", backend=_name(member))
    return members[0]


class KeyringVault:
    """KeyVault in the system's keyring. The system may ask the user to unlock it, and the call waits for that."""

    def __init__(self, key_file: Path, backend: KeyringBackend) -> None:
        self._key_file = key_file
        self._backend = backend

    def read(self) -> bytes | None:
        """None when nothing was written. Raises KEYRING_UNSAFE (why="locked" or "failing"), KEY_MISSING."""
        entry = read_record(self._key_file)
        return self._get(entry.account) if isinstance(entry, KeyringEntry) else None

    def write(self, key: bytes) -> None:
        """Raises KEYRING_UNSAFE (why="forgets" when the keyring does not give back what it took)."""
        entry = read_record(self._key_file)
        if not isinstance(entry, KeyringEntry):
            entry = KeyringEntry(os.urandom(_ACCOUNT_BYTES).hex())
        with _translated(_name(self._backend)):
            self._backend.set_password(SERVICE, entry.account, base64.b64encode(key).decode())
        if self._get(entry.account) != key:
            raise JingyanError(ErrorCode.KEYRING_UNSAFE, why="forgets", backend=_name(self._backend))
        write_record(self._key_file, entry)

    def describe(self) -> str:
        return f"keyring: {_name(self._backend)}"

    def _get(self, account: str) -> bytes | None:
        with _translated(_name(self._backend)):
            stored = self._backend.get_password(SERVICE, account)
        try:
            return None if stored is None else base64.b64decode(stored, validate=True)
        except binascii.Error as error:
            raise JingyanError(ErrorCode.KEY_MISSING, found="damaged") from error


def _name(backend: KeyringBackend) -> str:
    """ "SecretService" for keyring.backends.SecretService.Keyring; the whole name for what others wrote."""
    return type(backend).__module__.removeprefix("keyring.backends.")


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except NoKeyringError as error:
        raise JingyanError(ErrorCode.KEYRING_UNSAFE, why="none", backend=name) from error
    except KeyringLocked as error:
        raise JingyanError(ErrorCode.KEYRING_UNSAFE, why="locked", backend=name) from error
    except Exception as error:
        raise JingyanError(ErrorCode.KEYRING_UNSAFE, why="failing", backend=name) from error
