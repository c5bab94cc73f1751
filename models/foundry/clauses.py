"""Clauses of contracts, policies and reports: one document, many facts, asked for by their words.

A clause has no entity name: the question shares words with the sentence ("monthly rent", 月租金), or paraphrases them.
`CLAUSES[theme]` lists them. `free_clause` makes further ones from modifier + noun, so that the model learns to match
words rather than to recognise a fixed list.
"""

from __future__ import annotations

from dataclasses import dataclass

from phrases import Phrases, load_phrases, load_words
from values import Values, value_of

CLAUSES = load_phrases("clauses")
FREE = load_words("free")
STAGED_KINDS = ("amount", "percent", "period", "measure")


@dataclass(frozen=True)
class Staged:
    """A sentence with two values; `asks` pairs each value's place in `text` with a question."""

    text: str
    asks: tuple[tuple[str, str, int], tuple[str, str, int]]


def staged(values: Values, lang: str) -> Staged:
    """One name, two conditions, a value for each: only the condition in the question tells which one is meant."""
    kind = values.pick(STAGED_KINDS)
    name = free_name(values, kind, lang)
    words = FREE["staged"]
    a, b = values.rng.choice(words[f"pairs_{lang}"])
    v = value_of(values, kind, lang)
    w = v
    while w in v or v in w:
        w = value_of(values, kind, lang)
    pattern = values.pick(words[f"says_{lang}"])
    text = pattern.format(n=name, a=a, A=a.capitalize(), b=b, v=v, w=w)
    text = text[0].upper() + text[1:]

    def ask(condition: str) -> str:
        return values.pick(words[f"asks_{lang}"]).format(n=name, c=condition, C=condition.capitalize())

    first = text.index(v)
    return Staged(text, ((ask(a), v, first), (ask(b), w, text.index(w, first + len(v)))))


def free_name(values: Values, kind: str, lang: str) -> str:
    """A random modifier + noun whose value is of `kind`."""
    head = values.rng.choice(FREE["heads"][kind])[0 if lang == "en" else 1]
    modifier = values.pick(FREE["modifiers"][lang])
    if lang == "zh":
        return modifier + head
    if values.rng.random() < 0.3:
        return f"{modifier} {values.pick(FREE['modifiers']['middle_en'])} {head}"
    return f"{modifier} {head}"


def free_clause(values: Values, lang: str) -> Phrases:
    """A clause about a random modifier + noun."""
    kind = values.pick(list(FREE["heads"]))
    name = free_name(values, kind, lang)
    says_table = FREE[f"says_{lang}"]
    patterns = says_table.get(kind, says_table["other"])
    says = tuple(s.replace("{n}", name).replace("{N}", name.capitalize()) for s in patterns)
    asks = tuple(s.replace("{n}", name) for s in FREE[f"asks_{lang}"][kind])
    heading = name.capitalize()
    return Phrases(kind, heading, heading, says, says, asks, asks)
