"""Children for tests: every one is closed, and none may leave a thread, a pipe or a process behind."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.workers.host import Child, spawn
from app.workers.protocol import Role
from app.workers.sandbox import SandboxSpec

FAKE = Path(__file__).with_name("fake_child.py")

SpawnFake = Callable[..., Child]


def fake_command(mode: str) -> list[str]:
    return [sys.executable, "-P", "-X", "faulthandler", str(FAKE), mode]


@pytest.fixture
def spawn_fake() -> Iterator[SpawnFake]:
    """spawn_fake("honest" or a misbehaviour, **options of spawn)."""
    threads_before = set(threading.enumerate())
    pipes_before = _open_pipes()
    children: list[Child] = []

    def make(mode: str = "honest", **options: object) -> Child:
        options = {"role": Role.INGEST, "sandbox": SandboxSpec(), "command": fake_command(mode)} | options
        child = spawn(options.pop("role"), **options)  # type: ignore[arg-type]
        children.append(child)
        return child

    yield make
    for child in children:
        child.close()
    left = [thread.name for thread in threading.enumerate() if thread not in threads_before]
    assert left == []
    assert _open_pipes() <= pipes_before


def _open_pipes() -> int:
    folder = Path("/proc/self/fd")
    if not folder.exists():
        return 0
    count = 0
    for entry in folder.iterdir():
        try:
            count += str(entry.readlink()).startswith("pipe:")
        except OSError:  # the folder's own descriptor is gone by now
            continue
    return count
