"""One spelling for the many ways a text can be written, shared by full text, dictionary and embedder.

`normalise` makes compatibility forms plain (full-width letters, ligatures), lower case, Latin and Greek letters
without accents, and traditional Chinese characters simplified. It keeps word order and punctuation: cutting into
terms is the business of whoever calls it.
"""

from __future__ import annotations

import functools
import json
import re
import unicodedata

from app.core.paths import starter_models

_ACCENTS = re.compile("[\u0300-\u036f]+")
_HAN_RUN = re.compile("[\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
_LATIN_WORD = re.compile("[A-Za-z\u00c0-\u024f]+")


def normalise(text: str) -> str:
    """`text` in its plainest spelling. "Café Ｎo. 漢語" -> "cafe no. 汉语"."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", text).lower()
    text = _ACCENTS.sub("", unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFC", text).translate(_simplified())


def is_chinese(text: str) -> bool | None:
    """Whether a text is Chinese rather than written in words; a Han character weighs as much as a word.

    None when it has neither (a table of numbers): such a text belongs to every language.
    """
    if text.isascii():
        return False if _LATIN_WORD.search(text) else None
    han, words = sum(map(len, _HAN_RUN.findall(text))), len(_LATIN_WORD.findall(text))
    return None if han == words == 0 else han > words


@functools.cache
def _simplified() -> dict[int, str]:
    """Traditional character -> simplified, one to one (the table has 4,303 entries; phrases are not looked at)."""
    table = json.loads((starter_models() / "embedder" / "t2s.json").read_text(encoding="utf-8"))
    return {int(point): simplified for point, simplified in table.items()}
