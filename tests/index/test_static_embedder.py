"""The shipped embedder, its files, and what happens when they are not there."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from app.core.errors import ErrorCode, JingyanError
from app.core.paths import starter_models
from app.engine.static_embedder import StaticEmbedder

FOLDER = starter_models() / "embedder"


@pytest.fixture(scope="module")
def embedder() -> StaticEmbedder:
    return StaticEmbedder(FOLDER)


def test_vectors_have_length_one_and_text_without_tokens_has_none(embedder: StaticEmbedder) -> None:
    vectors = embedder.embed(["The rent is due.", "押金", "…", ""])
    assert vectors.shape == (4, embedder.dim)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 0, 0], abs=1e-5)


def test_no_texts_give_no_vectors(embedder: StaticEmbedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.dim)


def test_a_text_has_the_same_vector_in_every_batch(embedder: StaticEmbedder) -> None:
    alone = embedder.embed(["university"])[0]
    assert np.array_equal(embedder.embed(["river", "university", "押金"])[1], alone)


def test_inflection_accents_and_script_variants_do_not_matter(embedder: StaticEmbedder) -> None:
    a, b, c, d = embedder.embed(["Universities", "university", "圖書館", "图书馆"])
    assert np.array_equal(a, b)
    assert np.array_equal(c, d)


def test_meaning_crosses_languages(embedder: StaticEmbedder) -> None:
    question = embedder.embed(["大学里的学生"], as_question=True)[0]
    right, wrong = embedder.embed(["students at the university", "a recipe for fish soup"])
    assert question @ right > question @ wrong + 0.2


def test_the_fingerprint_names_the_content(embedder: StaticEmbedder, tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "copy")
    assert StaticEmbedder(tmp_path / "copy").fingerprint == embedder.fingerprint
    words = tmp_path / "copy" / "vocab.json"
    words.write_text(words.read_text("utf-8").replace('"the"', '"teh"', 1), "utf-8")
    assert StaticEmbedder(tmp_path / "copy").fingerprint != embedder.fingerprint


def test_missing_and_damaged_files_are_known_errors(tmp_path: Path) -> None:
    with pytest.raises(JingyanError) as missing:
        StaticEmbedder(tmp_path)
    assert missing.value.code is ErrorCode.MODEL_MISSING
    for damaged in ("embedder.safetensors", "vocab.json"):
        folder = tmp_path / damaged
        shutil.copytree(FOLDER, folder)
        (folder / damaged).write_bytes((FOLDER / damaged).read_bytes()[:5000])
        with pytest.raises(JingyanError) as found:
            StaticEmbedder(folder)
        assert found.value.code is ErrorCode.MODEL_DAMAGED
