"""Exact-match scores of a text GGUF through llama.cpp, on held-out values (values.is_test), several seeds.

Buckets: copied value by language, kind of passage and number of passages; absent; tool calls. Passages are what the
application sends (data_text.prompt_of); temperature 0. Every bucket reports right / asked. With --corpus also questions
people wrote (SQuAD- and CMRC-like) with the passage cut around the answer: the model never saw their kind.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from data_text import ASK, NOT_FOUND, Sample, Turn, Writer, join_passages
from llama_cpp import Llama
from natural import Pack, cut_around

ANSWER_TOKENS = 64
OWN_KINDS, PACK_KINDS = ("record", "clause"), ("natural", "pack")  # the second need the training pack


class Reader:
    """A GGUF answering with temperature 0; prompts go through the template inside the file."""

    def __init__(self, path: Path) -> None:
        self.llm = Llama(str(path), n_ctx=4096, n_batch=512, verbose=False, n_threads=1, n_threads_batch=1)

    def answer(self, content: str, tools: list[dict] | None = None) -> str:
        message = {"role": "user", "content": content}
        out = self.llm.create_chat_completion([message], tools=tools, temperature=0.0, max_tokens=ANSWER_TOKENS)
        text = (out["choices"][0]["message"]["content"] or "").strip()
        return re.sub(r" \[\d\]$", "", text)  # earlier starters wrote the passage number too


def content_of(sample: Sample, turn: Turn) -> str:
    return turn.question if sample.tools else f"{sample.context}\n\n{ASK[sample.lang]}{turn.question}"


def held_out(writer: Writer, want: int, kinds: tuple[str, ...]) -> Iterator[tuple[str, Sample, Turn]]:
    """(bucket, sample, turn), `want` of every bucket."""
    for lang in ("en", "zh"):
        for kind in kinds:
            for pages in (1, 2, 3):
                for group, keep in (("value", False), ("absent", True)):
                    count = want if group == "value" else max(1, want // 3)
                    while count:
                        sample = writer.documents(lang, pages, only=kind)
                        turns = [t for t in sample.turns if (t.kind == "absent") == keep]
                        if turns:
                            count -= 1
                            yield f"{group} {kind} {lang} {pages}", sample, turns[0]
        for _ in range(want):
            sample = writer.tool_calls(lang)
            yield f"tool - {lang} -", sample, sample.turns[0]


def normal(text: str) -> str:
    """Lower case, no punctuation, articles or blanks: what SQuAD's exact match compares."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = re.sub(r"\b(a|an|the)\b", " ", text)
    return "".join(ch for ch in text if ch.isalnum())


def human_questions(corpus: Path, lang: str, count: int) -> Iterator[tuple[str, str, list[str]]]:
    """(user turn, question, answers) with the gold passage cut around the answer. Evaluation only."""

    def rows(name: str) -> list[dict]:
        return [json.loads(line) for line in (corpus / name).read_text(encoding="utf-8").splitlines()]

    passages = {row["id"]: row["text"] for row in rows(f"passages_{lang}.jsonl")}
    questions = rows(f"questions_{lang}.jsonl")
    random.Random(7).shuffle(questions)
    for row in questions[:count]:
        text = re.sub(r"\s+", " ", passages[row["passage_id"]])
        answers = [re.sub(r"\s+", " ", str(answer)) for answer in row["answers"]]
        answer = next((a for a in answers if a in text), None)
        if answer is None:
            continue
        context, _ = cut_around(text, text.index(answer), len(answer), 350 if lang == "en" else 180)
        yield f"{join_passages([context])}\n\n{ASK[lang]}{row['question']}", row["question"], answers


def score_held_out(
    reader: Reader, seeds: list[int], want: int, pack_folder: Path | None, kinds: tuple[str, ...]
) -> dict[str, list[bool]]:
    scores: dict[str, list[bool]] = defaultdict(list)
    for seed in seeds:
        writer = Writer(seed, "test", Pack(pack_folder, seed, "test") if pack_folder else None)
        for bucket, sample, turn in held_out(writer, want, kinds):
            tools = [t.spec() for t in sample.tools] or None
            scores[bucket].append(reader.answer(content_of(sample, turn), tools) == turn.answer)
    return scores


def write_questions(path: Path, seed: int, want: int) -> None:
    """Held-out questions over our own kinds of documents and tools as JSON lines, for tests/models."""
    writer = Writer(seed, "test", None)
    with path.open("w", encoding="utf-8") as out:
        for bucket, sample, turn in held_out(writer, want, OWN_KINDS):
            row = {"bucket": bucket, "content": content_of(sample, turn), "answer": turn.answer}
            if sample.tools:
                row["tools"] = [tool.spec() for tool in sample.tools]
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def show(scores: dict[str, list[bool]]) -> None:
    """Every bucket, then sums by group, kind, language and number of passages."""
    sums: dict[str, list[bool]] = defaultdict(list)
    for bucket, right in scores.items():
        print(f"{bucket:24s} {sum(right):4d} / {len(right)}  {sum(right) / len(right):.3f}")
        group, kind, lang, pages = bucket.split()
        keys = {f"= {group}", f"= {group} {kind}", f"= {group} {lang}", f"= {group} {pages} passages"}
        if kind in OWN_KINDS:
            keys |= {f"= {group} documents of ours", f"= {group} documents of ours {pages} passages"}
        for key in keys:
            sums[key] += right
    for key in sorted(sums):
        print(f"{key:40s} {sum(sums[key]):5d} / {len(sums[key])}  {sum(sums[key]) / len(sums[key]):.3f}")


def show_human(reader: Reader, corpus: Path, count: int) -> None:
    for lang in ("en", "zh"):
        exact = inside = absent = total = 0
        for content, _, answers in human_questions(corpus, lang, count):
            said = reader.answer(content)
            total += 1
            exact += normal(said) in {normal(a) for a in answers}
            inside += any(normal(a) in normal(said) or (normal(said) and normal(said) in normal(a)) for a in answers)
            absent += said == NOT_FOUND[lang]
        print(f"human {lang}: exact {exact}/{total}, overlaps {inside}/{total}, said absent {absent}/{total}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--pack", type=Path, help="training pack; its test half gives the natural buckets")
    parser.add_argument("--corpus", type=Path, help="folder with passages_*.jsonl and questions_*.jsonl")
    parser.add_argument("--count", type=int, default=20, help="questions a bucket and seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--kinds", nargs="+", choices=OWN_KINDS + PACK_KINDS)
    parser.add_argument("--human", type=int, default=200)
    parser.add_argument("--write-questions", type=Path, help="only write held-out questions to this file")
    options = parser.parse_args()
    if options.write_questions:
        write_questions(options.write_questions, options.seeds[0], options.count)
        return
    reader = Reader(options.model)
    kinds = tuple(options.kinds or (OWN_KINDS + PACK_KINDS if options.pack else OWN_KINDS))
    show(score_held_out(reader, options.seeds, options.count, options.pack, kinds))
    if options.corpus:
        show_human(reader, options.corpus, options.human)


if __name__ == "__main__":
    main()
