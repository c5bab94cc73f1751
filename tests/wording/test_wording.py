"""Every error code has a whole, natural sentence in every language, with and without facts."""

from __future__ import annotations

import re
import tomllib

import pytest

from app.core.errors import ErrorCode, Reason
from app.core.paths import resources
from app.wording import LANGUAGES, Language, explain, format_duration, format_size, unexpected

_KEYS = ("happened", "safe", "next", "short")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
ALL = [(code, language) for code in ErrorCode for language in LANGUAGES]


def _facts_of(code: ErrorCode, language: Language) -> set[str]:
    table = tomllib.loads((resources() / "messages" / f"{language}.toml").read_text("utf-8"))
    return set(re.findall(r"\{(\w+)\}", " ".join(table[code.value][key] for key in _KEYS)))


def _variants(language: Language) -> dict[str, list[str]]:
    table = tomllib.loads((resources() / "messages" / f"{language}.toml").read_text("utf-8"))
    return {code: sorted(entry["variants"]) for code, entry in table.items() if "variants" in entry}


@pytest.mark.parametrize(("code", "language"), ALL)
def test_every_code_is_explained_without_facts(code: ErrorCode, language: Language) -> None:
    sentence = explain(Reason(code), language)
    for key in _KEYS:
        text = getattr(sentence, key)
        assert text.strip(), key
        assert not re.search(r"[{}]|\[\[|\]\]|\|\||“”|  | [,:;。，]| \.( |$)|\(\)|（）", text), text
        assert bool(_CHINESE.search(text)) == (language == "zh_CN"), text
    for text in (sentence.happened, sentence.safe, sentence.next):
        assert text.endswith("。" if language == "zh_CN" else "."), text
    assert sentence.short[-1] not in ".。"


@pytest.mark.parametrize(("code", "language"), ALL)
def test_every_code_uses_all_its_facts_when_they_are_known(code: ErrorCode, language: Language) -> None:
    names = _facts_of(code, language)
    facts = {name: f"<{name}>" for name in names}
    text = str(explain(Reason(code, facts), language))
    assert all(f"<{name}>" in text for name in names)


@pytest.mark.parametrize("code", list(ErrorCode))
def test_both_languages_tell_the_same_facts(code: ErrorCode) -> None:
    assert _facts_of(code, "en") == _facts_of(code, "zh_CN")


def test_tables_hold_no_code_that_does_not_exist() -> None:
    for language in LANGUAGES:
        table = tomllib.loads((resources() / "messages" / f"{language}.toml").read_text("utf-8"))
        assert set(table) - {"unknown", "unexpected"} == {code.value for code in ErrorCode}


def test_variants_replace_the_sentence_when_a_fact_says_so() -> None:
    plain = explain(Reason(ErrorCode.KEYRING_UNSAFE, {"why": "none", "backend": ""}))
    short = explain(Reason(ErrorCode.KEYRING_UNSAFE, {"why": "short_passphrase", "least": 8}))
    assert "no keyring" in plain.happened
    assert short.happened == "The passphrase is too short: at least 8 characters are needed."
    assert _variants("en") == _variants("zh_CN")
    for code, names in _variants("en").items():
        for language in LANGUAGES:
            sentences = {str(explain(Reason(ErrorCode(code), {"why": name}), language)) for name in [*names, "-"]}
            assert len(sentences) == len(names) + 1


def test_facts_are_understood_by_their_other_names() -> None:
    assert explain(Reason(ErrorCode.PAGE_NO_TEXT, {"page": 7})).happened.startswith("Page 7 has no text")
    large = explain(Reason(ErrorCode.FILE_TOO_LARGE, {"name": "a", "size_mib": 600, "limit_mib": 512}))
    assert "600 MB" in large.happened and "512 MB" in large.happened


def test_an_unexpected_error_has_a_sentence_too() -> None:
    assert "did not expect" in unexpected().happened
    assert unexpected("zh_CN").happened.endswith("。")


def test_document_troubles_can_be_told_apart_in_the_list() -> None:
    whole = [code for code in ErrorCode if not code.value.startswith("page_")]
    for language in LANGUAGES:
        shorts = [explain(Reason(code), language).short for code in whole]
        assert len(set(shorts)) == len(shorts)


def test_numbers_are_formatted_by_the_name_of_the_fact() -> None:
    reason = Reason(
        ErrorCode.FILE_TOO_LARGE, {"name": "a.pdf", "size_bytes": 600 * 1024**2, "limit_bytes": 512 * 1024**2}
    )
    assert explain(reason).happened == "“a.pdf” is too large: 600 MB, and the limit is 512 MB."
    assert explain(reason, "zh_CN").happened == "“a.pdf”太大（600 MB），上限为 512 MB。"


def test_hostile_facts_never_raise_nor_grow_the_sentence() -> None:
    facts = {"name": "{x}[[y]]\n" + "长" * 5000, "size_bytes": float("nan"), "limit_bytes": float("inf")}
    for language in LANGUAGES:
        text = explain(Reason(ErrorCode.FILE_TOO_LARGE, facts), language).happened
        assert "\n" not in text
        assert len(text) < 250


def test_an_unknown_language_reads_english() -> None:
    assert explain(Reason(ErrorCode.CANCELLED), "fr").happened == "You stopped it."  # type: ignore[arg-type]


def test_sizes_and_durations_read_naturally() -> None:
    assert [format_size(n) for n in (0, 12, 1024, 1_500_000, 15 * 1024**2, 1_500_000_000)] == [
        "0 B", "12 B", "1.0 KB", "1.4 MB", "15 MB", "1.4 GB",
    ]  # fmt: skip
    assert [format_duration(s, "en") for s in (0.2, 1, 30, 1800)] == [
        "1 second",
        "1 second",
        "30 seconds",
        "30 minutes",
    ]
    assert format_duration(1800, "zh_CN") == "30 分钟"
