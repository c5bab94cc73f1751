"""The training pack as Python values: text chunks, questions with contexts, sentence pairs, summaries.

Also the validation split: contexts and sentence pairs that training never sees, chosen by a fixed seed. All later
choices (dictionary settings, fusion weights) are made there, not on the evaluation questions.
"""

from __future__ import annotations

import collections
import json
import lzma
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ENGLISH_CHUNK_CHARS, CHINESE_CHUNK_CHARS = 700, 240
VALIDATION_CONTEXTS = {"en": 1000, "zh": 1200}
VALIDATION_NEWS_PAIRS, VALIDATION_OTHER_PAIRS = 700, 800
SEED = 1

_FOREIGN = "英语|英文|英語|英|拉丁语|学名|法语|德语|荷兰语|意大利语|西班牙语|俄语|又称|简称"
_NAMED = re.compile(
    rf"([\u4e00-\u9fff·]{{2,12}})[》」”\"]?[（(](?:{_FOREIGN})?[：:，, ]{{0,2}}"
    r"([A-Za-z][A-Za-z .'\-]{1,40})[）),，;；]"
)


@dataclass(frozen=True, slots=True)
class TextChunk:
    chinese: bool
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Pack:
    """`names` are (Chinese, English) out of "中文（English）" in Chinese text."""

    chunks: list[TextChunk]  # English ones first
    questions: list[dict]
    pairs: list[dict]
    summaries: list[dict]
    names: list[tuple[str, str]]
    validation_questions: list[dict]
    validation_pairs: list[dict]

    @property
    def english_chunks(self) -> int:
        return sum(not c.chinese for c in self.chunks)


def read_pack(folder: Path) -> Pack:
    rng = random.Random(SEED)
    english = list(_chunks(folder / "pretrain_en.txt.xz", ENGLISH_CHUNK_CHARS, chinese=False))
    chinese = list(_chunks(folder / "pretrain_zh.txt.xz", CHINESE_CHUNK_CHARS, chinese=True))
    names = collections.Counter((m[1], m[2].strip()) for chunk in chinese for m in _NAMED.finditer(chunk.text))
    questions = [q for q in _rows(folder / "qa_train.jsonl.xz") if q["answerable"]]
    held = _validation_contexts(questions, rng)
    validation_pairs, pairs = _split_pairs(list(_rows(folder / "parallel_enzh.jsonl.xz")), rng)
    return Pack(
        chunks=english + chinese,
        questions=[q for q in questions if q["context"] not in held],
        pairs=pairs,
        summaries=list(_rows(folder / "summaries.jsonl.xz")),
        names=list(names),
        validation_questions=[q for q in questions if q["context"] in held],
        validation_pairs=validation_pairs,
    )


def titled(row: dict) -> str:
    """A question's context under its title."""
    return f"{row['title']}. {row['context']}" if row.get("title") else row["context"]


def _rows(path: Path) -> Iterator[dict]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _validation_contexts(questions: list[dict], rng: random.Random) -> set[str]:
    language = {q["context"]: q["lang"] for q in questions}
    contexts = sorted(language)
    rng.shuffle(contexts)
    return {
        context for lang, count in VALIDATION_CONTEXTS.items()
        for context in [c for c in contexts if language[c] == lang][:count]
    }  # fmt: skip


def _split_pairs(pairs: list[dict], rng: random.Random) -> tuple[list[dict], list[dict]]:
    rng.shuffle(pairs)
    news = [p for p in pairs if "NTREX" in p["source"]]
    other = [p for p in pairs if "NTREX" not in p["source"]]
    held = news[:VALIDATION_NEWS_PAIRS] + other[:VALIDATION_OTHER_PAIRS]
    return held, news[VALIDATION_NEWS_PAIRS:] + other[VALIDATION_OTHER_PAIRS:]


def _documents(path: Path) -> Iterator[tuple[str, list[str]]]:
    """(title, paragraphs); a line "# ..." begins a document."""
    title, lines = "", []
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for line in map(str.strip, file):
            if line.startswith("# "):
                if lines:
                    yield title, lines
                title, lines = line[2:], []
            elif line:
                lines.append(line)
    if lines:
        yield title, lines


def _chunks(path: Path, size: int, *, chinese: bool) -> Iterator[TextChunk]:
    for title, lines in _documents(path):
        text = ""
        for piece in (p for line in lines for p in _pieces(line, size)):
            if text and len(text) + len(piece) > size:
                yield TextChunk(chinese, title, text)
                text = ""
            text = f"{text} {piece}".strip()
        if len(text) > size // 5:
            yield TextChunk(chinese, title, text)


def _pieces(line: str, size: int) -> Iterator[str]:
    """A long line cut at sentence ends."""
    while len(line) > 1.6 * size:
        end = max(line.rfind(". ", 0, size), line.rfind("。", 0, size)) + 1
        end = end if end > size // 3 else size
        yield line[:end]
        line = line[end:]
    yield line
