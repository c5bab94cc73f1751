"""How fast search is, step by step, and how fast its parts are made: folding, embedding, rebuilding.

    python -m tests.bench.bench_retrieval [--chunks N] [--questions N]

Texts are made of the embedder's own vocabulary by Zipf's law, half English, half Chinese, so that it runs anywhere.
Seconds are processor time of the one thread. "fused_over_text" compares the whole search with its keyword leg alone,
measured in turns in the same run. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from app.core.paths import starter_models
from app.core.ports import PageRead
from app.core.values import Chunk, DocumentKind, DraftChunk, PageText
from app.engine.static_embedder import StaticEmbedder
from app.index.dictionary import Dictionary
from app.index.search import LEGS, SearchIndex
from app.index.terms import fold
from app.store import EncryptedLibrary, in_memory_library

FOLDER = starter_models() / "embedder"
ENGLISH_WORDS, CHINESE_WORDS = 140, 200  # a chunk of about 900 characters, 400 in Chinese
QUESTION_WORDS = 8
PAGES_PER_DOCUMENT, SAVED_AT_ONCE = 100, 16
MAX_WORDS = 20_000
LEG_SETS = {"text": {"text"}, "dictionary": {"dictionary"}, "vector": {"vector"}, "fused": LEGS}


class Writer:
    """Texts of random words, frequent ones often."""

    def __init__(self, seed: int) -> None:
        vocabulary = json.loads((FOLDER / "vocab.json").read_text("utf-8"))["vocab"]
        self._english = [w for w in vocabulary if w.isascii() and w.isalpha()][:MAX_WORDS]
        self._chinese = [w for w in vocabulary if w[0] >= "\u3400" and len(w) == 2][:MAX_WORDS]
        self._rng = np.random.default_rng(seed)

    def text(self, words: int, *, chinese: bool) -> str:
        known = self._chinese if chinese else self._english
        ranks = np.minimum(self._rng.zipf(1.2, words), len(known)) - 1
        return ("" if chinese else " ").join(known[r] for r in ranks)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=200)
    options = parser.parse_args(arguments)
    writer = Writer(seed=1)
    half = options.chunks // 2
    english = [writer.text(ENGLISH_WORDS, chinese=False) for _ in range(half)]
    chinese = [writer.text(CHINESE_WORDS, chinese=True) for _ in range(half)]
    embedder = StaticEmbedder(FOLDER)
    embedder.embed(english[:200])  # the stem cache is warm in a running program
    library = in_memory_library(fold)
    fill_s = _timed(lambda: _fill(library, english + chinese, embedder))
    index = SearchIndex(library, embedder, Dictionary.load(FOLDER / "dict_enzh.json"))
    rebuild_s = _timed(index.rebuild)
    questions = [writer.text(QUESTION_WORDS, chinese=bool(i % 2)) for i in range(options.questions)]
    figures = {
        "chunks": index.vector_count,
        "fold_mb_per_s": {
            "en": _rate(english[:500], lambda some: [fold(t) for t in some], size=sum(map(len, english[:500])) / 1e6),
            "zh": _rate(chinese[:500], lambda some: [fold(t) for t in some], size=sum(map(len, chinese[:500])) / 1e6),
        },
        "embedded_per_s": {"en": _rate(english[:1000], embedder.embed), "zh": _rate(chinese[:1000], embedder.embed)},
        "store_fold_embed_chunks_per_s": round(options.chunks / fill_s),
        "rebuild_s_per_10k_vectors": round(rebuild_s * 10_000 / index.vector_count, 3),
        **_search_times(index, embedder, questions),
    }
    print(json.dumps(figures, indent=2))


def _search_times(index: SearchIndex, embedder: StaticEmbedder, questions: Sequence[str]) -> dict[str, object]:
    """Median milliseconds per step; the legs of one question are timed one after the other."""
    times: dict[str, list[float]] = {name: [] for name in ("embed_question", *LEG_SETS)}
    for question in questions:
        began = time.thread_time()
        vector = embedder.embed([question], as_question=True)[0]
        times["embed_question"].append(time.thread_time() - began)
        for name, legs in LEG_SETS.items():
            began = time.thread_time()
            index.search(question, 10, question_vector=vector, legs=frozenset(legs))
            times[name].append(time.thread_time() - began)
    medians = {name: 1000 * statistics.median(taken) for name, taken in times.items()}
    return {
        "ms_per_question": {name: round(ms, 2) for name, ms in medians.items()},
        "questions_per_s": round(1000 / (medians["embed_question"] + medians["fused"])),
        "fused_over_text": round(medians["fused"] / medians["text"], 2),
    }


def _fill(library: EncryptedLibrary, texts: Sequence[str], embedder: StaticEmbedder) -> None:
    for first in range(0, len(texts), PAGES_PER_DOCUMENT):
        some = texts[first : first + PAGES_PER_DOCUMENT]
        document_id = library.add_document(Path(f"{first}.txt"), 1).document_id
        library.begin_reading(document_id, DocumentKind.TEXT, "", len(some))
        chunks: list[Chunk] = []
        for start in range(0, len(some), SAVED_AT_ONCE):
            pages = [_page(start + n, text) for n, text in enumerate(some[start : start + SAVED_AT_ONCE], start=1)]
            chunks += library.save_pages(document_id, pages)
        vectors = embedder.embed([c.text for c in chunks])
        library.save_vectors(embedder.fingerprint, [c.chunk_id for c in chunks], vectors)


def _page(page_no: int, text: str) -> PageRead:
    return PageRead(PageText(page_no, "", 0, 0, text), (DraftChunk(page_no, 0, len(text), text, "", ()),))


def _rate(texts: Sequence[str], work: Callable[[Sequence[str]], object], size: float = 0.0) -> float:
    """Texts, or the unit that `size` is in, per second."""
    return round((size or len(texts)) / _timed(lambda: work(texts)), 1)


def _timed(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began


if __name__ == "__main__":
    main()
