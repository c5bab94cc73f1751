"""The FAISS index against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from app.core.values import ChunkId, DocumentId
from app.index.vectors import Float32Matrix, VectorIndex

DIM = 16


def rows(count: int, seed: int = 0) -> Float32Matrix:
    made = np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def ids(*numbers: int) -> list[ChunkId]:
    return [ChunkId(n) for n in numbers]


@pytest.fixture
def index() -> VectorIndex:
    """Chunks 100..129, ten in each of the documents 1, 2, 3; the vectors are rows(30)."""
    made = VectorIndex(DIM)
    made.add(ids(*range(100, 130)), [DocumentId(1 + n // 10) for n in range(30)], rows(30))
    return made


def test_the_order_is_that_of_the_cosines(index: VectorIndex) -> None:
    question = rows(1, seed=7)[0]
    expected = 100 + np.argsort(-(rows(30) @ question), kind="stable")[:10]
    assert [chunk_id for chunk_id, _, _ in index.search(question, 10)] == expected.tolist()


def test_scores_are_cosines(index: VectorIndex) -> None:
    (chunk_id, document_id, score), *_ = index.search(rows(30)[12], 1)
    assert (chunk_id, document_id) == (112, 2)
    assert score == pytest.approx(1.0, abs=1e-3)


def test_a_search_within_documents_sees_all_of_them_and_nothing_else(index: VectorIndex) -> None:
    hits = index.search(rows(1, seed=7)[0], 100, frozenset({DocumentId(1), DocumentId(3), DocumentId(99)}))
    assert len(hits) == 20
    assert {document_id for _, document_id, _ in hits} == {1, 3}


def test_removed_chunks_are_gone_and_unknown_ones_are_no_error(index: VectorIndex) -> None:
    index.remove(ids(*range(110, 120), 5000))
    assert len(index) == 20
    assert not index.search(rows(1)[0], 100, frozenset({DocumentId(2)}))
    assert {document_id for _, document_id, _ in index.search(rows(1)[0], 100)} == {1, 3}


def test_adding_a_chunk_again_replaces_its_vector(index: VectorIndex) -> None:
    new = rows(1, seed=3)
    index.add(ids(100), [DocumentId(1)], new)
    assert len(index) == 30
    assert index.search(new[0], 1)[0][0] == 100


def test_the_mean_is_that_of_what_is_searched(index: VectorIndex) -> None:
    question = rows(1, seed=7)[0]
    assert index.mean_score(question) == pytest.approx(float((rows(30) @ question).mean()), abs=1e-5)
    index.remove(ids(*range(100, 110)))
    within = frozenset({DocumentId(1), DocumentId(2)})
    assert index.mean_score(question, within) == pytest.approx(float((rows(30)[10:20] @ question).mean()), abs=1e-3)


def test_an_empty_index_finds_nothing() -> None:
    empty = VectorIndex(DIM)
    empty.add([], [], rows(0))
    assert empty.search(rows(1)[0], 5) == []
    assert empty.mean_score(rows(1)[0]) == 0.0
