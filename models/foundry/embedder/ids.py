"""Texts as token ids: the vocabulary, and bags of ids that numpy and torch can work on.

The tokens are the program's own (app.engine.static_embedder.tokens), so training and use cannot differ.
"""

from __future__ import annotations

import collections
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from app.engine.static_embedder import tokens

WORDS, NUMBERS, CHARACTERS, PAIRS, BUCKETS = 32_000, 1_500, 6_000, 32_000, 8_192
RAREST = 5  # a token seen less often goes into a bucket


@dataclass(frozen=True, slots=True)
class Vocabulary:
    rows: dict[str, int]

    @property
    def size(self) -> int:
        return len(self.rows) + BUCKETS

    def ids(self, text: str) -> np.ndarray:
        first = len(self.rows)
        known = self.rows.get
        return np.array(
            [r if (r := known(t)) is not None else first + zlib.crc32(t.encode()) % BUCKETS for t in tokens(text)],
            np.int32,
        )

    def is_single_han(self) -> np.ndarray:
        flags = np.zeros(self.size, bool)
        flags[: len(self.rows)] = [len(t) == 1 and t >= "\u3400" for t in self.rows]
        return flags

    def save(self, path: Path) -> None:
        path.write_text(json.dumps({"vocab": list(self.rows), "buckets": BUCKETS}, ensure_ascii=False), "utf-8")


def build_vocabulary(texts: Iterable[str]) -> Vocabulary:
    counts: collections.Counter[str] = collections.Counter()
    for text in texts:
        counts.update(tokens(text))
    ranked = [(t, c) for t, c in counts.most_common()]
    han = [(t, c) for t, c in ranked if t[0] >= "\u3400" and c >= RAREST]
    words = [t for t, c in ranked if t[0] < "\u3400" and not t[0].isdigit() and c >= RAREST][:WORDS]
    numbers = [t for t, _ in ranked if t[0].isdigit()][:NUMBERS]
    characters = [t for t, _ in han if len(t) == 1][:CHARACTERS]
    pairs = [t for t, _ in han if len(t) == 2][:PAIRS]
    return Vocabulary({t: row for row, t in enumerate(words + numbers + characters + pairs)})


@dataclass(frozen=True, slots=True)
class Texts:
    """Many texts' ids in one array; text i is ids[starts[i]:starts[i + 1]]."""

    ids: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, i: int) -> np.ndarray:
        return self.ids[self.starts[i] : self.starts[i + 1]]

    def matrix(self, columns: int) -> sp.csr_matrix:
        """One row a text: 1 + ln(count) of each token."""
        ones = np.ones(len(self.ids), np.float32)
        m = sp.csr_matrix((ones, self.ids.copy(), self.starts.copy()), shape=(len(self), columns))
        m.sum_duplicates()  # in place: without the copies it would reorder the texts themselves
        m.data = 1 + np.log(m.data)
        return m


def numbered(texts: Sequence[str], vocabulary: Vocabulary) -> Texts:
    found = [vocabulary.ids(t) for t in texts]
    starts = np.zeros(len(found) + 1, np.int64)
    starts[1:] = np.cumsum([len(f) for f in found])
    return Texts(np.concatenate(found), starts)
