"""Turn bytes of unknown encoding into text.

Order of belief: byte order mark, strict UTF-8 (a character cut off at the very end is forgiven), escape
encodings, UTF-16 and UTF-32 without a mark, the East Asian encodings judged by how common the characters
are that come out, and last one byte a character, judged by the letters of the languages that use it.
Promise: no exception for any bytes but KIND_UNSUPPORTED (kind "binary") when they are no text.
"""

from __future__ import annotations

import codecs
import logging
import re
from collections.abc import Iterator

from charset_normalizer import from_bytes

from app.core.errors import ErrorCode, JingyanError
from app.ingest.common_characters import HANGUL, HANZI, ONE_BYTE, Letters

_SAMPLE_BYTES = 64 * 1024  # enough to judge by; the whole file is decoded once
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_EAST_ASIAN = ("gb18030", "big5hkscs", "cp932", "euc_jis_2004", "euc_kr", "cp949", "shift_jis_2004")
_RARE = ("cp437", "cp737", "cp855", "cp862", "cp864", "cp869", "cp874", "cp1258", "mac_cyrillic", "mac_greek", "cp1252")
_MIN_COMMON_SHARE = 0.30  # right guesses measure 0.45 to 0.95, wrong ones below 0.2
_FEW_HIGH_BYTES = 6  # too few to tell languages apart: take the Western European encoding, the commonest
_MIN_EXPECTED_SHARE = 0.6
_MIXED_WORD = re.compile(rb"[A-Za-z][\x80-\xff]|[\x80-\xff][A-Za-z]")
_ASCII = bytes(range(128))
_CONTROLS = bytes(b for b in range(32) if b not in b"\t\n\v\f\r\x1b\x1a")

logging.getLogger("charset_normalizer").setLevel(logging.ERROR)


def decode(content: bytes) -> str:
    """`content` as text, marks of byte order removed. Raises KIND_UNSUPPORTED for binary content."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, errors="replace")
    encoding = guess_encoding(content)
    text = content.decode(encoding, errors="replace")
    if encoding == "utf-8" and text.endswith("\ufffd"):
        text = text[:-1]  # the character that was cut off
    return text


def guess_encoding(content: bytes) -> str:
    """The Python name of the likeliest encoding. Raises KIND_UNSUPPORTED for binary content."""
    if _is_utf8(content):
        return _escape_encoding(content) or "utf-8"
    sample = content[:_SAMPLE_BYTES]
    if wide := _wide_encoding(sample):
        return wide
    if control_bytes(sample) > max(2, len(sample) // 200):
        raise JingyanError(ErrorCode.KIND_UNSUPPORTED, kind="binary")
    sample = _without_ascii_lines(content)
    share, encoding = max((_common_share(sample, name), name) for name in _EAST_ASIAN)
    return encoding if share >= _MIN_COMMON_SHARE else _one_byte_encoding(sample)


def control_bytes(sample: bytes) -> int:
    """How many bytes of `sample` are control characters that plain text does not use; zero bytes count too."""
    return len(sample) - len(sample.translate(None, _CONTROLS))


def _is_utf8(content: bytes) -> bool:
    if control_bytes(content[:_SAMPLE_BYTES]) > max(2, len(content[:_SAMPLE_BYTES]) // 200):
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as e:
        return e.reason == "unexpected end of data" and not content[: e.start].isascii()
    return True


def _escape_encoding(content: bytes) -> str | None:
    """ISO-2022 and HZ text is plain ASCII with escapes in it."""
    if not content.isascii():
        return None
    if b"\x1b$" in content or b"\x1b(" in content:
        candidates: tuple[str, ...] = ("iso2022_jp_ext", "iso2022_jp_3", "iso2022_kr")
    elif b"~{" in content and b"~}" in content:
        candidates = ("hz",)
    else:
        return None
    return next((name for name in candidates if _decodes(content, name)), None)


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _wide_encoding(sample: bytes) -> str | None:
    """UTF-32 or UTF-16 without a mark, when the characters that come out are ones that people write."""
    if len(sample) < 4:
        return None
    for encoding, unit in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        usable = sample[: len(sample) - len(sample) % unit]
        try:
            text = usable.decode(encoding)
        except UnicodeDecodeError:
            continue
        if _plausible_share(text) > 0.9 and _has_plain_marks(text):
            return encoding
    return None


def _plausible_share(text: str) -> float:
    return sum(map(_is_plausible, text)) / max(1, len(text))


def _is_plausible(c: str) -> bool:
    return (
        "\x20" <= c < "\x7f" or c in "\t\n\r\f" or "\u00a0" <= c <= "\u052f" or "\u2010" <= c <= "\u2026"
        or "\u3000" <= c <= "\u30ff" or "\u4e00" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7a3"
        or "\uff01" <= c <= "\uff5e"
    )  # fmt: skip


def _has_plain_marks(text: str) -> bool:
    """Real text has spaces, line ends, ASCII letters or Chinese full stops; bytes read two by two have not."""
    plain = sum(c.isascii() or c in "，。、！？" for c in text)
    return plain > len(text) / 50 and max(len(text) - text.count("\0"), 0) > 0.98 * len(text)


def _without_ascii_lines(content: bytes) -> bytes:
    """The first lines that hold a non-ASCII byte, up to _SAMPLE_BYTES: only these tell encodings apart."""
    kept, size = [], 0
    for line in _lines(content):
        if not line.isascii():
            kept.append(line)
            size += len(line)
            if size > _SAMPLE_BYTES:
                break
    return b"".join(kept)[: 2 * _SAMPLE_BYTES]


def _lines(content: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(content):
        end = content.find(b"\n", start) + 1 or len(content)
        yield content[start:end]
        start = end


def _common_share(sample: bytes, encoding: str) -> float:
    """Of the non-ASCII characters that come out, the share that is common; each undecodable byte costs 10."""
    text = "".join(c for c in sample.decode(encoding, errors="replace") if not c.isascii())
    if not text:
        return 0.0
    errors = max(0, text.count("\ufffd") - 1)  # the one character that the sample's end cuts is forgiven
    common = sum(c in HANZI or c in HANGUL or "\u3000" <= c <= "\u30fa" or "\uff00" < c < "\uff5f" for c in text)
    return (common - 10 * errors) / len(text)


def _one_byte_encoding(sample: bytes) -> str:
    """By the letters that the languages of each encoding use; charset-normalizer knows the rarer encodings."""
    high = sample.translate(None, _ASCII)
    if len(high) < _FEW_HIGH_BYTES:
        return "cp1252"
    mixed = len(_MIXED_WORD.findall(sample)) / len(high)
    shares = [(_expected_share(high, name, letters, mixed), name) for name, letters in ONE_BYTE.items()]
    share, encoding = max(shares, key=lambda entry: entry[0])  # the first of equals: the table is in order of belief
    if share >= _MIN_EXPECTED_SHARE:
        return encoding
    best = from_bytes(sample, cp_isolation=list(_RARE)).best()
    return best.encoding if best is not None else "cp1252"


def _expected_share(high: bytes, encoding: str, letters: Letters, mixed: float) -> float:
    """How expected the decoded letters are, 0 to 1: common ones count 1, others 0.6, capitals a third.

    `mixed`: how often a high byte stands next to an ASCII letter: in Latin words always, in other scripts never.
    """
    text = high.decode(encoding, errors="replace")
    common = sum(map(letters.common.__contains__, text))
    other = sum(map(letters.other.__contains__, text))
    capitals = sum(map((letters.common + letters.other).upper().__contains__, text)) if letters.has_capitals else 0
    share = (common + 0.6 * other + capitals / 3) / len(text)
    return share * min(1.0, 0.4 + mixed) if letters.is_latin else share - mixed
