"""Where training starts: latent semantic analysis of the text chunks, with sentence pairs as merged documents.

Because a pair counts as one document, words of both languages come to lie side by side before any training. Rows
are scaled to unit length times idf; the raw ones, long for frequent words, retrieve half as well.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch

from models.foundry.embedder.ids import Texts, Vocabulary

ITERATIONS, OVERSAMPLING = 3, 16
NOISE = 0.3  # of a random direction, so that words with equal neighbours can part in training


def inverse_frequency(chunks: sp.csr_matrix, vocabulary: Vocabulary) -> np.ndarray:
    """idf per token; single characters get half, their pairs say the same better."""
    count = np.asarray((chunks > 0).sum(0)).ravel()
    idf = np.where(count > 0, np.log((chunks.shape[0] + 1) / (count + 1)), np.log(chunks.shape[0])).astype(np.float32)
    return idf * np.where(vocabulary.is_single_han(), 0.5, 1.0).astype(np.float32)


def start_vectors(
    chunks: Texts, english: Texts, chinese: Texts, vocabulary: Vocabulary, dim: int, components: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """(vectors of length 1, idf). `english` and `chinese` are the two sides of the sentence pairs."""
    of_chunks = chunks.matrix(vocabulary.size)
    idf = inverse_frequency(of_chunks, vocabulary)
    of_pairs = english.matrix(vocabulary.size) + chinese.matrix(vocabulary.size)
    weighted = sp.vstack([_unit_rows(m @ sp.diags(idf)) for m in (of_chunks, of_pairs)]).tocsr().astype(np.float32)
    axes = _right_vectors(weighted, components, seed=0)[:, :dim]
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(axes.shape).astype(np.float32) / dim**0.5
    length = np.linalg.norm(axes, axis=1, keepdims=True)
    known = np.where(length < 1e-5, noise, axes / np.maximum(length, 1e-6))
    mixed = known + NOISE * noise
    return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32), idf


def _unit_rows(m: sp.csr_matrix) -> sp.csr_matrix:
    length = np.sqrt(np.asarray(m.multiply(m).sum(1)).ravel())
    return sp.diags(1 / np.maximum(length, 1e-6)).astype(np.float32) @ m


def _right_vectors(m: sp.csr_matrix, count: int, seed: int) -> np.ndarray:
    """The right singular vectors of the largest singular values, by randomised subspace iteration."""
    a, at = _torch_sparse(m), _torch_sparse(m.T.tocsr())
    rng = np.random.default_rng(seed)
    q = torch.from_numpy(rng.standard_normal((m.shape[1], count + OVERSAMPLING)).astype(np.float32))
    for _ in range(ITERATIONS):
        q = torch.linalg.qr(at @ (a @ q))[0]
    b = a @ q
    _, vectors = torch.linalg.eigh(b.T @ b)
    return (q @ vectors.flip(1)[:, :count]).numpy()


def _torch_sparse(m: sp.csr_matrix) -> torch.Tensor:
    return torch.sparse_csr_tensor(
        torch.from_numpy(m.indptr.astype(np.int64)),
        torch.from_numpy(m.indices.astype(np.int64)),
        torch.from_numpy(m.data),
        m.shape,
    )
