"""What text may hold after cleaning."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.characters import clean, is_unreadable, spells_words, width


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("\u2f42\u66f8", "文書"),  # a Kangxi radical, as many Chinese PDFs have it
        ("\uf900", "豈"),  # a compatibility ideograph
        ("\ufb03ce", "ffice"),
        ("a\u00a0b\u3000c", "a b c"),
        ("soft\u00adhyphen\u200b", "softhyphen"),
        ("bell\x07\x00", "bell"),
        ("\uf0b7 item", "• item"),
        ("\ue123\ud800", "\ufffd\ufffd"),
        ("tab\tline\n", "tab\tline\n"),
        ("नमस्\u200dते", "नमस्\u200dते"),
    ],
)
def test_characters_become_the_ordinary_ones(raw: str, expected: str) -> None:
    assert clean(raw) == expected


@given(st.text())
def test_nothing_forbidden_survives(text: str) -> None:
    cleaned = clean(text)
    assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", cleaned)
    assert clean(cleaned) == cleaned
    cleaned.encode()


def test_half_unknown_text_is_unreadable() -> None:
    assert is_unreadable("\ufffd\ufffd a") and not is_unreadable("a b c \ufffd") and not is_unreadable("")


def test_words_are_told_from_glyph_numbers() -> None:
    assert spells_words("State additions and modifications, see the instructions on page 3")
    assert not spells_words("ÄOHFM QJEJ B ÈOOF VO jCMFTLJWFS Z VO C VG CPVSHVJHOPO ÊPDVL")
    assert not spells_words("xkcd qwrt zzpq lkjh gfds mnbv")


def test_chinese_counts_more_than_twice() -> None:
    assert width("abcd") == 4 and width("租金是x") == 3 * 2.25 + 1
