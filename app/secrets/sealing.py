"""Seal the library key with a passphrase: AES-256-GCM under Argon2id. No files here; the passphrase is kept nowhere.

The costs are stored with the sealed key, so that they can rise later, and are bounded when read: a file that asks
for less work than we ever did, or for more than a machine has, is damaged or hostile.
"""

from __future__ import annotations

import os
import unicodedata

import msgspec
from argon2.exceptions import HashingError
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.core.errors import ErrorCode, JingyanError

# RFC 9106, second recommended choice: 64 MiB, 3 passes, 4 lanes; about 0.1 s, on the smallest machines too
MEMORY_KIB, PASSES, LANES = 65_536, 3, 4
_MEMORY_KIB_BOUNDS = (19_456, 1_048_576)  # OWASP's least; 1 GiB
_PASSES_BOUNDS = (2, 16)
_LANES_BOUNDS = (1, 16)
_SALT_BYTES, _NONCE_BYTES, _TAG_BYTES, _KEY_BYTES = 16, 12, 16, 32


class SealedKey(msgspec.Struct, frozen=True, tag="passphrase", tag_field="kept_by", forbid_unknown_fields=True):
    memory_kib: int
    passes: int
    lanes: int
    salt: bytes
    nonce: bytes
    sealed: bytes
    format: int = 1

    @property
    def is_reasonable(self) -> bool:
        return (
            self.format == 1
            and _MEMORY_KIB_BOUNDS[0] <= self.memory_kib <= _MEMORY_KIB_BOUNDS[1]
            and _PASSES_BOUNDS[0] <= self.passes <= _PASSES_BOUNDS[1]
            and _LANES_BOUNDS[0] <= self.lanes <= _LANES_BOUNDS[1]
            and (len(self.salt), len(self.nonce)) == (_SALT_BYTES, _NONCE_BYTES)
            and len(self.sealed) == _KEY_BYTES + _TAG_BYTES
        )


def seal(key: bytes, passphrase: str) -> SealedKey:
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    empty = SealedKey(MEMORY_KIB, PASSES, LANES, salt, nonce, b"")
    sealed = AESGCM(_derive(empty, passphrase)).encrypt(nonce, key, _bound(empty))
    return msgspec.structs.replace(empty, sealed=sealed)


def unseal(untrusted_sealed: SealedKey, passphrase: str) -> bytes:
    """The key. Raises WRONG_PASSPHRASE (also for a changed seal), KEY_MISSING (found="damaged"), OUT_OF_MEMORY."""
    if not untrusted_sealed.is_reasonable:
        raise JingyanError(ErrorCode.KEY_MISSING, found="damaged")
    sealed = untrusted_sealed
    try:
        return AESGCM(_derive(sealed, passphrase)).decrypt(sealed.nonce, sealed.sealed, _bound(sealed))
    except InvalidTag as error:
        raise JingyanError(ErrorCode.WRONG_PASSPHRASE) from error


def _derive(sealed: SealedKey, passphrase: str) -> bytes:
    """NFC: the same characters typed on another system are the same passphrase."""
    try:
        return hash_secret_raw(
            unicodedata.normalize("NFC", passphrase).encode(),
            sealed.salt,
            time_cost=sealed.passes,
            memory_cost=sealed.memory_kib,
            parallelism=sealed.lanes,
            hash_len=_KEY_BYTES,
            type=Type.ID,
        )
    except HashingError as error:
        raise JingyanError(ErrorCode.OUT_OF_MEMORY) from error


def _bound(sealed: SealedKey) -> bytes:
    return f"jingyan library key {sealed.format} argon2id {sealed.memory_kib} {sealed.passes} {sealed.lanes}".encode()
