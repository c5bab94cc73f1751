"""Characters are never torn, whatever the tokens; thoughts are taken out, however their markers arrive."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.detokenise import Detokeniser, ThoughtFilter

TEXT = "Grüße, 静言 👩‍👩‍👧 𠮷!"


def streamed(pieces: Sequence[bytes]) -> list[str]:
    detokeniser = Detokeniser()
    return [detokeniser.add(piece) for piece in pieces] + [detokeniser.finish()]


def shown(pieces: Sequence[str], *, inside: bool = False) -> str:
    thoughts = ThoughtFilter(inside=inside)
    return "".join([thoughts.add(piece) for piece in pieces] + [thoughts.finish()])


def cut(text: str, places: Sequence[int]) -> list[str]:
    bounds = sorted({min(place, len(text)) for place in places} | {0, len(text)})
    return [text[a:b] for a, b in itertools.pairwise(bounds)]


def test_a_character_appears_when_its_last_byte_does() -> None:
    assert streamed([bytes([byte]) for byte in "静".encode()]) == ["", "", "静", ""]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.lists(st.integers(0, 200)))
def test_any_cut_of_the_bytes_gives_the_same_text(text: str, places: list[int]) -> None:
    data = text.encode()
    bounds = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    pieces = [data[a:b] for a, b in itertools.pairwise(bounds)]
    assert "".join(streamed(pieces)) == text


def test_bytes_that_are_no_text_become_replacement_characters_and_do_not_wait() -> None:
    assert streamed([b"a\xff", b"b", "静".encode()[:2]]) == ["a\ufffd", "b", "", "\ufffd"]


@given(st.lists(st.integers(0, 80)))
def test_a_thought_is_hidden_however_it_is_cut(places: list[int]) -> None:
    answer = "\n<think>\nThe user <asks> </thin k>\n</think>\n\n" + TEXT
    assert shown(cut(answer, places)) == TEXT


@given(st.lists(st.integers(0, 80)))
def test_a_thought_that_the_prompt_opened_is_hidden_too(places: list[int]) -> None:
    assert shown(cut("hm, 1 < 2</think>" + TEXT, places), inside=True) == TEXT


@pytest.mark.parametrize("text", ["<thinking> is a tag", "a <think> b </think> c", "<", "<thin", " \n", "", "</think>"])
def test_what_is_no_leading_thought_stays(text: str) -> None:
    assert shown(list(text)) == text
    assert shown([text]) == text


def test_an_unfinished_thought_stays_hidden() -> None:
    assert shown(["<think>", "still at it"]) == ""


def test_ordinary_text_is_not_held_back() -> None:
    thoughts = ThoughtFilter()
    assert thoughts.add("8") == "8"
    assert thoughts.add("<") == "<"
