"""How much of a question a passage holds: the one figure that can be compared across languages.

BM25 and cosine scores of the two language groups cannot; which group has the answer shows in how many of the
question's words, or of their translations, its best passage says. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.core.porter import stem
from app.index.terms import fold

Terms = Mapping[str, float]


def share_held(text: str, terms: Terms) -> float:
    """The weight of the `terms` that `text` says, as a share of all their weight."""
    held, total = _held(text, terms), sum(terms.values())
    return held / total if total else 0.0


def share_held_across(text: str, terms: Terms, translated: Terms) -> float:
    """The same for a text of the other language: translations count, and what it quotes as it is (names, numbers).

    0 without any translation: a name alone says little, and texts of every language quote it.
    """
    found = _held(text, translated)
    if not found:
        return 0.0
    quoted = _held(text, terms)
    return (found + quoted) / (sum(translated.values()) + quoted)


def _held(text: str, terms: Terms) -> float:
    said = {stem(term) for term in fold(text).split()}
    return sum(weight for term, weight in terms.items() if stem(term) in said)
