"""What every ports.KeyVault must do. Subclass it and give `new_vault`, which opens the same place each time."""

from __future__ import annotations

from collections.abc import Callable

from app.core.ports import KeyVault

KEY = bytes(range(32))


class VaultContract:
    def test_a_new_vault_is_empty(self, new_vault: Callable[[], KeyVault]) -> None:
        assert new_vault().read() is None

    def test_a_key_comes_back_in_the_same_and_in_another_vault_object(self, new_vault: Callable[[], KeyVault]) -> None:
        vault = new_vault()
        vault.write(KEY)
        assert vault.read() == KEY
        assert new_vault().read() == KEY

    def test_the_last_key_written_counts(self, new_vault: Callable[[], KeyVault]) -> None:
        new_vault().write(KEY)
        new_vault().write(bytes(32))
        assert new_vault().read() == bytes(32)

    def test_a_vault_says_what_it_is_without_the_key(self, new_vault: Callable[[], KeyVault]) -> None:
        vault = new_vault()
        vault.write(KEY)
        assert vault.describe()
        assert KEY.hex() not in vault.describe()
