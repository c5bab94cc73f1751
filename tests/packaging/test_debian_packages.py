"""System packages on Debian: installed by root, named to everybody else, never in the way."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from installer import debian
from installer.console import Console

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Debian only")


class FakeDebian:
    """A PATH with a dpkg-query that knows some packages and an apt-get that notes how it was called."""

    def __init__(self, folder: Path, installed: list[str], apt_status: int = 0) -> None:
        self.console = Console(folder / "log")
        self.calls_file = folder / "apt-calls"
        lines = "".join(f"installed\\t{name}\\t\\n" for name in installed)
        self._script(folder / "dpkg-query", f"printf '{lines}'")
        self._script(folder / "apt-get", f'echo "$@" >> "{self.calls_file}"; exit {apt_status}')
        for tool in ("cc", "c++"):
            self._script(folder / tool, "exit 0")

    @staticmethod
    def _script(path: Path, body: str) -> None:
        path.write_text(f"#!/bin/sh\n{body}\n", "utf-8")
        path.chmod(0o755)

    @property
    def apt_calls(self) -> list[str]:
        return self.calls_file.read_text("utf-8").splitlines() if self.calls_file.exists() else []


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(debian, "is_debian", lambda: True)
    return tmp_path


def test_nothing_is_called_when_nothing_is_missing(path: Path) -> None:
    system = FakeDebian(path, installed=[*debian.FOR_RUN, *debian.FOR_TEST])
    debian.ensure(system.console, for_test=True, needs_compiler=True)
    assert system.apt_calls == []


def test_root_installs_exactly_what_is_missing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    system = FakeDebian(path, installed=[name for name in debian.FOR_RUN if name != "libegl1"])
    debian.ensure(system.console, for_test=False, needs_compiler=False)
    assert system.apt_calls == ["update", "install -y --no-install-recommends libegl1"]


def test_user_is_told_the_one_command_and_nothing_is_called(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    system = FakeDebian(path, installed=list(debian.FOR_RUN))
    debian.ensure(system.console, for_test=True, needs_compiler=False)
    assert system.apt_calls == []
    assert f"sudo apt-get install -y --no-install-recommends {' '.join(debian.FOR_TEST)}" in capsys.readouterr().err


def test_failing_apt_is_told_and_does_not_stop_the_set_up(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    system = FakeDebian(path, installed=[], apt_status=100)
    debian.ensure(system.console, for_test=False, needs_compiler=False)
    assert "Going on without them" in capsys.readouterr().err


def test_package_that_another_one_provides_counts_as_there(path: Path) -> None:
    system = FakeDebian(path, installed=[name for name in debian.FOR_RUN if name != "libglib2.0-0"])
    renamed = "installed\\tlibglib2.0-0t64\\tlibglib2.0-0 (= 2.84)\\n"
    query = path / "dpkg-query"
    query.write_text(query.read_text("utf-8") + f"printf '{renamed}'\n", "utf-8")
    debian.ensure(system.console, for_test=False, needs_compiler=False)
    assert system.apt_calls == []


def test_compiler_is_asked_for_only_where_there_is_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    system = FakeDebian(path, installed=list(debian.FOR_RUN))
    debian.ensure(system.console, for_test=False, needs_compiler=True)
    assert system.apt_calls == []
    (path / "c++").unlink()
    debian.ensure(system.console, for_test=False, needs_compiler=True)
    assert system.apt_calls[-1] == "install -y --no-install-recommends build-essential"
