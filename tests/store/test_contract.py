"""The encrypted file and the library in memory keep the same contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.ports import Library
from app.store import in_memory_library, open_library
from tests.contract.library_contract import LibraryContract, fold


class TestEncryptedLibrary(LibraryContract):
    @pytest.fixture
    def library(self, tmp_path: Path) -> Iterator[Library]:
        library = open_library(tmp_path / "library.db", b"k" * 32, fold=fold)
        yield library
        assert library.is_sound()
        library.close()


class TestInMemoryLibrary(LibraryContract):
    @pytest.fixture
    def library(self) -> Iterator[Library]:
        library = in_memory_library(fold)
        yield library
        library.close()
