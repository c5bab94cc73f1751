"""The bootstrap under a Python that does not fit: another one is used, or one sentence tells which are needed."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BOOTSTRAP = Path(__file__).resolve().parents[2] / "packaging" / "bootstrap.py"


@pytest.fixture
def bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap_under_test", BOOTSTRAP)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 10, 13), (3, 14, 0)])
def test_python_that_does_not_fit_is_told_in_one_sentence(
    bootstrap: ModuleType,
    version: tuple[int, int, int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "version_info", version)
    assert bootstrap.main() == 1
    message = capsys.readouterr().err
    assert "needs Python 3.11, 3.12 or 3.13" in message
    assert f"Python {version[0]}.{version[1]}" in message
    assert message.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="uses shell scripts as Pythons")
def test_fitting_python_beside_the_old_one_is_used(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    launcher_of_nothing = tmp_path / "python3.13"
    launcher_of_nothing.write_text("#!/bin/sh\nexit 127\n", "utf-8")
    fitting = tmp_path / "python3.12"
    fitting.write_text(f'#!/bin/sh\n[ "$1" = -c ] || echo "$@" > "{tmp_path}/called"\n', "utf-8")
    launcher_of_nothing.chmod(0o755)
    fitting.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "version_info", (3, 9, 0))
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "test", "-x"])
    assert bootstrap.main() == 0
    assert (tmp_path / "called").read_text("utf-8").split()[1:] == ["test", "-x"]


def test_old_pythons_can_read_the_file_that_tells_them() -> None:
    ast.parse(BOOTSTRAP.read_text("utf-8"), feature_version=(3, 4))
