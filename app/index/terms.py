"""Text to index terms, for the library's full-text table and for questions.

Terms are lower case and without accents. Punctuation is left only between the digits of a number, so the full-text
tokenizer must cut at spaces alone (the library's does; it also stems English, which is not done here).
Chinese and Japanese runs become character bigrams, a run of one its character; traditional characters become
simplified ones. A code or number that is written in parts is findable whole and in its parts, however it is
punctuated: "INV-7713", "inv 7713" and "inv7713" all give inv and 7713, the first and last also inv7713;
"12,480" -> 12, 480, 12480; "3.5" -> 3, 5, 3.5; "2024-01-05" -> 2024, 01, 05, 2024.01.05.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from app.core.folding import normalise
from app.core.porter import stem

_HAN_KANA = "\u3005\u3007\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
_POSSESSIVE = re.compile(r"(?<=\w)['’]s\b")
_RUN = re.compile(
    rf"(?P<han>[{_HAN_KANA}]+)"
    rf"|(?P<ascii>(?>[a-z0-9]+(?:(?:[-./_:]|(?<=\d),(?=\d{{3}}(?!\d)))[a-z0-9]+)*+))(?![^\W_{_HAN_KANA}])"
    rf"|(?P<word>[^\W_{_HAN_KANA}]+)"
)
_PART = re.compile("[a-z]+|[0-9]+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[-./_:](?=\d)")
_NOT_BETWEEN_DIGITS = re.compile(r"[-/_:,]|(?<!\d)\.|\.(?!\d)")
_MAX_CODE_CHARS = 40  # longer ones are addresses and hashes: nobody asks for them whole

FOLD_VERSION = "1"
"""Changes with every change of `fold`'s results: full-text tables made by another version must be made again."""

STOP_WORDS = frozenset(
    "a an the of in on at to for from by with and or is are was were be been did do does what which who whom whose "  # noqa: SIM905
    "when where why how many much that this these those it its as than then there their his her".split()
)
"""English function and question words: they say nothing about what a passage is about."""

FUNCTION_PAIR_WEIGHT = 0.3  # 0.2 to 0.6 do equally well on validation, dropping them or 1.0 worse

_CHINESE_QUESTION_WORDS = re.compile(
    "为什么|什么样|什么|怎么样|怎么|怎样|如何|哪一|哪些|哪个|哪里|哪儿|哪种|哪位|哪年|多少|为何|何时|何地|何处|请问"
)
_FUNCTION_CHARACTERS = frozenset("是有的了在于被由谁哪几吗呢")


def fold(text: str) -> str:
    """`text` as space-separated index terms, in reading order, repeated as often as they occur."""
    return " ".join(_terms(text))


def query_terms(question: str) -> Mapping[str, float]:
    """The terms of a question that search, with their weights; inflections of one word count once.

    Left out are English stop words and Chinese question words, unless nothing else is there. Chinese pairs with a
    function character weigh less: most of them, like the second pair of "它的主人", are no words at all.
    """
    terms = _distinct(_CHINESE_QUESTION_WORDS.sub(" ", normalise(question))) or _distinct(question)
    said = [t for t in terms if t not in STOP_WORDS] or terms
    return {t: 1.0 if _FUNCTION_CHARACTERS.isdisjoint(t) else FUNCTION_PAIR_WEIGHT for t in said}


def _distinct(text: str) -> list[str]:
    """In reading order, the first form of each stem."""
    by_stem: dict[str, str] = {}
    for term in _terms(text):
        by_stem.setdefault(stem(term), term)
    return list(by_stem.values())


def _terms(text: str) -> Iterator[str]:
    for run in _RUN.finditer(_POSSESSIVE.sub("", normalise(text))):
        found = run.group()
        if run.lastgroup == "han":
            yield from bigrams(found)
        elif run.lastgroup == "word" or found.isalpha():
            yield found
        else:
            yield from _ascii_terms(found)


def bigrams(run: str) -> list[str]:
    """Neighbouring pairs of characters; the character itself when there is only one."""
    return [run] if len(run) == 1 else [run[i : i + 2] for i in range(len(run) - 1)]


def _ascii_terms(run: str) -> Iterator[str]:
    """Words of a run like "state-of-the-art"; of a run with digits also the whole, written as one word."""
    parts = _PART.findall(run)
    yield from parts
    if len(parts) > 1 and len(run) <= _MAX_CODE_CHARS and any(map(str.isdigit, run)):
        yield _NOT_BETWEEN_DIGITS.sub("", _BETWEEN_DIGITS.sub(".", _THOUSANDS.sub("", run)))
