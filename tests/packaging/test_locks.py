"""The lock files: pinned, hashed, free of registry addresses, and in step with pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "packaging").glob("requirements*.lock"))
ENGINE = "llama-cpp-python"


def entries(lock: Path) -> list[str]:
    """Logical lines without comments."""
    text = lock.read_text("utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def pins(*names: str) -> dict[str, list[str]]:
    """All pinned versions of each package in the named locks (one for each branch of its markers)."""
    found: dict[str, list[str]] = {}
    for name in names:
        for entry in entries(ROOT / "packaging" / name):
            requirement = Requirement(entry.split("--hash")[0])
            (specifier,) = requirement.specifier
            assert specifier.operator == "=="
            found.setdefault(canonicalize_name(requirement.name), []).append(specifier.version)
    return found


def test_the_locks_are_there() -> None:
    names = [f"requirements{kind}.lock" for kind in ("-build", "-dev", "-engine", "-pip", "")]
    assert [lock.name for lock in LOCKS] == sorted(names)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_entry_is_one_version_with_sha256_hashes(lock: Path) -> None:
    assert entries(lock)
    for entry in entries(lock):
        assert re.fullmatch(r"[a-z0-9.-]+==[^ ]+( ; [^-]+?)?( +--hash=sha256:[0-9a-f]{64})+ *", entry), entry[:100]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_no_lock_names_a_registry(lock: Path) -> None:
    text = lock.read_text("utf-8")
    assert "://" not in text
    assert "-url" not in text
    assert "--find-links" not in text


def test_compiled_packages_are_locked_for_more_than_one_system() -> None:
    for entry in entries(ROOT / "packaging" / "requirements.lock"):
        if entry.startswith(("cryptography==", "faiss-cpu==", "pymupdf==", "pyside6-essentials==", "msgspec==")):
            assert entry.count("--hash") >= 4, entry[:60]


def test_locked_versions_are_those_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    locked = pins("requirements-dev.lock", "requirements-engine.lock")
    for text in [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]:
        wanted = Requirement(text)
        for version in locked[canonicalize_name(wanted.name)]:
            assert version in wanted.specifier, f"{text}, but {version} is locked: run make lock"


def test_lock_for_tests_holds_the_lock_for_running() -> None:
    run, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: dev.get(name) for name in run} == run


def test_engine_is_locked_alone() -> None:
    assert list(pins("requirements-engine.lock")) == [ENGINE]
    assert ENGINE not in pins("requirements.lock", "requirements-dev.lock")


def test_plaintext_keyrings_are_never_installed() -> None:
    assert "keyrings-alt" not in pins("requirements-dev.lock")
