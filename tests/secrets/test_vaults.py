"""Vaults: what they keep, what they refuse, and what lies on the disk."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from keyring.backends import chainer, fail, null

from app.core.errors import ErrorCode, JingyanError
from app.core.ports import KeyVault
from app.secrets import KeyringVault, PassphraseVault, safe_backend
from tests.contract.vault_contract import KEY, VaultContract
from tests.secrets.keyrings import BrokenKeyring, ForgetfulKeyring, LockedKeyring, MemoryKeyring

PASSPHRASE = "correct horse 电池"


class MemoryVault:
    """The fake: a vault that forgets at the end of the test."""

    def __init__(self) -> None:
        self._key: bytes | None = None

    def read(self) -> bytes | None:
        return self._key

    def write(self, key: bytes) -> None:
        self._key = key

    def describe(self) -> str:
        return "memory"


def code_of(call: Callable[[], object]) -> JingyanError:
    with pytest.raises(JingyanError) as error:
        call()
    return error.value


class TestMemoryVault(VaultContract):
    @pytest.fixture
    def new_vault(self) -> Callable[[], KeyVault]:
        vault = MemoryVault()
        return lambda: vault


class TestPassphraseVault(VaultContract):
    @pytest.fixture
    def new_vault(self, tmp_path: Path) -> Callable[[], KeyVault]:
        return lambda: PassphraseVault(tmp_path / "library.key", lambda new: PASSPHRASE)


class TestKeyringVault(VaultContract):
    @pytest.fixture
    def new_vault(self, tmp_path: Path) -> Callable[[], KeyVault]:
        backend = MemoryKeyring()
        return lambda: KeyringVault(tmp_path / "library.key", backend)


# ---- passphrase ----------------------------------------------------------------------------------
@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "library.key"


@pytest.fixture
def sealed(key_file: Path) -> Path:
    PassphraseVault(key_file, lambda new: PASSPHRASE).write(KEY)
    return key_file


def test_a_wrong_passphrase_is_told_and_can_be_tried_again(sealed: Path) -> None:
    answers = iter(["wrong", "", PASSPHRASE])
    vault = PassphraseVault(sealed, lambda new: next(answers))
    assert code_of(vault.read).code is ErrorCode.WRONG_PASSPHRASE
    assert code_of(vault.read).code is ErrorCode.WRONG_PASSPHRASE
    assert vault.read() == KEY


def test_the_vault_says_whether_a_passphrase_is_new(key_file: Path) -> None:
    asked: list[bool] = []

    def ask(new: bool) -> str:
        asked.append(new)
        return PASSPHRASE

    vault = PassphraseVault(key_file, ask)
    assert vault.read() is None
    assert asked == []
    vault.write(KEY)
    vault.read()
    assert asked == [True, False]


def test_composed_and_decomposed_characters_are_one_passphrase(key_file: Path) -> None:
    PassphraseVault(key_file, lambda new: "Zu\u0308rich passphrase").write(KEY)
    assert PassphraseVault(key_file, lambda new: "Z\u00fcrich passphrase").read() == KEY


def test_a_short_new_passphrase_is_refused(key_file: Path) -> None:
    error = code_of(lambda: PassphraseVault(key_file, lambda new: "1234567").write(KEY))
    assert error.reason.code is ErrorCode.KEYRING_UNSAFE
    assert error.reason.facts == {"why": "short_passphrase", "least": 8}
    assert not key_file.exists()


def test_neither_key_nor_passphrase_is_in_the_file(sealed: Path) -> None:
    content = sealed.read_bytes()
    assert KEY not in content
    assert KEY.hex().encode() not in content
    assert PASSPHRASE.encode() not in content
    if os.name != "nt":
        assert stat.S_IMODE(sealed.stat().st_mode) == 0o600
    assert [file.name for file in sealed.parent.iterdir()] == ["library.key"]


def test_the_same_key_sealed_twice_looks_different(sealed: Path) -> None:
    first = json.loads(sealed.read_text())
    PassphraseVault(sealed, lambda new: PASSPHRASE).write(KEY)
    second = json.loads(sealed.read_text())
    assert all(first[name] != second[name] for name in ("salt", "nonce", "sealed"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("memory_kib", 8),
        ("memory_kib", 2**31),
        ("passes", 1),
        ("passes", 10**9),
        ("lanes", 0),
        ("lanes", 4096),
        ("salt", "AAAA"),
        ("nonce", ""),
        ("sealed", "AAAA"),
        ("sealed", 7),
        ("format", 2),
        ("kept_by", "the neighbour"),
        ("extra", 1),
    ],
)
def test_costs_out_of_bounds_and_unknown_fields_are_damage(sealed: Path, name: str, value: object) -> None:
    sealed.write_text(json.dumps(json.loads(sealed.read_text()) | {name: value}))
    error = code_of(PassphraseVault(sealed, lambda new: PASSPHRASE).read)
    assert error.reason.code is ErrorCode.KEY_MISSING
    assert error.reason.facts == {"found": "damaged"}


@pytest.mark.parametrize("name", ["memory_kib", "passes", "lanes"])
def test_changed_costs_do_not_open(sealed: Path, name: str) -> None:
    record = json.loads(sealed.read_text())
    sealed.write_text(json.dumps(record | {name: record[name] - 1}))
    assert code_of(PassphraseVault(sealed, lambda new: PASSPHRASE).read).code is ErrorCode.WRONG_PASSPHRASE


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"{}", b" " * 5_000])
def test_a_key_file_that_is_none_is_damage(key_file: Path, content: bytes) -> None:
    key_file.parent.mkdir()
    key_file.write_bytes(content)
    for vault in (PassphraseVault(key_file, lambda new: PASSPHRASE), KeyringVault(key_file, MemoryKeyring())):
        error = code_of(vault.read)
        assert error.reason.code is ErrorCode.KEY_MISSING
        assert error.reason.facts == {"found": "damaged"}


def test_a_key_file_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"a file where the folder should be")
    vault = PassphraseVault(tmp_path / "data" / "library.key", lambda new: PASSPHRASE)
    assert code_of(lambda: vault.write(KEY)).code is ErrorCode.FOLDER_NOT_WRITABLE


# ---- keyring -------------------------------------------------------------------------------------
def test_only_the_name_of_the_entry_is_on_the_disk(key_file: Path) -> None:
    backend = MemoryKeyring()
    KeyringVault(key_file, backend).write(KEY)
    ((service, account),) = backend.passwords
    assert service == "Jingyan"
    assert json.loads(key_file.read_text()) == {"kept_by": "keyring", "account": account, "format": 1}


def test_two_libraries_of_one_user_have_entries_of_their_own(tmp_path: Path) -> None:
    backend = MemoryKeyring()
    KeyringVault(tmp_path / "one.key", backend).write(KEY)
    KeyringVault(tmp_path / "two.key", backend).write(bytes(32))
    assert KeyringVault(tmp_path / "one.key", backend).read() == KEY
    assert len(backend.passwords) == 2


def test_a_keyring_that_lost_the_entry_gives_none(key_file: Path) -> None:
    backend = MemoryKeyring()
    KeyringVault(key_file, backend).write(KEY)
    assert KeyringVault(key_file, MemoryKeyring()).read() is None
    backend.passwords = dict.fromkeys(backend.passwords, "not base64!")
    error = code_of(KeyringVault(key_file, backend).read)
    assert error.reason.facts == {"found": "damaged"}


@pytest.mark.parametrize(
    ("backend", "why"), [(ForgetfulKeyring, "forgets"), (LockedKeyring, "locked"), (BrokenKeyring, "failing")]
)
def test_a_keyring_that_does_not_keep_the_key_is_refused(
    key_file: Path, backend: type[MemoryKeyring], why: str
) -> None:
    error = code_of(lambda: KeyringVault(key_file, backend()).write(KEY))
    assert error.reason.code is ErrorCode.KEYRING_UNSAFE
    assert error.reason.facts["why"] == why
    assert not key_file.exists()


def test_no_keyring_and_a_failing_one_are_told_apart_from_a_weak_one() -> None:
    def facts(backend: object) -> tuple[object, object]:
        reason = code_of(lambda: safe_backend(backend)).reason  # type: ignore[arg-type]
        assert reason.code is ErrorCode.KEYRING_UNSAFE
        return reason.facts["why"], reason.facts["backend"]

    assert facts(fail.Keyring()) == ("none", "")
    assert facts(null.Keyring()) == ("weak", "null")
    assert facts(MemoryKeyring()) == ("weak", "tests.secrets.keyrings")


def test_a_chain_is_as_safe_as_its_weakest_member(monkeypatch: pytest.MonkeyPatch) -> None:
    class Safe(MemoryKeyring):
        pass

    monkeypatch.setattr(Safe, "__module__", "keyring.backends.SecretService")
    safe = Safe()
    chain = chainer.ChainerBackend()
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [safe])
    assert safe_backend(chain) is safe
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [safe, MemoryKeyring()])
    assert code_of(lambda: safe_backend(chain)).reason.facts["why"] == "weak"
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [])
    assert code_of(lambda: safe_backend(chain)).reason.facts["why"] == "none"
