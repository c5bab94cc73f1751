"""The catalog says what is true: starters are the files it names, other models carry no invented hash or address."""

from __future__ import annotations

import hashlib
import tomllib

import pytest

from app.core.paths import program_root
from tests.models.test_starter import ask_starter

MODELS = program_root() / "models"
CATALOG = tomllib.loads((MODELS / "catalog.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("entry", CATALOG["starter"], ids=lambda e: e["file"])
def test_starter_is_the_file_in_the_catalog(entry: dict) -> None:
    data = (MODELS / entry["file"]).read_bytes()
    assert len(data) == entry["size_bytes"]
    assert hashlib.sha256(data).hexdigest() == entry["sha256"]


@pytest.mark.parametrize("entry", CATALOG["starter"], ids=lambda e: e["file"])
def test_starter_loads_as_the_architecture_in_the_catalog(entry: dict) -> None:
    metadata = ask_starter([], MODELS / entry["file"])["metadata"]
    assert metadata["general.architecture"] == entry["architecture"]
    assert int(metadata[f"{entry['architecture']}.context_length"]) == entry["context_tokens"]


def test_every_gguf_among_the_starters_is_in_the_catalog() -> None:
    listed = {entry["file"] for entry in CATALOG["starter"]}
    present = {path.relative_to(MODELS).as_posix() for path in (MODELS / "starter").rglob("*.gguf")}
    assert present == listed


def test_models_of_others_carry_no_hash_and_no_address() -> None:
    for entry in CATALOG["model"]:
        assert not {"sha256", "url", "repository", "file"} & set(entry), entry["name"]
        assert "http" not in entry["good_for"], entry["name"]


def test_memory_need_is_larger_than_the_file() -> None:
    sized = [entry for entry in CATALOG["model"] if "about_file_gb" in entry]
    assert len(sized) >= 5
    for entry in sized:
        assert entry["about_memory_gb"] > entry["about_file_gb"], entry["name"]
