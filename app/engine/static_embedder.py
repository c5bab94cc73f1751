"""The built-in bilingual embedder: a text's vector is the weighted sum of the vectors of its tokens.

Static: no attention, no model run; numpy only, thousands of passages a second on one thread. Runs in the engine
child. The vocabulary is Porter stems, numbers, Chinese characters and character pairs; anything else falls into
one of a few thousand hash buckets. Made by models/foundry/embedder; what it can and cannot do is measured there.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from app.core.errors import ErrorCode, JingyanError
from app.core.folding import normalise
from app.core.porter import stem

Float32Matrix: TypeAlias = npt.NDArray[np.float32]
Float32Row: TypeAlias = npt.NDArray[np.float32]

_RUN = re.compile("[a-z]+|[0-9]+|[\u00df-\u024f\u0370-\u04ff]+|[\u3400-\u9fff]+")  # what the training cut by
_LONGEST_STEMMED = 24  # longer letter runs are not words; they are cut, not stemmed


class StaticEmbedder:
    """`fingerprint` names the files' content; `dim` is the length of a vector."""

    def __init__(self, folder: Path) -> None:
        """Raises JingyanError MODEL_MISSING or MODEL_DAMAGED."""
        try:
            weights = (folder / "embedder.safetensors").read_bytes()
            words = (folder / "vocab.json").read_bytes()
        except OSError as e:
            raise JingyanError(ErrorCode.MODEL_MISSING, name=folder.name) from e
        try:
            tensors = load_safetensors(weights)
            vocabulary = json.loads(words)
            self._rows: dict[str, int] = {token: row for row, token in enumerate(vocabulary["vocab"])}
            self._buckets = int(vocabulary["buckets"])
            self._vectors: npt.NDArray[np.int8] = tensors["emb_int8"]
            scale = tensors["scale_fp16"].astype(np.float32).ravel()
            self._question_weights: Float32Row = scale * tensors["wq"].astype(np.float32)
            self._passage_weights: Float32Row = scale * tensors["wp"].astype(np.float32)
        except (SafetensorError, ValueError, KeyError, TypeError) as e:
            raise JingyanError(ErrorCode.MODEL_DAMAGED, name=folder.name) from e
        if len(self._vectors) != len(self._rows) + self._buckets or len(scale) != len(self._vectors):
            raise JingyanError(ErrorCode.MODEL_DAMAGED, name=folder.name)
        self.dim = int(self._vectors.shape[1])
        self.fingerprint = f"static-{hashlib.sha256(weights + words).hexdigest()[:16]}"

    def embed(self, texts: Sequence[str], *, as_question: bool = False) -> Float32Matrix:
        """Vectors for `texts`, in order: shape (len(texts), dim), rows of length 1.

        A text without any token has a row of zeros. Questions and passages weigh their tokens differently.
        """
        weights = self._question_weights if as_question else self._passage_weights
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            counts = Counter(self._ids(text))
            if counts:
                ids = np.fromiter(counts, np.int64, len(counts))
                often = np.fromiter(counts.values(), np.float32, len(counts))
                summed = ((1 + np.log(often)) * weights[ids]) @ self._vectors[ids].astype(np.float32)
                vectors[row] = summed / max(float(np.linalg.norm(summed)), 1e-6)
        return vectors

    def _ids(self, text: str) -> list[int]:
        known, first_bucket = self._rows, len(self._rows)
        return [
            row if (row := known.get(token)) is not None else first_bucket + zlib.crc32(token.encode()) % self._buckets
            for token in tokens(text)
        ]


def tokens(text: str) -> list[str]:
    """The embedder's tokens; not the full-text index's. Must stay as the vectors were trained."""
    found: list[str] = []
    for run in _RUN.findall(normalise(text)):
        if "a" <= run[0] <= "z":
            found.append(stem(run) if len(run) <= _LONGEST_STEMMED else run[: _LONGEST_STEMMED + 1])
        elif run[0] >= "\u3400":
            found.extend(run)
            found.extend(run[i : i + 2] for i in range(len(run) - 1))
        else:
            found.append(run)
    return found
