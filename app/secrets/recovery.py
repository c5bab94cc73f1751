"""The library key as something to write on paper: 14 groups of 4 letters and digits, the last 5 being a check.

Base32 of 32 key bytes and 3 check bytes. Reading it back forgives spaces, hyphens, small letters, full-width forms
and the digits that look like letters; the check finds any other slip but one in 16 million.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import unicodedata

from app.core.errors import ErrorCode, JingyanError

KEY_BYTES = 32
_CHECK_BYTES = 3
_GROUP_CHARS = 4
_LOOKALIKES = str.maketrans("018", "OIB")  # base32 has no 0, 1 and 8


def recovery_code(key: bytes) -> str:
    """`key` as "ABCD-EFGH-...", 14 groups."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a library key has {KEY_BYTES} bytes")
    letters = base64.b32encode(key + _check(key)).decode()
    return "-".join(letters[start : start + _GROUP_CHARS] for start in range(0, len(letters), _GROUP_CHARS))


def key_from_recovery_code(typed: str) -> bytes:
    """The key that `typed` stands for. Raises WRONG_PASSPHRASE (what="recovery_code") when it has a slip in it."""
    letters = re.sub(r"[\s\-‐‑–—_.]", "", unicodedata.normalize("NFKC", typed)).upper().translate(_LOOKALIKES)
    try:
        content = base64.b32decode(letters)
    except (binascii.Error, ValueError) as error:
        raise JingyanError(ErrorCode.WRONG_PASSPHRASE, what="recovery_code") from error
    key, check = content[:KEY_BYTES], content[KEY_BYTES:]
    if len(key) != KEY_BYTES or check != _check(key):
        raise JingyanError(ErrorCode.WRONG_PASSPHRASE, what="recovery_code")
    return key


def _check(key: bytes) -> bytes:
    return hashlib.sha256(b"jingyan recovery code" + key).digest()[:_CHECK_BYTES]
