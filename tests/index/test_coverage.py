"""Shares of a question that passages hold."""

from __future__ import annotations

import pytest

from app.index.coverage import share_held, share_held_across


def test_inflected_words_are_held() -> None:
    assert share_held("Rents are due.", {"rent": 1.0, "garden": 1.0}) == 0.5
    assert share_held("nothing", {}) == 0.0


def test_weights_count() -> None:
    assert share_held("押金", {"押金": 1.0, "金是": 0.25}) == 0.8


def test_translations_and_quoted_names_are_held() -> None:
    translated = {"deposit": 0.75, "pledge": 0.25, "garden": 1.0}
    assert share_held_across("The deposit", {"押金": 1.0}, translated) == 0.375
    assert share_held_across("The deposit of A17", {"a17": 1.0}, translated) == pytest.approx(1.75 / 3)


def test_a_name_alone_holds_nothing() -> None:
    assert share_held_across("A17", {"a17": 1.0}, {"deposit": 1.0}) == 0.0
    assert share_held_across("A17", {"a17": 1.0}, {}) == 0.0
