"""Loads the word tables in words/*.toml: ways to say and to ask for something, in English and Chinese."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

WORDS = Path(__file__).parent / "words"


def load_words(name: str) -> dict:
    return tomllib.loads((WORDS / f"{name}.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Phrases:
    """One fact that can be stated and asked for; `kind` names its value (values.value_of)."""

    kind: str
    head_en: str
    head_zh: str
    says_en: tuple[str, ...]
    says_zh: tuple[str, ...]
    asks_en: tuple[str, ...]
    asks_zh: tuple[str, ...]

    def heading(self, lang: str) -> str:
        return self.head_en if lang == "en" else self.head_zh

    def says(self, lang: str) -> tuple[str, ...]:
        return self.says_en if lang == "en" else self.says_zh

    def asks(self, lang: str) -> tuple[str, ...]:
        return self.asks_en if lang == "en" else self.asks_zh


def load_phrases(name: str) -> dict[str, tuple[Phrases, ...]]:
    """Table name -> its phrases, for files whose tables are lists of phrases."""
    tables = load_words(name)
    return {
        group: tuple(Phrases(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}) for row in rows)
        for group, rows in tables.items()
    }
