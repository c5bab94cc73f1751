"""What every test gets: a data folder and a keyring of its own, no real screen, a polite skip of what is not here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT.parent / "shared" / "data" / "corpus"

# Before Qt or keyring are imported. A test that needs X11 or a secret service starts its own and says so itself.
os.environ["QT_QPA_PLATFORM"] = os.environ.get("JINGYAN_TEST_PLATFORM", "offscreen")
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing a test does reaches the data of whoever runs it. The folder does not exist yet, as for a newcomer."""
    monkeypatch.setenv("JINGYAN_HOME", str(tmp_path / "jingyan-home"))


@pytest.fixture
def corpus() -> Path:
    """The shared evaluation corpus; use it together with the mark `corpus`."""
    return CORPUS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CORPUS.is_dir():
        return
    for item in items:
        if item.get_closest_marker("corpus"):
            item.add_marker(pytest.mark.skip(reason="the shared evaluation corpus is not on this machine"))
