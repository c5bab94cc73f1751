"""Samples -> token ids, loss weights and attention targets for training.

Questions about passages are single sequences. Tool calls of one sample share their prefix: each is a branch that sees
the prefix and itself, at the positions it would have alone, so llama.cpp's ordinary single turn is computed exactly.
Attention targets are training-only:
  pointers: where the next answer token is copied from (the first token of an absent answer points at position 0);
  echoes:   words of the passages -> the same words of the question in front, or position 0;
  carries:  the first token of each value -> the words of its own sentence that are asked for, or position 0;
  anchors:  words of the question behind the passages -> the same words in the sentence that answers.
"""
# ruff: noqa: SIM905 - word lists read better as text

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from data_text import ASK, Sample, Turn
from tokenizer import render
from tokenizers import Tokenizer

STOP_WORDS = frozenset(
    "the a an of is are was were what who whom which when where how much many does did do in on at to for by with and "
    "or it this that be must has have had not as from question "
    "的 是 多 少 什 么 哪 谁 几 里 在 年 天 为 由 何 处 有 了 和 与 及 于 被 把 问题 问 题".split()
)
TURNS_USED = 2  # questions of one context; more would repeat it too often
ECHOES = 60
FIRST_TOKEN_WEIGHT = 4.0  # choosing the place is the hard part; the rest is copying


@dataclass
class Encoded:
    """One packed sample; `branch` is 0 for the prefix and n for the n-th question."""

    ids: list[int]
    pos: list[int]
    branch: list[int]
    weight: list[float]
    pointers: list[tuple[int, int]]  # (position, target)
    anchors: list[tuple[int, list[int]]]  # (position, targets)
    echoes: list[tuple[int, list[int]]]
    carries: list[tuple[int, list[int]]]


class Encoder:
    """Turns samples into `Encoded` with one tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.words = [tokenizer.decode([i]).strip().lower() for i in range(tokenizer.get_vocab_size())]
        self.useful = [self._useful(w) for w in self.words]

    @staticmethod
    def _useful(word: str) -> bool:
        if word in STOP_WORDS or not word or "\ufffd" in word:
            return False
        return word.isdigit() or (word[0].isalpha() and (len(word) > 1 or not word.isascii()))

    def _tokens(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        return encoding.ids, encoding.offsets

    def encode(self, sample: Sample, rng: random.Random) -> list[Encoded]:
        """One packed sequence for tool calls; one sequence each for up to TURNS_USED questions about passages."""
        if sample.tools:
            return [self._encode_tools(sample)]
        turns = sample.turns if len(sample.turns) <= TURNS_USED else rng.sample(sample.turns, TURNS_USED)
        return [self._encode_question(sample, turn, rng) for turn in turns]

    def _encode_question(self, sample: Sample, turn: Turn, rng: random.Random) -> Encoded:
        content = f"{sample.context}\n\n{ASK[sample.lang]}{turn.question}"
        prompt = render([{"role": "user", "content": content}])
        start = prompt.index(sample.context)
        ids, spans = self._tokens(prompt + turn.answer + "<|user|>")
        first = next(j for j, span in enumerate(spans) if span[0] >= len(prompt))
        weight = [0.0 if j < first else FIRST_TOKEN_WEIGHT if j == first else 1.0 for j in range(len(ids))]
        out = Encoded(ids, list(range(len(ids))), [0] * len(ids), weight, [], [], [], [])
        context = _inside(spans, start, start + len(sample.context))
        asked = prompt.index(ASK[sample.lang]) + len(ASK[sample.lang])
        question = _inside(spans, asked, asked + len(turn.question))
        self._echo(out, context, question, rng)
        words = {self.words[ids[j]] for j in question if self.useful[ids[j]]}
        letters = {word for word in words if not word.isdigit()}  # single digits match everywhere
        self._carry(out, spans, start, sample.turns, letters or words)
        if turn.at < 0:
            out.pointers.append((first - 1, 0))
            return out
        source = _inside(spans, start + turn.at, start + turn.at + len(turn.answer))
        self._point(out, source, _inside(spans, len(prompt), len(prompt) + len(turn.answer)))
        evidence = set(_inside(spans, start + turn.evidence[0], start + turn.evidence[1])) - set(source)
        self._anchor(out, sorted(evidence), context[-1] + 1, first)
        return out

    def _echo(self, out: Encoded, context: list[int], question: list[int], rng: random.Random) -> None:
        """Context words look up themselves in the question in front, words that are not there look at position 0."""
        where: dict[str, list[int]] = {}
        for j in question:
            where.setdefault(self.words[out.ids[j]], []).append(j)
        useful = [j for j in context if self.useful[out.ids[j]]]
        for j in useful if len(useful) <= ECHOES else rng.sample(useful, ECHOES):
            out.echoes.append((j, where.get(self.words[out.ids[j]], [0])))

    def _carry(self, out: Encoded, spans: list, start: int, facts: tuple[Turn, ...], asked: set[str]) -> None:
        """The first token of every value looks at the asked words of its own sentence, or at position 0."""
        for fact in facts:
            if fact.at < 0:
                continue
            value = _inside(spans, start + fact.at, start + fact.at + len(fact.answer))
            low, high = start + fact.evidence[0], start + fact.evidence[1]
            evidence = [j for j in _inside(spans, low, high) if j not in value]
            matched = [j for j in evidence if self.words[out.ids[j]] in asked]
            before = [j for j in matched if j < value[0]]
            if before or not matched:
                out.carries.append((value[0], before or [0]))

    def _encode_tools(self, sample: Sample) -> Encoded:
        head = render([{"role": "user", "content": "|"}], [t.spec() for t in sample.tools], False)
        prefix = head[: head.rindex("|")]
        ids, offsets = self._tokens(prefix)
        out = Encoded(list(ids), list(range(len(ids))), [0] * len(ids), [0.0] * len(ids), [], [], [], [])
        for number, turn in enumerate(sample.turns, 1):
            self._add_branch(out, offsets, prefix, turn, number)
        return out

    def _add_branch(self, out: Encoded, offsets: list, prefix: str, turn: Turn, number: int) -> None:
        before = turn.question + "<|assistant|>\n"
        ids, spans = self._tokens(before + turn.answer + "<|observation|>")
        base = len(out.ids)
        first = next(j for j, span in enumerate(spans) if span[0] >= len(before))
        out.ids += ids
        out.pos += range(len(offsets), len(offsets) + len(ids))
        out.branch += [number] * len(ids)
        out.weight += [0.0 if j < first else FIRST_TOKEN_WEIGHT if j == first else 1.0 for j in range(len(ids))]
        self._point_tool(out, offsets, prefix, turn, spans, base, before)

    def _point(self, out: Encoded, source: list[int], answer: list[int]) -> None:
        """Answer tokens are copied from source tokens; the first may differ by a leading blank."""
        if len(source) != len(answer):
            source = source[-len(answer) :] if len(source) > len(answer) else source
            answer = answer[-len(source) :]
        for index, (s, a) in enumerate(zip(source, answer, strict=True)):
            same = out.ids[s] == out.ids[a] or (index == 0 and self.words[out.ids[s]] == self.words[out.ids[a]])
            if same:
                out.pointers.append((a - 1, s))

    def _point_tool(
        self, out: Encoded, offsets: list, prefix: str, turn: Turn, spans: list, base: int, before: str
    ) -> None:
        name, arguments = turn.answer.split("\n", 1)
        at = prefix.index("## " + name) + 3
        answer = _inside(spans, len(before), len(before) + len(name))
        self._point(out, _inside(offsets, at, at + len(name)), [base + j for j in answer])
        shift = len(before) + len(name) + 1
        parts = arguments[1:-1].split('", "') if arguments else []
        cursor = 0
        for part in parts:
            value = part.split('": "')[-1].strip('"')
            cursor = arguments.index('"' + value + '"', cursor) + 1
            found = turn.question.find(value)
            if found >= 0:
                source = _inside(spans, found, found + len(value))
                target = _inside(spans, shift + cursor, shift + cursor + len(value))
                self._point(out, [base + j for j in source], [base + j for j in target])

    def _anchor(self, out: Encoded, evidence: list[int], low: int, high: int) -> None:
        """Words of the question behind the passages look up themselves in the sentence that answers."""
        where: dict[str, list[int]] = {}
        for j in evidence:
            where.setdefault(self.words[out.ids[j]], []).append(j)
        for j in range(low, high):
            targets = where.get(self.words[out.ids[j]]) if self.useful[out.ids[j]] else None
            if targets:
                out.anchors.append((j, targets))


def _inside(spans: list[tuple[int, int]], low: int, high: int) -> list[int]:
    """Indices of the tokens that overlap [low, high) and hold more than a blank of it."""
    return [j for j, (a, b) in enumerate(spans) if a < high and b > low]


@dataclass
class Batch:
    ids: torch.Tensor
    pos: torch.Tensor
    mask: torch.Tensor
    weight: torch.Tensor
    pointers: torch.Tensor
    anchors: Lookups
    echoes: Lookups
    carries: Lookups


@dataclass
class Lookups:
    """`places` (n, 2) = (sample, position) of queries and `targets` (n, T), True where each may look."""

    places: torch.Tensor
    targets: torch.Tensor

    @classmethod
    def of(cls, rows: list[list[tuple[int, list[int]]]], length: int) -> Lookups:
        flat = [(row, at, targets) for row, items in enumerate(rows) for at, targets in items]
        allowed = np.zeros((len(flat), length), bool)
        for index, (_, _, targets) in enumerate(flat):
            allowed[index, targets] = True
        places = torch.tensor([(row, at) for row, at, _ in flat], dtype=torch.long).reshape(-1, 2)
        return cls(places, torch.from_numpy(allowed))


def collate(samples: list[Encoded]) -> Batch:
    """Padded tensors; mask (B, 1, T, T) is True where attention is allowed."""
    length = max(len(s.ids) for s in samples)
    shape = (len(samples), length)
    ids, pos = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    branch, weight = np.full(shape, -1, np.int64), np.zeros(shape, np.float32)
    for row, sample in enumerate(samples):
        size = len(sample.ids)
        ids[row, :size], pos[row, :size] = sample.ids, sample.pos
        branch[row, :size], weight[row, :size] = sample.branch, sample.weight
    keys = branch[:, None, :]
    mask = np.tril(np.ones((length, length), bool))[None] & ((keys == 0) | (keys == branch[:, :, None]))
    pointers = [(row, at, target) for row, sample in enumerate(samples) for at, target in sample.pointers]
    return Batch(
        torch.from_numpy(ids),
        torch.from_numpy(pos),
        torch.from_numpy(mask)[:, None],
        torch.from_numpy(weight),
        torch.tensor(pointers, dtype=torch.long).reshape(-1, 3),
        Lookups.of([s.anchors for s in samples], length),
        Lookups.of([s.echoes for s in samples], length),
        Lookups.of([s.carries for s in samples], length),
    )
