"""Questions over natural text: sentences of the training pack with a span asked for, and the pack's own questions.

A span (year, number, place, name) is replaced by a question word where it stands. In Chinese that is how people ask
(该馆建于哪年？); in English it is a little odd but shares its words with the sentence, which is what must be learnt.
Sentences and contexts belong to the training or test half by their hash (values.is_test).
"""

from __future__ import annotations

import json
import lzma
import random
import re
from dataclasses import dataclass
from pathlib import Path

from values import is_test

PARAGRAPHS_KEPT = 40_000  # a language; more is not seen in one hour on two cores
STATES = "is|was|are|were|has|had|became|won|wrote|made|led|founded|released|played|joined|opened|announced|died|said"
EN_RULES: tuple[tuple[str, str, str], ...] = (
    (r"\b[Ii]n ((?:1[0-9]|20)\d\d)\b(?![,.]?\d)", "in which year", "In which year"),
    (r"([$€£]\d[\d,.]*\d(?: (?:million|billion))?)", "how much", "How much"),
    (r"\b(\d[\d.]*(?:%| percent))", "what percentage", "What percentage"),
    (r"\b(?!1\d\d\d\b|20\d\d\b)(\d[\d,.]*)(?= [a-z]{4,})", "how many", "How many"),
    (r"(?<=\bby )([A-Z][a-z]+(?: [A-Z][a-z]+){1,2})\b", "whom", "By whom"),
    (r"(?<=\bin )([A-Z][a-z]+(?: [A-Z][a-z]+)?)\b", "which place", "Where"),
    (
        r"\b((?:January|February|March|April|May|June|July|August|September|October|November|December) \d{1,2}, \d{4})",
        "what date",
        "When",
    ),
)
EN_SUBJECT = re.compile(rf"^([A-Z][a-z]+(?: [A-Z][a-z]+)+) (?=(?:{STATES})\b)")
ZH_RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"(\d{3,4}年\d{1,2}月\d{1,2}日)", ("哪天", "什么时候", "哪一天")),
    (r"(\d{3,4}年)(?!\d|－|至|代)", ("哪年", "哪一年", "什么时候")),
    (
        r"(\d[\d,.]*(?:余|多)?[万亿]?)(?=人|名|个|公里|米|公尺|平方公里|元|岁|座|部|次|票|家|条|美元|公顷|克|分钟)",
        ("多少",),
    ),
    (r"(?<=位于)([\u4e00-\u9fff]{2,12}?)(?=[，。的])", ("哪里", "何处")),
    (r"(?<=由)([\u4e00-\u9fff·]{2,8}?)(?=担任|负责|创办|主办|执导|建造|设计|创立|出版|发行|所|主演|制作)", ("谁",)),
    (r"(?<=[称为名为做叫])([\u4e00-\u9fff]{2,8}?)(?=[，。])", ("什么",)),
    (r"(《[^》]{2,14}》)", ("什么",)),
    (r"(?<=毕业于)([\u4e00-\u9fff]{3,10}?)(?=[，。])", ("哪里", "哪所学校")),
)


@dataclass(frozen=True)
class Asked:
    """A question over `context`; `answer` stands at `at` in it; `evidence` is the sentence's range."""

    context: str
    question: str
    answer: str
    at: int
    evidence: tuple[int, int]


class Pack:
    """Paragraphs and questions of ../shared/data/train, one half of them, in memory."""

    def __init__(self, folder: Path, seed: int, split: str) -> None:
        rng = random.Random(seed)
        test = split == "test"
        self.paragraphs: dict[str, list[str]] = {}
        for lang in ("en", "zh"):
            low, high = (60, 700) if lang == "en" else (25, 300)
            with lzma.open(folder / f"pretrain_{lang}.txt.xz", "rt", encoding="utf-8") as lines:
                texts = [line.strip() for line in lines if not line.startswith("# ")]
            texts = [t for t in texts if low <= len(t) <= high and is_test(t) == test]
            rng.shuffle(texts)
            self.paragraphs[lang] = texts[:PARAGRAPHS_KEPT]
        self.questions: dict[str, list[Asked]] = {"en": [], "zh": []}
        with lzma.open(folder / "qa_train.jsonl.xz", "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                asked = _pack_question(row) if is_test(row["context"]) == test else None
                if asked:
                    self.questions[row["lang"]].append(asked)

    def sentences(self, rng: random.Random, lang: str, count: int) -> str:
        """`count` consecutive sentences of a random paragraph (fewer when it is shorter)."""
        parts = split_sentences(rng.choice(self.paragraphs[lang]), lang)
        first = rng.randrange(max(1, len(parts) - count + 1))
        return "".join(parts[first : first + count]).strip()

    def ask_in_place(self, rng: random.Random, lang: str) -> Asked:
        """A question made from a sentence of a random paragraph."""
        while True:
            paragraph = rng.choice(self.paragraphs[lang])
            asked = (_ask_en if lang == "en" else _ask_zh)(rng, paragraph)
            if asked:
                return asked

    def ask_from_pack(self, rng: random.Random, lang: str) -> Asked:
        return rng.choice(self.questions[lang])


def split_sentences(text: str, lang: str) -> list[str]:
    """Sentences with their closing marks; joined they give `text` again."""
    return re.findall(r".+?(?:[.!?][\"”’)]*\s+|$)" if lang == "en" else r".+?(?:[。！？；][”」）]*|$)", text)


def cut_around(context: str, at: int, length: int, width: int) -> tuple[str, int]:
    """About `width` characters of `context` around the answer, cut at sentence ends where possible."""
    if len(context) <= width:
        return context, at
    low = max(0, at - (width - length) // 2)
    high = min(len(context), max(low + width, at + length))
    ends = [m.end() for m in re.finditer(r"[.!?]\s+|[。！？；]", context)]
    low = next((e for e in ends if low <= e <= at), low if low == 0 else context.rfind(" ", 0, low) + 1 or low)
    high = next((e for e in reversed(ends) if at + length <= e <= high), high)
    return context[low:high].rstrip(), at - low


def _pack_question(row: dict) -> Asked | None:
    """A short extractive question of the pack, or None."""
    if not row["extractive"] or not row["answers"] or row.get("context_type") == "table":
        return None
    context = re.sub(r"\s+", " ", row["context"])
    longest, width = (60, 420) if row["lang"] == "en" else (22, 220)
    answer = next((a.strip().rstrip(".。") for a in row["answers"] if a.strip().rstrip(".。") in context), "")
    if not 1 < len(answer) <= longest or len(row["question"]) > 120:
        return None
    context, at = cut_around(context, context.index(answer), len(answer), width)
    start = max(context.rfind(mark, 0, at) + 1 for mark in (". ", "。", "！", "? "))
    end = min((e for mark in (". ", "。") if (e := context.find(mark, at)) > 0), default=len(context))
    return Asked(context, row["question"], answer, at, (max(0, start), end))


def _ask_en(rng: random.Random, paragraph: str) -> Asked | None:
    parts = split_sentences(paragraph, "en")
    index = rng.randrange(len(parts))
    start = sum(len(p) for p in parts[:index])
    sentence = parts[index].rstrip()
    subject = EN_SUBJECT.match(sentence)
    if subject and rng.random() < 0.7:
        rest = re.split(r"[,;:(]", sentence[subject.end() :])[0].split()[:12]
        if len(rest) < 3:
            return None
        question = f"Who {' '.join(rest).rstrip('.')}?"
        return _asked(rng, paragraph, question, subject[1], start, len(sentence))
    rule, inside, front = rng.choice(EN_RULES)
    found = list(re.finditer(rule, sentence))
    if not found:
        return None
    match = rng.choice(found)
    answer = match[1].rstrip(".,")
    before = re.split(r"[,;:()\"“]\s*", sentence[: match.start() if "ear" in inside else match.start(1)])[-1].split()[
        -9:
    ]
    after = re.split(r"[,;:()\"“]", sentence[match.start(1) + len(answer) :])[0].rstrip(".!?").split()[:8]
    if len(before) + len(after) < 4:
        return None
    if rng.random() < 0.5 and (before or front.startswith("How")):
        words = [front, *(after + before if front.startswith("How") and not before else [*before, *after])]
    else:
        words = [*before, inside, *after]
    question = " ".join(words).strip()
    return _asked(
        rng, paragraph, question[0].upper() + question[1:] + "?", answer, start, len(sentence), match.start(1)
    )


def _ask_zh(rng: random.Random, paragraph: str) -> Asked | None:
    parts = split_sentences(paragraph, "zh")
    index = rng.randrange(len(parts))
    start = sum(len(p) for p in parts[:index])
    sentence = parts[index]
    rule, words = rng.choice(ZH_RULES)
    found = list(re.finditer(rule, sentence))
    if not found:
        return None
    match = rng.choice(found)
    low = max(sentence.rfind(mark, 0, match.start()) + 1 for mark in "，；：（、")
    if match.start() - low < 4 and low > 1 and rng.random() < 0.7:
        low = max(sentence.rfind(mark, 0, low - 1) + 1 for mark in "，；：")
    high = min((e for mark in "，。；（" if (e := sentence.find(mark, match.end())) > 0), default=len(sentence))
    question = sentence[low : match.start(1)] + rng.choice(words) + sentence[match.end(1) : high]
    if not 7 <= len(question) <= 48:
        return None
    return _asked(rng, paragraph, question + "？", match[1], start, len(sentence), match.start(1))


def _asked(
    rng: random.Random, paragraph: str, question: str, answer: str, start: int, length: int, inner: int = 0
) -> Asked | None:
    """The question with a context of one to all sentences of the paragraph around it."""
    at = start + inner
    if paragraph[at : at + len(answer)] != answer:
        return None
    english = paragraph[:60].isascii()
    width = rng.choice([length + 20, 250, 350, 450] if english else [length + 10, 120, 180, 340])
    context, new_at = cut_around(paragraph, at, len(answer), max(width, len(answer)))
    shift = at - new_at
    if context[new_at : new_at + len(answer)] != answer:
        return None
    return Asked(context, question, answer, new_at, (max(0, start - shift), min(len(context), start + length - shift)))
