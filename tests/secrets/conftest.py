"""Argon2id at the least cost that the vault accepts: dozens of keys are sealed here."""

from __future__ import annotations

import pytest

from app.secrets import sealing


@pytest.fixture(autouse=True)
def cheap_sealing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "MEMORY_KIB", 20_480)
    monkeypatch.setattr(sealing, "PASSES", 3)
