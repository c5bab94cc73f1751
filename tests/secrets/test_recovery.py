"""The recovery code: what a person may do to it, and what not."""

from __future__ import annotations

import os
import random

import pytest

from app.core.errors import ErrorCode, JingyanError
from app.secrets import key_from_recovery_code, recovery_code

KEY = bytes(range(32))


def test_every_key_comes_back() -> None:
    for key in (KEY, bytes(32), b"\xff" * 32, *(os.urandom(32) for _ in range(50))):
        assert key_from_recovery_code(recovery_code(key)) == key


def test_the_code_is_fourteen_groups_of_four_without_lookalikes() -> None:
    groups = recovery_code(os.urandom(32)).split("-")
    assert [len(group) for group in groups] == [4] * 14
    assert not set("0189") & set("".join(groups))


def test_the_way_it_is_typed_does_not_matter() -> None:
    code = recovery_code(KEY)
    wide = "".join(chr(ord(char) + 0xFEE0) if char != "-" else "\u3000" for char in code)
    for typed in (
        code.lower(),
        code.replace("-", ""),
        code.replace("-", "  "),
        f"\n {code[:35]}\n{code[35:]} ",
        code.replace("-", "–"),
        code.replace("O", "0").replace("I", "1").replace("B", "8"),
        wide,
    ):
        assert key_from_recovery_code(typed) == KEY


def test_any_single_slip_is_noticed() -> None:
    code = recovery_code(KEY)
    slips = random.Random(3)
    for position in [index for index, char in enumerate(code) if char != "-"]:
        other = slips.choice([char for char in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" if char != code[position]])
        assert_refused(code[:position] + other + code[position + 1 :])


@pytest.mark.parametrize("typed", ["", "ABCD", "静言", "A" * 56, "!" * 56, "\0" * 56, "=" * 56, "A" * 100_000])
def test_what_is_no_code_is_refused(typed: str) -> None:
    assert_refused(typed)
    assert_refused(recovery_code(KEY) + "AAAA")
    assert_refused(recovery_code(KEY)[:-5])


def test_a_key_of_the_wrong_size_is_a_bug() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        recovery_code(b"short")


def assert_refused(typed: str) -> None:
    with pytest.raises(JingyanError) as error:
        key_from_recovery_code(typed)
    assert error.value.reason.code is ErrorCode.WRONG_PASSPHRASE
    assert error.value.reason.facts == {"what": "recovery_code"}
