"""Which of our two languages a text is in, by script; enough to choose prompts and wording."""

from __future__ import annotations

from enum import StrEnum


class Language(StrEnum):
    ENGLISH = "en"
    CHINESE = "zh_CN"


def language_of(text: str) -> Language:
    """Chinese when Han characters outweigh Latin words (one word counts about as much as two characters)."""
    han = sum("\u3400" <= c <= "\u9fff" for c in text)
    latin = sum(c.isascii() and c.isalpha() for c in text)
    return Language.CHINESE if han * 3 > latin else Language.ENGLISH
