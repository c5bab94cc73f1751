from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.sentences import sentences


def cut(text: str) -> list[str]:
    return [text[s.start : s.end] for s in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It ends. It begins!", ["It ends.", "It begins!"]),
        ("Dr. Smith paid 3.5 EUR. He left.", ["Dr. Smith paid 3.5 EUR.", "He left."]),
        (
            "Paid by Acme Ltd. Signed by A. Lee of Acme Ltd. in Rome.",
            ["Paid by Acme Ltd.", "Signed by A. Lee of Acme Ltd. in Rome."],
        ),
        ("See Art. 5 of the Act. Done.", ["See Art. 5 of the Act.", "Done."]),
        ("租金为5元。押金为10元！“同意。”他说", ["租金为5元。", "押金为10元！", "“同意。”", "他说"]),
        ("Title\n\nBody text", ["Title", "Body text"]),
        ("Items:\n- one\n- two", ["Items:", "- one", "- two"]),
        ('He said "stop." Then left.', ['He said "stop."', "Then left."]),
    ],
)
def test_sentences_end_where_readers_end_them(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


@given(st.text(alphabet='ab. 。！\n-1"”A', max_size=80))
def test_spans_are_ordered_and_lose_no_character(text: str) -> None:
    spans = sentences(text)
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))
    assert "".join("".join(text[s.start : s.end].split()) for s in spans) == "".join(text.split())
