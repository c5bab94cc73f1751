"""A learned English-Chinese dictionary that rewrites a question into weighted terms of the other language.

Not a translator: it gives terms for full-text search, several per word, with how far each is to be trusted.
The entries come from word alignment of public parallel text (models/foundry/embedder); some are odd, which the
weights and the rarity of terms in the library make harmless. Read-only after loading; safe to share.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from app.core.folding import normalise
from app.core.porter import stem
from app.index.terms import STOP_WORDS, bigrams, query_terms

Translations: TypeAlias = Sequence[tuple[str, float]]

_LONGEST_KEY = 8  # characters; the segmenter that made the keys gives hardly any longer word
_HAN_RUN = re.compile("[\u3400-\u9fff]+")
_CHINESE_STOP_WORDS = frozenset(
    "的 了 是 在 和 与 及 为 哪 哪些 哪个 什么 谁 何时 何 吗 呢 于 由 有 被 中 多少 几 请问 怎样 如何 哪一 一个 "  # noqa: SIM905
    "哪里 哪种 哪位 时候 时 对 个 这 那 他 她 它 他们 我 你 我们 不 没有 会 可以 能 要 使 让 把 将 从 到 用 以 其 之 "
    "而 并 也 都 就 还 上 下 里 后 前 一 这个 那个 这些 那些 因为 所以 怎么 为什么 什么样 多大 名字 请 吧 啊 很 最 "
    "地 得 着 过".split()
)
_ENGLISH_STOP_WORDS = STOP_WORDS | frozenset(
    "i you he she we my your our not no have has had will would can could if but so me him them us am "  # noqa: SIM905
    "all some any".split()
)


class Dictionary:
    def __init__(self, english_of: Mapping[str, Translations], chinese_of: Mapping[str, Translations]) -> None:
        """`english_of`: Chinese word -> English words; `chinese_of`: English stem -> Chinese words; with scores."""
        self._english_of = english_of
        self._chinese_of = chinese_of

    @classmethod
    def load(cls, path: Path) -> Dictionary:
        tables = json.loads(path.read_text(encoding="utf-8"))
        return cls(tables["zh2en"], tables["en2zh"])

    def expand(self, question: str, *, to_chinese: bool) -> Mapping[str, float]:
        """Index terms of the other language -> weight; each known word of the question shares out a weight of 1.

        Translations only: names and numbers that the other language quotes as they are come from `query_terms`.
        """
        return self._to_chinese(question) if to_chinese else self._to_english(question)

    def _to_english(self, question: str) -> Mapping[str, float]:
        weights: defaultdict[str, float] = defaultdict(float)
        for word in self._segment(question):
            for english, share in _shares(self._english_of[word]):
                weights[english] += share
        return weights

    def _to_chinese(self, question: str) -> Mapping[str, float]:
        weights: defaultdict[str, float] = defaultdict(float)
        for word in query_terms(question):
            if word in _ENGLISH_STOP_WORDS:
                continue
            known = [t for t in self._chinese_of.get(stem(word), ()) if t[0] not in _CHINESE_STOP_WORDS]
            for chinese, share in _shares(known):
                pairs = bigrams(chinese)
                for pair in pairs:
                    weights[pair] += share / len(pairs) ** 0.5
        return weights

    def _segment(self, text: str) -> Iterator[str]:
        """The dictionary's words in `text`: the longest match from each place on, stop words passed over."""
        for run in _HAN_RUN.findall(normalise(text)):
            at = 0
            while at < len(run):
                end = self._longest(run, at)
                if run[at:end] in self._english_of and run[at:end] not in _CHINESE_STOP_WORDS:
                    yield run[at:end]
                at = end

    def _longest(self, run: str, at: int) -> int:
        for end in range(min(len(run), at + _LONGEST_KEY), at + 1, -1):
            if run[at:end] in self._english_of or run[at:end] in _CHINESE_STOP_WORDS:
                return end
        return at + 1


def _shares(translations: Translations) -> Iterator[tuple[str, float]]:
    total = sum(score for _, score in translations)
    for word, score in translations:
        yield word, score / total
