"""The English-Chinese dictionary: IBM model 1 in both directions over sentence pairs and names.

A pair of words scores sqrt(t(e|z) t(z|e)): high only when each is the other's usual translation. English words are
stems while aligning; the dictionary gives, for each stem, its most frequent written form, because the full-text
table stems by itself and a stem stemmed twice is another word.
"""

from __future__ import annotations

import collections
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import jieba
import numpy as np

from app.core.folding import normalise
from app.core.porter import stem

ITERATIONS = 6
LONGEST = 45  # words; longer sentences align badly and cost the square
LOWEST_SCORE = 0.03
MOST_TRANSLATIONS = 5
_HAN = re.compile("[\u3400-\u9fff]")
_ENGLISH_WORD = re.compile("[a-z]+")
_FUNCTION_WORDS = frozenset(
    "a an the of in on at to for from by with and or is are was were be been it its this that i you he she "  # noqa: SIM905
    "we they my your his her our their not no do does did have has had will would can could as if but so than then "
    "there what which who when where why how me him them us am all some any".split()
)

Table = dict[str, list[tuple[str, float]]]


class _Ids(dict[str, int]):
    def __missing__(self, key: str) -> int:
        self[key] = len(self)
        return self[key]


@dataclass(frozen=True, slots=True)
class Alignment:
    """Both directions, best first; English as stems."""

    english_of: Table = field(default_factory=lambda: collections.defaultdict(list))
    chinese_of: Table = field(default_factory=lambda: collections.defaultdict(list))


def chinese_words(text: str) -> list[str]:
    return [w for w in jieba.cut(normalise(text)) if _HAN.search(w)]


def english_stems(text: str) -> list[str]:
    words = _ENGLISH_WORD.findall(normalise(text))
    return [stem(w) for w in words if w not in _FUNCTION_WORDS and len(w) > 1]


def align(pairs: Iterable[tuple[str, str]]) -> Alignment:
    """`pairs` are (Chinese text, English text)."""
    chinese_ids, english_ids = _Ids({"<none>": 0}), _Ids({"<none>": 0})
    sides = []
    for chinese, english in pairs:
        z, e = chinese_words(chinese), english_stems(english)
        if z and e and len(z) <= LONGEST and len(e) <= LONGEST:
            sides.append((np.array([0] + [chinese_ids[w] for w in z]), np.array([english_ids[w] for w in e])))
    z_of = np.concatenate([np.repeat(z, len(e)) for z, e in sides])
    e_of = np.concatenate([np.tile(e, len(z)) for z, e in sides])
    e_slot = _slots([(len(z), len(e)) for z, e in sides], repeat=False)
    z_slot = _slots([(len(z), len(e)) for z, e in sides], repeat=True)
    types, link_type = np.unique(z_of.astype(np.int64) * len(english_ids) + e_of, return_inverse=True)
    z_type, e_type = np.divmod(types, len(english_ids))
    e_given_z = _expectation_maximisation(link_type, len(types), e_slot, z_type)
    z_given_e = _expectation_maximisation(link_type, len(types), z_slot, e_type)
    scores = np.sqrt(e_given_z * z_given_e)
    found = Alignment()
    z_words, e_words = list(chinese_ids), list(english_ids)
    for k in np.flatnonzero((scores >= LOWEST_SCORE) & (z_type > 0)):
        z, e, score = z_words[z_type[k]], e_words[e_type[k]], float(scores[k])
        found.english_of[z].append((e, score))
        found.chinese_of[e].append((z, score))
    for table in (found.english_of, found.chinese_of):
        for word, translations in table.items():
            table[word] = sorted(translations, key=lambda t: (-t[1], t[0]))[:MOST_TRANSLATIONS]
    return found


def _slots(shapes: list[tuple[int, int]], *, repeat: bool) -> np.ndarray:
    """For every link of every pair, the number of the word (over all pairs) that the link explains."""
    parts, first = [], 0
    for chinese, english in shapes:
        explained = chinese if repeat else english
        numbers = np.arange(first, first + explained)
        parts.append(np.repeat(numbers, english) if repeat else np.tile(numbers, chinese))
        first += explained
    return np.concatenate(parts)


def _expectation_maximisation(link_type: np.ndarray, types: int, slot: np.ndarray, source: np.ndarray) -> np.ndarray:
    """t(target | source) per type of link."""
    t = np.full(types, 0.01)
    slots = int(slot.max()) + 1
    for _ in range(ITERATIONS):
        p = t[link_type]
        counts = np.bincount(link_type, p / np.bincount(slot, p, slots)[slot], types)
        t = counts / np.bincount(source, counts)[source]
    return t


def written_forms(texts: Iterable[str]) -> dict[str, str]:
    """Stem -> its most frequent written form."""
    counts: collections.Counter[str] = collections.Counter()
    for text in texts:
        counts.update(_ENGLISH_WORD.findall(normalise(text)))
    forms: dict[str, str] = {}
    for word, _ in counts.most_common():
        forms.setdefault(stem(word), word)
    return forms


def save(alignment: Alignment, forms: dict[str, str], path: Path) -> None:
    def rounded(table: Table, form: dict[str, str]) -> dict[str, list[list[str | float]]]:
        return {w: [[form.get(t, t), round(score, 3)] for t, score in found] for w, found in table.items()}

    tables = {"zh2en": rounded(alignment.english_of, forms), "en2zh": rounded(alignment.chinese_of, {})}
    path.write_text(json.dumps(tables, ensure_ascii=False, separators=(",", ":")), "utf-8")
