"""Which vault a library gets, and that a key is made once only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import keyring as keyring_library
import pytest
from keyring.backends import fail

from app.core.errors import ErrorCode, JingyanError
from app.core.paths import DataPaths
from app.secrets import KeyringVault, PassphraseVault, choose_vault, key_from_recovery_code, library_key, recovery_code
from tests.secrets.keyrings import MemoryKeyring
from tests.secrets.test_vaults import KEY, PASSPHRASE, MemoryVault, code_of


class SafeKeyring(MemoryKeyring):
    """Goes for a keyring of the system by its module's name."""


SafeKeyring.__module__ = "keyring.backends.SecretService"


@pytest.fixture
def paths(tmp_path: Path) -> DataPaths:
    return DataPaths(tmp_path / "data")


@pytest.fixture
def keyring() -> Iterator[Callable[[str], None]]:
    """Decides what keyring.get_keyring() finds on this system: a safe one, a weak one, none."""
    before = keyring_library.get_keyring()
    found = {"safe": SafeKeyring(), "weak": MemoryKeyring(), "none": fail.Keyring()}
    yield lambda kind: keyring_library.set_keyring(found[kind])
    keyring_library.set_keyring(before)


def passphrase_file(tmp_path: Path, content: bytes = PASSPHRASE.encode() + b"\n") -> dict[str, str]:
    path = tmp_path / "passphrase.txt"
    path.write_bytes(content)
    return {"JINGYAN_PASSPHRASE_FILE": str(path)}


def test_a_safe_keyring_comes_before_asking(paths: DataPaths, keyring: Callable[[str], None]) -> None:
    keyring("safe")
    vault = choose_vault(paths, lambda new: PASSPHRASE, environment={})
    assert isinstance(vault, KeyringVault)
    assert vault.describe() == "keyring: SecretService"


def test_without_a_safe_keyring_the_user_is_asked(paths: DataPaths, keyring: Callable[[str], None]) -> None:
    for kind in ("weak", "none"):
        keyring(kind)
        assert isinstance(choose_vault(paths, lambda new: PASSPHRASE, environment={}), PassphraseVault)


@pytest.mark.parametrize(("kind", "why"), [("weak", "weak"), ("none", "none")])
def test_with_nobody_to_ask_an_unsafe_place_is_an_error_that_says_why(
    paths: DataPaths, keyring: Callable[[str], None], kind: str, why: str
) -> None:
    keyring(kind)
    error = code_of(lambda: choose_vault(paths, environment={}))
    assert error.reason.code is ErrorCode.KEYRING_UNSAFE
    assert error.reason.facts["why"] == why
    assert not paths.root.exists()


def test_a_passphrase_file_is_used_without_asking(
    paths: DataPaths, keyring: Callable[[str], None], tmp_path: Path
) -> None:
    keyring("safe")
    environment = passphrase_file(tmp_path)
    choose_vault(paths, environment=environment).write(KEY)
    assert choose_vault(paths, environment=environment).read() == KEY
    assert choose_vault(paths, lambda new: PASSPHRASE, environment={}).read() == KEY


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", ErrorCode.FILE_EMPTY),
        (b"\n", ErrorCode.FILE_EMPTY),
        (b"\xff\xfe\x00", ErrorCode.FILE_UNREADABLE),
        (b"x" * 5_000, ErrorCode.FILE_TOO_LARGE),
        (None, ErrorCode.FILE_NOT_FOUND),
    ],
)
def test_a_passphrase_file_that_is_none_is_said_so(
    paths: DataPaths, tmp_path: Path, content: bytes | None, code: ErrorCode
) -> None:
    environment = passphrase_file(tmp_path, content or b"")
    if content is None:
        Path(environment["JINGYAN_PASSPHRASE_FILE"]).unlink()
    vault = choose_vault(paths, environment=environment)
    assert code_of(lambda: vault.write(KEY)).code is code


def test_a_byte_order_mark_and_windows_line_end_are_not_the_passphrase(paths: DataPaths, tmp_path: Path) -> None:
    choose_vault(paths, lambda new: PASSPHRASE, anew=True, environment=passphrase_file(tmp_path)).write(KEY)
    windows = passphrase_file(tmp_path, b"\xef\xbb\xbf" + PASSPHRASE.encode() + b"\r\n")
    assert choose_vault(paths, environment=windows).read() == KEY


def test_a_library_stays_where_its_key_is(paths: DataPaths, keyring: Callable[[str], None]) -> None:
    keyring("none")
    choose_vault(paths, lambda new: PASSPHRASE, environment={}).write(KEY)
    keyring("safe")
    assert isinstance(choose_vault(paths, environment={}), PassphraseVault)
    assert code_of(choose_vault(paths, environment={}).read).reason.facts == {"found": "sealed"}


def test_a_key_in_a_keyring_that_is_gone_is_not_replaced(paths: DataPaths, keyring: Callable[[str], None]) -> None:
    keyring("safe")
    library_key(choose_vault(paths, environment={}), paths.library)
    keyring("none")
    error = code_of(lambda: choose_vault(paths, lambda new: PASSPHRASE, environment={}))
    assert error.code is ErrorCode.KEYRING_UNSAFE


def test_the_recovery_code_brings_a_key_into_a_new_vault(paths: DataPaths, keyring: Callable[[str], None]) -> None:
    keyring("safe")
    codes: list[str] = []
    key = library_key(choose_vault(paths, environment={}), paths.library, on_new_key=codes.append)
    keyring("none")
    anew = choose_vault(paths, lambda new: PASSPHRASE, anew=True, environment={})
    anew.write(key_from_recovery_code(codes[0]))
    assert choose_vault(paths, lambda new: PASSPHRASE, environment={}).read() == key


def test_a_key_is_made_once(paths: DataPaths) -> None:
    vault, codes = MemoryVault(), []
    first = library_key(vault, paths.library, on_new_key=codes.append)
    assert library_key(vault, paths.library, on_new_key=codes.append) == first
    assert codes == [recovery_code(first)]
    assert len(first) == 32
    assert first != library_key(MemoryVault(), paths.library)


def test_a_library_without_its_key_never_gets_a_new_one(paths: DataPaths) -> None:
    paths.root.mkdir()
    paths.library.write_bytes(b"encrypted with a key that is gone")
    vault = MemoryVault()
    error = code_of(lambda: library_key(vault, paths.library))
    assert error.reason.code is ErrorCode.KEY_MISSING
    assert vault.read() is None


def test_a_key_of_the_wrong_size_is_damage(paths: DataPaths) -> None:
    vault = MemoryVault()
    vault.write(b"short")
    with pytest.raises(JingyanError) as error:
        library_key(vault, paths.library)
    assert error.value.reason.facts == {"found": "damaged"}
