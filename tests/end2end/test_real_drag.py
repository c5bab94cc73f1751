"""A real drag: two programs under Xvfb with a window manager, the pointer moved by xdotool."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, Queue

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("Xvfb", "openbox", "xdotool")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]
ATTEMPTS = 4  # a window manager may still be moving a window when the pointer comes

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="X11 is needed"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


class Program:
    """A child whose lines can be waited for. Ended with the test."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self._child = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait_for(self, start: str, timeout_s: float) -> str | None:
        """The next line that begins with `start`; None when it does not come in time."""
        try:
            while True:
                line = self._lines.get(timeout=timeout_s)
                if line.startswith(start):
                    return line
        except Empty:
            return None

    def end(self) -> None:
        self._child.terminate()
        self._child.wait(20)
        self._reader.join(20)

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._lines.put(line.rstrip("\n"))


@pytest.fixture
def display() -> Iterator[dict[str, str]]:
    """The environment of programs on a virtual screen with a window manager."""
    with ExitStack() as stack:
        read, write = os.pipe()
        server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"],
            pass_fds=[write],
            stderr=subprocess.DEVNULL,
        )
        stack.callback(lambda: (server.terminate(), server.wait(20)))
        os.close(write)
        with os.fdopen(read) as answered:
            number = answered.readline().strip()
        env = {**os.environ, "DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb", "PYTHONPATH": str(ROOT)}
        env.pop("WAYLAND_DISPLAY", None)
        manager = subprocess.Popen(["openbox"], env=env, stderr=subprocess.DEVNULL)
        stack.callback(lambda: (manager.terminate(), manager.wait(20)))
        yield env


def _xdotool(env: dict[str, str], *words: str) -> str:
    return subprocess.run(["xdotool", *words], env=env, check=True, capture_output=True, text=True, timeout=60).stdout


def _window(env: dict[str, str], name: str) -> str:
    return _xdotool(env, "search", "--sync", "--onlyvisible", "--name", name).split()[0]


def _drag(env: dict[str, str], start: tuple[int, int], end: tuple[int, int]) -> None:
    """Press, move in small steps as a hand does (a jump is no drag), release."""
    _xdotool(env, "mousemove", str(start[0]), str(start[1]), "mousedown", "1")
    steps = 24
    moves: list[str] = []
    for step in range(1, steps + 1):
        x = start[0] + (end[0] - start[0]) * step // steps
        y = start[1] + (end[1] - start[1]) * step // steps
        moves += ["mousemove", str(x), str(y), "sleep", "0.03"]
    _xdotool(env, *moves, "sleep", "0.3", "mouseup", "1")


def test_files_dragged_from_another_program_are_added(display: dict[str, str], tmp_path: Path) -> None:
    files = [tmp_path / "年报 2025.pdf", tmp_path / "notes & more.md"]
    for file in files:
        file.write_text("content")
    with ExitStack() as stack:
        target = Program([sys.executable, "-m", "tests.end2end.drop_target"], display)
        stack.callback(target.end)
        source = Program([sys.executable, str(Path(__file__).with_name("drag_source.py")), *map(str, files)], display)
        stack.callback(source.end)
        assert target.wait_for("ready", 60) and source.wait_for("ready", 60)
        ours, theirs = _window(display, "Jingyan"), _window(display, "drag-source")
        _xdotool(display, "windowmove", ours, "300", "60")
        _xdotool(display, "windowmove", theirs, "20", "60")
        _xdotool(display, "windowraise", theirs)
        added: str | None = None
        for _attempt in range(ATTEMPTS):
            _drag(display, (90, 130), (900, 500))
            if added := target.wait_for("added", 8):
                break
        assert added == f"added {files[0]}"
        assert target.wait_for("added", 8) == f"added {files[1]}"
        assert source.wait_for("drag", 8) == "drag CopyAction"
