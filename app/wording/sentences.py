"""A Reason becomes a Sentence, in English or Simplified Chinese, from resources/messages/<language>.toml.

Templates: `{fact}` is the fact's value, formatted by its name (`..._bytes` as a size, `..._s` as a duration, other
numbers with separators). `[[A||B]]` is A when all facts in A are known, else B; `[[A]]` is A or nothing. A `{fact}`
outside of such a part that is not known becomes the word of the table's [unknown] section, else nothing.
`[code.variants.x]` replaces parts of a sentence when one of the facts has the value x.
Promise: explain() never raises for any code and any facts, whoever filled them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, TypeAlias

from app.core.errors import Fact, Reason
from app.core.limits import MIB
from app.core.paths import resources
from app.wording.formats import format_count, format_duration, format_size

Language: TypeAlias = Literal["en", "zh_CN"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh_CN")

MAX_FACT_CHARS = 120  # a file name is at most 255 bytes; longer facts would push the sentence off the screen

_KEYS = ("happened", "safe", "next", "short")
_ALIASES: Final = {  # other names and units under which finders tell the same facts
    "page": ("page_no", 1),
    "pages": ("page_count", 1),
    "size_mib": ("size_bytes", MIB),
    "limit_mib": ("limit_bytes", MIB),
}

_OPTIONAL = re.compile(r"\[\[(.*?)\]\]")
_FACT = re.compile(r"\{([a-z_0-9]+)\}")


@dataclass(frozen=True, slots=True)
class Sentence:
    """`short` is a few words for a list row ("Needs a password"); the rest are whole sentences."""

    happened: str
    safe: str
    next: str
    short: str

    def __str__(self) -> str:
        return _join(self.happened, self.advice)

    @property
    def advice(self) -> str:
        """What is safe and what to do next, for a second line."""
        return _join(self.safe, self.next)


@dataclass(frozen=True, slots=True)
class _Table:
    unknown: Mapping[str, str]
    templates: Mapping[str, Mapping[str, Any]]  # Any: TOML; tests walk all of it


def explain(reason: Reason, language: Language = "en") -> Sentence:
    """What happened, what is safe and what to do next, for people who read `language`."""
    table = _table(language if language in LANGUAGES else "en")
    template = table.templates.get(reason.code.value, table.templates["unexpected"])
    facts = {_ALIASES.get(name, (name, 1))[0]: _scaled(name, fact) for name, fact in reason.facts.items()}
    for fact in facts.values():
        template = {**template, **template.get("variants", {}).get(str(fact), {})}
    return Sentence(**{key: _fill(template[key], facts, table.unknown, language) for key in _KEYS})


@cache
def _table(language: Language) -> _Table:
    raw = tomllib.loads((resources() / "messages" / f"{language}.toml").read_text("utf-8"))
    unknown = raw.pop("unknown")
    return _Table(unknown, raw)


def _join(first: str, second: str) -> str:
    """Two sentences in a row: Chinese ones stand without a space."""
    return f"{first}{'' if first.endswith('。') else ' '}{second}"


def _fill(template: str, facts: Mapping[str, Fact], unknown: Mapping[str, str], language: Language) -> str:
    def optional(part: re.Match[str]) -> str:
        known, _, instead = part[1].partition("||")
        return known if all(name in facts for name in _FACT.findall(known)) else instead

    def value(part: re.Match[str]) -> str:
        name = part[1]
        return _format(name, facts[name], language) if name in facts else unknown.get(name, "")

    filled = _FACT.sub(value, _OPTIONAL.sub(optional, template))
    return filled[:1].upper() + filled[1:]


def _scaled(name: str, fact: Fact) -> Fact:
    return fact if isinstance(fact, str) else fact * _ALIASES.get(name, (name, 1))[1]


def _format(name: str, fact: object, language: Language) -> str:
    if isinstance(fact, bool) or not isinstance(fact, int | float):
        text = " ".join(str(fact).split())
        return text if len(text) <= MAX_FACT_CHARS else text[: MAX_FACT_CHARS - 1] + "…"
    if name.endswith("_bytes"):
        return format_size(fact)
    if name.endswith("_s"):
        return format_duration(fact, language)
    return format_count(fact)


def unexpected(language: Language = "en") -> Sentence:
    """What to say about a bug: an error that has no code."""
    template = _table(language if language in LANGUAGES else "en").templates["unexpected"]
    return Sentence(**{key: template[key] for key in _KEYS})
