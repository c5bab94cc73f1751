"""Training batches: (questions, passages) as bags of weighted token ids, drawn from eight kinds of pairs.

questions   a question and its context
cloze_*     a few words of a chunk and the chunk, those words mostly taken out (en, zh)
switched_*  the same, the words translated by the dictionary and nothing taken out
summaries   a piece of a summary and a piece of its text
titles      a document's title and one of its chunks
pairs       a sentence and its translation, either way round
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jieba
import numpy as np
import torch

from app.core.folding import normalise
from models.foundry.embedder.align import Alignment
from models.foundry.embedder.ids import Vocabulary, numbered
from models.foundry.embedder.pack import Pack, titled

SHARES = {
    "questions": 0.30, "cloze_en": 0.20, "cloze_zh": 0.15, "summaries": 0.05, "titles": 0.05, "pairs": 0.10,
    "switched_en": 0.10, "switched_zh": 0.05,
}  # fmt: skip
NEIGHBOURS = 8  # chunks next to each other in a batch: hard negatives for nothing
KEEP_SHARE = 0.3  # of cloze questions whose words stay in the passage, so that exact words keep counting
TRUSTED_SCORE, TRUSTED_TRANSLATIONS = 0.06, 4
UNKNOWN_KEPT = 0.15  # of words without translation that stay as they are
CONTEXT_TOKENS, TEXT_TOKENS, SUMMARY_TOKENS = 600, 500, 20
NOTHING = np.zeros(1, np.int32)


@dataclass(frozen=True, slots=True)
class Bags:
    """Torch's embedding_bag form: token ids, where each bag starts, 1 + ln(count) of each token."""

    ids: torch.Tensor
    starts: torch.Tensor
    weights: torch.Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """`same` marks equal passages, which are no negatives of each other; None when all differ."""

    questions: Bags
    passages: Bags
    same: torch.Tensor | None = None


class Batches:
    def __init__(self, pack: Pack, vocabulary: Vocabulary, alignment: Alignment, size: int, seed: int) -> None:
        self.chunks = numbered([c.text for c in pack.chunks], vocabulary)
        self.english = numbered([p["en"] for p in pack.pairs], vocabulary)
        self.chinese = numbered([p["zh"] for p in pack.pairs], vocabulary)
        self._titles = numbered([c.title for c in pack.chunks], vocabulary)
        self._questions = numbered([q["question"] for q in pack.questions], vocabulary)
        self._contexts = numbered([titled(q) for q in pack.questions], vocabulary)
        self._summaries = numbered([s["summary"] for s in pack.summaries], vocabulary)
        self._summarised = numbered([s["text"][:6000] for s in pack.summaries], vocabulary)
        self._texts = [c.text for c in pack.chunks]
        self._first_chinese = pack.english_chunks
        self._vocabulary = vocabulary
        self._english_of = {z: t for z, found in alignment.english_of.items() if (t := _trusted(found))}
        self._chinese_of = {
            vocabulary.rows[e]: t for e, found in alignment.chinese_of.items()
            if e in vocabulary.rows and (t := _trusted(found))
        }  # fmt: skip
        self._size = size
        self._rng = np.random.default_rng(seed)
        self._makers: dict[str, Callable[[], Batch]] = {
            "questions": self._question_batch,
            "cloze_en": lambda: self._cloze(chinese=False, switched=False),
            "cloze_zh": lambda: self._cloze(chinese=True, switched=False),
            "summaries": self._summary_batch,
            "titles": self._title_batch,
            "pairs": self._pair_batch,
            "switched_en": lambda: self._cloze(chinese=False, switched=True),
            "switched_zh": lambda: self._cloze(chinese=True, switched=True),
        }

    def draw(self) -> tuple[str, Batch]:
        kind = str(self._rng.choice(list(SHARES), p=np.array(list(SHARES.values())) / sum(SHARES.values())))
        return kind, self._makers[kind]()

    # ---- kinds ---------------------------------------------------------------------------------
    def _question_batch(self) -> Batch:
        chosen = self._some(len(self._questions))
        passages = [_not_empty(self._contexts[i][:CONTEXT_TOKENS]) for i in chosen]
        return Batch(
            self._bags([_not_empty(self._questions[i]) for i in chosen]), self._bags(passages), _same(passages)
        )

    def _summary_batch(self) -> Batch:
        chosen = self._some(len(self._summaries))
        questions = [self._window(self._summaries[i], SUMMARY_TOKENS) for i in chosen]
        texts = [
            self._window(self._summarised[i], CONTEXT_TOKENS // 2)
            if self._rng.random() < 0.5
            else _not_empty(self._summarised[i][:TEXT_TOKENS])
            for i in chosen
        ]
        return Batch(self._bags(questions), self._bags(texts))

    def _title_batch(self) -> Batch:
        chosen = self._rng.integers(0, len(self.chunks), self._size)
        titles = [_not_empty(self._titles[i]) for i in chosen]
        return Batch(self._bags(titles), self._bags([self.chunks[i] for i in chosen]), _same(titles))

    def _pair_batch(self) -> Batch:
        chosen = self._some(len(self.english))
        english = [_not_empty(self.english[i]) for i in chosen]
        chinese = [_not_empty(self.chinese[i]) for i in chosen]
        sides = (chinese, english) if self._rng.random() < 0.5 else (english, chinese)
        return Batch(self._bags(sides[0]), self._bags(sides[1]), _same(english))

    def _cloze(self, *, chinese: bool, switched: bool) -> Batch:
        first, last = (self._first_chinese, len(self.chunks)) if chinese else (0, self._first_chinese)
        starts = self._rng.integers(first, last - NEIGHBOURS, self._size // NEIGHBOURS)
        chosen = (starts[:, None] + np.arange(NEIGHBOURS)).ravel()
        questions, taken_out = [], []
        for i in chosen:
            words, translated = self._chinese_words(i) if chinese else self._english_words(i)
            taken_out.append(words[:0] if self._rng.random() < KEEP_SHARE else words)
            questions.append(_not_empty(translated() if switched else self._thinned(words, chinese)))
        passages = [self.chunks[i] for i in chosen]
        return Batch(self._bags(questions), self._bags(passages, None if switched else taken_out))

    # ---- words of a chunk ----------------------------------------------------------------------
    def _english_words(self, chunk: int) -> tuple[np.ndarray, Callable[[], np.ndarray]]:
        words = self._window(self.chunks[chunk], int(self._rng.integers(5, 19)))
        return words, lambda: self._in_chinese(words)

    def _chinese_words(self, chunk: int) -> tuple[np.ndarray, Callable[[], np.ndarray]]:
        text, length = self._texts[chunk], int(self._rng.integers(8, 27))
        start = int(self._rng.integers(0, max(0, len(text) - length) + 1))
        text = text[start : start + length]
        return _not_empty(self._vocabulary.ids(text)), lambda: self._in_english(text)

    def _thinned(self, words: np.ndarray, chinese: bool) -> np.ndarray:
        if chinese or len(words) <= 6 or self._rng.random() < 0.5:
            return words
        return words[self._rng.random(len(words)) > 0.3]

    def _in_chinese(self, words: np.ndarray) -> np.ndarray:
        found = []
        for word in words.tolist():
            if word in self._chinese_of:
                found.append(self._vocabulary.ids(self._one(self._chinese_of[word])))
            elif self._rng.random() < UNKNOWN_KEPT:
                found.append(np.array([word], np.int32))
        return np.concatenate(found) if found else words

    def _in_english(self, text: str) -> np.ndarray:
        known = [self._one(self._english_of[w]) for w in jieba.cut(normalise(text)) if w in self._english_of]
        return np.array([self._vocabulary.rows[w] for w in known if w in self._vocabulary.rows], np.int32)

    def _one(self, translations: list[tuple[str, float]]) -> str:
        at = self._rng.random()
        for word, until in translations:
            if at <= until:
                return word
        return translations[-1][0]

    # ---- bags ----------------------------------------------------------------------------------
    def _some(self, count: int) -> np.ndarray:
        return self._rng.choice(count, min(self._size, count), replace=False)

    def _window(self, ids: np.ndarray, length: int) -> np.ndarray:
        start = int(self._rng.integers(0, max(0, len(ids) - length) + 1))
        return _not_empty(ids[start : start + length])

    def _bags(self, texts: list[np.ndarray], taken_out: list[np.ndarray] | None = None) -> Bags:
        keys, counts = np.unique(self._keys(texts), return_counts=True)
        if taken_out is not None and any(map(len, taken_out)):
            out = self._keys(taken_out)
            at = np.minimum(np.searchsorted(keys, out), len(keys) - 1)
            np.subtract.at(counts, at[keys[at] == out], 1)
            keys, counts = keys[counts > 0], counts[counts > 0]
        bag, ids = np.divmod(keys, self._vocabulary.size)
        starts = np.searchsorted(bag, np.arange(len(texts)))
        weights = (1 + np.log(counts)).astype(np.float32)
        return Bags(torch.from_numpy(ids), torch.from_numpy(starts), torch.from_numpy(weights))

    def _keys(self, texts: list[np.ndarray]) -> np.ndarray:
        """One number per token that names its text and its id."""
        text = np.repeat(np.arange(len(texts), dtype=np.int64), [len(t) for t in texts])
        return text * self._vocabulary.size + np.concatenate(texts)


def _trusted(found: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Translations with their share of probability, summed up so far."""
    kept = [t for t in found if t[1] > TRUSTED_SCORE][:TRUSTED_TRANSLATIONS]
    sums = np.cumsum([score for _, score in kept])
    return [(word, float(s / sums[-1])) for (word, _), s in zip(kept, sums, strict=True)]


def _not_empty(ids: np.ndarray) -> np.ndarray:
    return ids if len(ids) else NOTHING


def _same(texts: list[np.ndarray]) -> torch.Tensor:
    number: dict[bytes, int] = {}
    groups = np.array([number.setdefault(t.tobytes(), len(number)) for t in texts])
    same = torch.from_numpy(groups[:, None] == groups[None, :])
    return same.fill_diagonal_(False)
