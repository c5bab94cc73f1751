"""The Porter stemmer (1980): brings inflected English words together ("loading", "loads" -> "load").

Pure and cached. The embedder's vocabulary and the dictionary's keys are made of these stems: changing a rule
here breaks both. SQLite's FTS5 `porter` tokenizer gives the same for 998 of 1,000 words; it also knows the two
later rules -logi and -bli, so never send it stems, only words. For lower-case ASCII words; any other string comes
back as it is. Steps and rules: M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980.
"""

from __future__ import annotations

import functools
import itertools

_VOWELS = "aeiou"
_STEP_2 = {
    "ational": "ate", "tional": "tion", "enci": "ence", "anci": "ance", "izer": "ize", "abli": "able", "alli": "al",
    "entli": "ent", "eli": "e", "ousli": "ous", "ization": "ize", "ation": "ate", "ator": "ate", "alism": "al",
    "iveness": "ive", "fulness": "ful", "ousness": "ous", "aliti": "al", "iviti": "ive", "biliti": "ble",
}  # fmt: skip
_STEP_3 = {"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": ""}
_STEP_4 = (
    "ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ion", "ism", "ate", "iti", "ous", "ive", "ize",
    "al", "er", "ic", "ou",
)  # fmt: skip
_CACHE_WORDS = 200_000  # about 25 MB when full; a large library has some 100,000 different words


@functools.lru_cache(_CACHE_WORDS)
def stem(word: str) -> str:
    """The stem of one lower-case word. Not always a fixed point: stem(stem(w)) may be shorter."""
    if len(word) < 3 or not (word.isascii() and word.isalpha()):
        return word
    word = _plural_and_past(word)
    if word.endswith("y") and _has_vowel(word[:-1]):
        word = word[:-1] + "i"
    word = _replace(word, _STEP_2)
    word = _replace(word, _STEP_3)
    return _final_e(_drop_suffix(word))


def _is_consonant(word: str, i: int) -> bool:
    if word[i] == "y":
        return i == 0 or not _is_consonant(word, i - 1)
    return word[i] not in _VOWELS


def _measure(word: str) -> int:
    """How many vowel-consonant sequences the word has (Porter's m)."""
    kinds = [_is_consonant(word, i) for i in range(len(word))]
    return sum(not a and b for a, b in itertools.pairwise(kinds))


def _has_vowel(word: str) -> bool:
    return any(not _is_consonant(word, i) for i in range(len(word)))


def _ends_cvc(word: str) -> bool:
    """Consonant, vowel, consonant other than w, x, y at the end: such words keep or get a final e."""
    last = len(word) - 1
    return (
        last > 1
        and _is_consonant(word, last)
        and not _is_consonant(word, last - 1)
        and _is_consonant(word, last - 2)
        and word[last] not in "wxy"
    )


def _plural_and_past(word: str) -> str:
    if word.endswith(("sses", "ies")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for ending in ("ed", "ing"):
        if word.endswith(ending):
            root = word[: -len(ending)]
            return _mend(root) if _has_vowel(root) else word
    return word


def _mend(root: str) -> str:
    """Put back what cutting -ed or -ing took: hop(p), siz(e), fil(e)."""
    if root.endswith(("at", "bl", "iz")):
        return root + "e"
    if len(root) > 1 and root[-1] == root[-2] and _is_consonant(root, len(root) - 1) and root[-1] not in "lsz":
        return root[:-1]
    if _measure(root) == 1 and _ends_cvc(root):
        return root + "e"
    return root


def _replace(word: str, rules: dict[str, str]) -> str:
    for ending, instead in rules.items():
        if word.endswith(ending):
            root = word[: -len(ending)]
            return root + instead if _measure(root) > 0 else word
    return word


def _drop_suffix(word: str) -> str:
    for ending in _STEP_4:
        if word.endswith(ending):
            root = word[: -len(ending)]
            return root if _measure(root) > 1 and (ending != "ion" or root[-1:] in ("s", "t")) else word
    return word


def _final_e(word: str) -> str:
    if word.endswith("e"):
        measure = _measure(word[:-1])
        if measure > 1 or (measure == 1 and not _ends_cvc(word[:-1])):
            word = word[:-1]
    if word.endswith("ll") and _measure(word) > 1:
        word = word[:-1]
    return word
