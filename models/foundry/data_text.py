"""The text starter's training and test data: contexts of numbered passages with several questions each, and tool calls.

One `Sample` is a prompt prefix and several independent single-turn questions about it. Training packs them behind one
shared prefix (`train_text`), so a context is read once; llama.cpp sees each as an ordinary single turn.

The prompt the application sends (and nothing else) is `prompt_of`:
    [1] first passage\n[2] second passage\n\nQuestion: ...      (问题：... for a Chinese question)
and the answer is the value as it stands in a passage, or NOT_FOUND.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clauses import CLAUSES, free_clause, staged
from natural import Asked, Pack
from phrases import Phrases
from records import RECORDS, closed_value, record_key
from tools_text import Tool, tool_request, tools_on_offer
from values import KINDS, Values, value_of

NOT_FOUND = {"en": "Not in the documents.", "zh": "文档中没有提到。"}
ASK = {"en": "Question: ", "zh": "问题："}
ABSENT_SHARE = 0.3
FIRST_PAGE_SHARE = 0.35
STAGED_SHARE = 0.25
TABLE_SHARE = 0.12
MAX_QUESTIONS = 8


@dataclass(frozen=True)
class Turn:
    """A question; `at` is where the answer stands in the context (-1: absent), `evidence` the range that says it."""

    question: str
    answer: str
    kind: str
    at: int = -1
    evidence: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Sample:
    lang: str
    context: str
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()


def prompt_of(passages: Sequence[str], question: str, lang: str) -> str:
    """The user turn for `passages` and `question`, exactly as the application builds it."""
    return join_passages(passages) + "\n\n" + ASK[lang] + question


def join_passages(passages: Sequence[str]) -> str:
    return "\n".join(f"[{i}] {text}" for i, text in enumerate(passages, 1))


@dataclass
class Page:
    """A passage under construction, with the questions that it answers (offsets relative to the passage)."""

    text: str = ""
    turns: list[Turn] = field(default_factory=list)

    def say(self, text: str) -> int:
        """Append `text` (after a blank when needed); returns where it starts."""
        if self.text and not self.text.endswith(" ") and self.text[-1] < "\u2e80":
            self.text += " "
        self.text += text
        return len(self.text) - len(text)


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


class Writer:
    """Makes samples; `pack` supplies natural text (None: a few sentences of ours)."""

    def __init__(self, seed: int, split: str, pack: Pack | None) -> None:
        self.values = Values(seed, split)
        self.rng = self.values.rng
        self.pack = pack
        self.absent_share = ABSENT_SHARE

    # ---- the mix
    def sample(self, stage: float) -> Sample:
        """One sample; `stage` in [0, 1] moves from look-up and short passages to long ones with natural text."""
        lang = "zh" if self.rng.random() < 0.47 else "en"
        copying = max(0.07, 0.3 - 0.6 * stage)
        x = self.rng.random()
        if x < copying:
            return self.lookup(lang)
        if x < copying + 0.12:
            return self.tool_calls(lang)
        pages = self.rng.choices([1, 2, 3], [max(1, 4 - 6 * stage), 2, 2 * min(1, 0.3 + stage)])[0]
        self.absent_share = min(ABSENT_SHARE, 0.12 + 0.3 * stage)
        return self.documents(lang, pages, filler=min(1.0, 1.6 * stage), natural=min(1.0, 0.15 + 1.4 * stage))

    def documents(self, lang: str, count: int, filler: float = 1.0, natural: float = 1.0, only: str = "") -> Sample:
        """A sample over `count` passages.

        `filler` scales the natural text between facts, `natural` the share of questions over natural text; `only`
        names one kind of passage ("record", "clause", "natural", "pack").
        """
        rng = self.rng
        makers: dict[str, Callable[[str, float], list[Page]]] = {
            "record": lambda lang, f: self.record_pages(lang, f, count),
            "clause": lambda lang, f: self.clause_pages(lang, f, count),
            "natural": lambda lang, _: self.natural_pages(lang, count, in_place=True),
            "pack": lambda lang, _: self.natural_pages(lang, count, in_place=False),
        }
        weights = {"record": 0.30, "clause": 0.36, "natural": 0.22 * natural, "pack": 0.12 * natural}
        kind = only or rng.choices(list(weights), list(weights.values()))[0]
        if self.pack is None and kind in ("natural", "pack"):
            kind = "clause"
        pages = makers[kind](lang, filler)
        while len(pages) < count:
            pages.append(self.other_page(lang, kind, filler))
        rng.shuffle(pages)
        return self.assemble(lang, kind, pages)

    def assemble(self, lang: str, kind: str, pages: list[Page]) -> Sample:
        """Number the pages and turn their questions into turns with offsets in the whole context."""
        context, found, absent = "", [], []
        for number, page in enumerate(pages, 1):
            context += ("\n" if context else "") + f"[{number}] "
            base = len(context)
            for turn in page.turns:
                if turn.at < 0:
                    absent.append(turn)
                    continue
                low, high = turn.evidence
                moved = (base + low, base + high)
                found.append(Turn(turn.question, turn.answer, f"{kind}-{len(pages)}", base + turn.at, moved))
            context += page.text
        rng = self.rng
        rng.shuffle(found)
        if rng.random() < FIRST_PAGE_SHARE:  # the application sends the best passage first
            found.sort(key=lambda turn: turn.at, reverse=True)
        rng.shuffle(absent)
        turns = []
        for _ in range(rng.randint(3, MAX_QUESTIONS)):
            source = absent if absent and (rng.random() < self.absent_share or not found) else found
            if source:
                turns.append(source.pop())
        return Sample(lang, context, tuple(turns))

    def absent(self, question: str, lang: str) -> Turn:
        return Turn(question, NOT_FOUND[lang], "absent")

    # ---- natural text
    def filler(self, lang: str) -> str:
        if self.pack is None:
            return self.rng.choice(PLAIN_FILLER[lang])
        return self.pack.sentences(self.rng, lang, self.rng.choice([1, 1, 2, 3]))

    def natural_pages(self, lang: str, count: int, in_place: bool) -> list[Page]:
        pack = self.pack
        assert pack is not None
        ask = pack.ask_in_place if in_place else pack.ask_from_pack
        pages = []
        for _ in range(count):
            page = Page()
            for _ in range(1 if self.rng.random() < 0.6 else 2):
                asked = ask(self.rng, lang)
                shift = page.say(asked.context)
                page.turns.append(_found(asked, shift))
            for _ in range(2 if count == 1 else 1):
                page.turns.append(self.absent(ask(self.rng, lang).question, lang))
            pages.append(page)
        return pages

    def other_page(self, lang: str, kind: str, filler: float) -> Page:
        """A passage that belongs to another subject: a distractor without questions of its own."""
        if self.pack is not None and self.rng.random() < 0.6 * filler:
            page = Page()
            page.say(self.pack.sentences(self.rng, lang, self.rng.randint(1, 4)))
            return page
        page = self.record_pages(lang, filler, 1)[0]
        if kind == "record":
            return page
        return Page(page.text)

    # ---- records
    def record_pages(self, lang: str, filler: float, count: int) -> list[Page]:
        """Entities, mostly of one type (so that only the name tells them apart), spread over `count` pages."""
        rng, values = self.rng, self.values
        focus = rng.choice(list(RECORDS)) if rng.random() < 0.6 else ""
        pages = [Page() for _ in range(count)]
        tables = rng.random() < TABLE_SHARE
        for index in range(rng.randint(count, count + 2)):
            kind = focus or rng.choice(list(RECORDS))
            if tables and index < count:
                self.write_table(pages[index], kind, lang)
                continue
            key = record_key(values, kind, lang)
            page = pages[index % count]
            if rng.random() < 0.35 * filler:
                page.say(self.filler(lang))
            attributes = rng.sample(RECORDS[kind], rng.randint(1, min(4, len(RECORDS[kind]))))
            form = rng.random()
            if form < 0.2:
                self.write_form(page, key, attributes, lang)
            else:
                self.write_record(page, key, kind, attributes, lang)
            unused = [a for a in RECORDS[kind] if a not in attributes]
            if unused:
                ask = values.pick(rng.choice(unused).asks(lang))
                page.turns.append(self.absent(capital(ask.format(k=key)), lang))
            stranger = record_key(values, kind, lang)
            ask = values.pick(rng.choice(RECORDS[kind]).asks(lang))
            page.turns.append(self.absent(capital(ask.format(k=stranger)), lang))
            if rng.random() < 0.3 * filler:
                page.say(self.filler(lang))
        return pages

    def write_table(self, page: Page, kind: str, lang: str) -> None:
        """Several entities of one type as rows of cells, a header first, all in one line."""
        rng, values = self.rng, self.values
        columns = rng.sample(RECORDS[kind], rng.randint(2, 3))
        gap = rng.choice([" | ", " ", "; "])
        page.say(
            gap.join(
                [values.pick(["Name", "Item", "No."] if lang == "en" else ["名称", "项目"])]
                + [c.heading(lang) for c in columns]
            )
        )
        for _ in range(rng.randint(2, 4)):
            key = record_key(values, kind, lang)
            start = page.say(capital(key.removeprefix("the ")))
            turns = []
            for column in columns:
                value = self.attribute_value(column.kind, lang)
                page.text += gap
                turns.append((column, value, page.say(value)))
            for column, value, at in turns:
                question = capital(values.pick(column.asks(lang)).format(k=key))
                page.turns.append(Turn(question, value, "", at, (start, len(page.text))))
            stranger = record_key(values, kind, lang)
            ask = values.pick(rng.choice(columns).asks(lang))
            page.turns.append(self.absent(capital(ask.format(k=stranger)), lang))

    def attribute_value(self, kind: str, lang: str) -> str:
        return closed_value(self.values, kind, lang) or value_of(self.values, kind, lang)

    def write_form(self, page: Page, key: str, attributes: Sequence[Phrases], lang: str) -> None:
        """The entity as a line of labels and values."""
        sep, colon = self.rng.choice([("; ", ": "), (" | ", ": "), (". ", ": "), (" ", ": ")]), "："
        start = page.say(capital(key) + (sep[0] if lang == "en" else self.rng.choice(["，", "：", " | ", "。"])))
        turns = []
        for attribute in attributes:
            value = self.attribute_value(attribute.kind, lang)
            mark = sep[1] if lang == "en" else colon
            at = page.say(attribute.heading(lang) + mark + value) + len(attribute.heading(lang) + mark)
            page.text += sep[0].rstrip() if lang == "en" else "；"
            question = capital(self.values.pick(attribute.asks(lang)).format(k=key))
            turns.append((question, value, at))
        end = len(page.text)
        page.turns += [Turn(q, v, "", at, (start, end)) for q, v, at in turns]

    def write_record(self, page: Page, key: str, kind: str, attributes: Sequence[Phrases], lang: str) -> None:
        """The entity as sentences; later ones may use a pronoun."""
        rng = self.rng
        joined = rng.random() < 0.4
        start, turns = len(page.text), []
        for index, attribute in enumerate(attributes):
            if lang == "en":
                pronoun = "this person" if kind == "person" else "it"
            else:
                pronoun = rng.choice(["其", "此人"] if kind == "person" else ["其", "它"])
            subject = key if index == 0 or rng.random() < 0.4 else pronoun
            value = self.attribute_value(attribute.kind, lang)
            before, after = self.values.pick(attribute.says(lang)).split("{v}")
            before, after = before.format(s=subject), after.format(s=subject)
            last = index == len(attributes) - 1
            if lang == "en":
                if index and joined:
                    before = "and " + before
                elif before:
                    before = capital(before)
                end = "," if joined and not last else "."
            else:
                end = "，" if joined and not last else "。"
            at = page.say(before + value + after + end) + len(before)
            turns.append((capital(self.values.pick(attribute.asks(lang)).format(k=key)), value, at))
        end_at = len(page.text)
        page.turns += [Turn(q, v, "", at, (start, end_at)) for q, v, at in turns]

    # ---- clauses
    def clause_pages(self, lang: str, filler: float, count: int) -> list[Page]:
        """One document of one theme, its clauses spread over `count` pages."""
        rng, values = self.rng, self.values
        pages = [Page() for _ in range(count)]
        theme = list(CLAUSES[rng.choice(list(CLAUSES))])
        rng.shuffle(theme)
        own = theme[: rng.randint(1, min(6, len(theme) - 1))]
        unused = theme[len(own) :]
        names = {c.head_en for c in theme}
        for _ in range(rng.randint(0, 4)):
            extra = free_clause(values, lang)
            if extra.head_en not in names:
                names.add(extra.head_en)
                (own if rng.random() < 0.6 else unused).append(extra)
        rng.shuffle(own)
        numbered = rng.random()
        for index, clause in enumerate(own):
            page = pages[index * count // len(own)]
            if rng.random() < 0.3 * filler:
                page.say(self.filler(lang))
            self.write_clause(page, clause, index + 1, numbered, lang)
            if rng.random() < STAGED_SHARE / len(own) * 2:
                self.write_staged(page, lang)
        for clause in unused:
            rng.choice(pages).turns.append(self.absent(values.pick(clause.asks(lang)), lang))
        for page in pages:
            if not page.text or rng.random() < 0.25 * filler:
                page.say(self.filler(lang))
        return pages

    def write_clause(self, page: Page, clause: Phrases, number: int, numbered: float, lang: str) -> None:
        value = value_of(self.values, clause.kind, lang)
        before, after = self.values.pick(clause.says(lang)).split("{v}")
        title = ""
        if numbered < 0.45:
            title = self.clause_title(clause, number, numbered, lang)
        text = before + value + after
        text = title + (capital(text) if before else text)
        start = page.say(text if text[-1] in ".。" else text + ("." if lang == "en" else "。"))
        at = start + len(title) + len(before)
        question = self.values.pick(clause.asks(lang))
        page.turns.append(Turn(question, value, "", at, (start, len(page.text))))

    def write_staged(self, page: Page, lang: str) -> None:
        """A clause with two values under two conditions."""
        clause = staged(self.values, lang)
        start = page.say(clause.text)
        place = (start, len(page.text))
        page.turns += [Turn(question, value, "", start + at, place) for question, value, at in clause.asks]

    def clause_title(self, clause: Phrases, number: int, numbered: float, lang: str) -> str:
        """ "§ 4 Rent. " or "第四条 租金 "; `numbered` chooses one style for the whole document."""
        if lang == "en":
            mark = self.rng.choice([f"{number}.", f"§ {number}", f"({number})"])
            return f"{mark} {clause.heading(lang)}{self.rng.choice(['.', ':', ''])} "
        mark = f"第{'一二三四五六七八九十'[(number - 1) % 10]}条" if numbered < 0.3 else f"{number}."
        return f"{mark} {clause.heading(lang)} "

    # ---- warm-up
    def anything(self, lang: str) -> str:
        """A short string of any kind, with words of natural text."""
        if self.pack is not None and self.rng.random() < 0.4:
            text = self.pack.sentences(self.rng, lang, 1)
            if lang == "en":
                words = text.split()
                first = self.rng.randrange(max(1, len(words) - 2))
                return " ".join(words[first : first + self.rng.randint(1, 3)]).strip(".,;:!?\"“”()'‘’") or "none"
            first = self.rng.randrange(max(1, len(text) - 4))
            return text[first : first + self.rng.randint(2, 6)].strip("，。；：、（）“”《》 ") or "无"
        return value_of(self.values, self.values.pick(KINDS), lang)

    def lookup(self, lang: str) -> Sample:
        """Random names with random values: pure look-up and copying, in the same prompt format."""
        pairs: dict[str, str] = {}
        for _ in range(self.rng.randint(2, 9)):
            pairs[self.anything(lang)] = self.anything(lang)
        per_page = self.rng.randint(1, 4)
        pages: list[Page] = []
        colon, ask = (
            (": ", "What is {k}?|Value of {k}?|{k}?") if lang == "en" else ("：", "{k}是什么？|{k}的值？|{k}？")
        )
        for index, (key, value) in enumerate(pairs.items()):
            if index % per_page == 0:
                pages.append(Page())
            page = pages[-1]
            start = page.say(key + colon + value + (";" if lang == "en" else "；"))
            question = self.values.pick(ask.split("|")).format(k=key)
            page.turns.append(Turn(question, value, "", start + len(key + colon), (start, len(page.text))))
        other = self.anything(lang)
        if other not in pairs:
            pages[0].turns.append(self.absent(self.values.pick(ask.split("|")).format(k=other), lang))
        return self.assemble(lang, "lookup", pages)

    def tool_calls(self, lang: str) -> Sample:
        offered = tools_on_offer(self.values)
        turns = []
        for _ in range(self.rng.randint(3, MAX_QUESTIONS)):
            question, call = tool_request(self.values, lang, offered)
            turns.append(Turn(question, call, "tool"))
        return Sample(lang, "", tuple(turns), tuple(offered))


PLAIN_FILLER = {
    "en": [
        "Please note that the office is closed on Sunday.",
        "All details were checked twice.",
        "See the notes for more.",
    ],
    "zh": ["请注意周日休息。", "以上信息已核对。", "详见附注。"],
}


def _found(asked: Asked, shift: int) -> Turn:
    low, high = asked.evidence
    return Turn(asked.question, asked.answer, "", asked.at + shift, (low + shift, high + shift))


def main() -> None:
    parser = argparse.ArgumentParser(description="Print samples, one JSON object a line.")
    parser.add_argument("--pack", type=Path)
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stage", type=float, default=1.0)
    options = parser.parse_args()
    pack = Pack(options.pack, options.seed, "train") if options.pack else None
    writer = Writer(options.seed, "train", pack)
    for _ in range(options.count):
        sample = writer.sample(options.stage)
        turns = [[t.question, t.answer, t.kind, sample.context[slice(*t.evidence)]] for t in sample.turns]
        print(json.dumps({"context": sample.context, "turns": turns}, ensure_ascii=False))


if __name__ == "__main__":
    main()
