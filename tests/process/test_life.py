"""A child's life is tied to its parent's: kill -9 of either side, threads that come and go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from app.core.errors import ErrorCode, JingyanError
from app.core.paths import program_root
from app.workers.host import Child
from app.workers.launch import command_of, environment
from app.workers.protocol import Role
from tests.process.conftest import SpawnFake, fake_command

LONG_S = 20.0

PARENT = """
import sys, time
from app.workers.host import spawn
from app.workers.protocol import Role
from app.workers.sandbox import SandboxSpec
child = spawn(Role.INGEST, sandbox=SandboxSpec(), command=sys.argv[1:])
print(child.pid, flush=True)
time.sleep(3600)
"""


def test_kill_9_of_the_child_in_mid_stream_is_told_at_once(spawn_fake: SpawnFake) -> None:
    child = spawn_fake(role=Role.ENGINE)
    stream = child.stream("wait_for_cancel", {}, silence_timeout_s=LONG_S)
    assert next(stream).event == "waiting"
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(JingyanError) as caught:
        next(stream)
    assert caught.value.code is ErrorCode.ENGINE_DIED
    assert caught.value.reason.facts == {"exit_code": -signal.SIGKILL}


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are a Linux thing")
@pytest.mark.parametrize("mode", ["honest", "deaf"])
def test_kill_9_of_the_parent_takes_the_child_along(mode: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *fake_command(mode)],
        stdout=subprocess.PIPE,
        env=dict(os.environ) | {"PYTHONPATH": str(program_root())},
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait(LONG_S)
    parent.stdout.close()
    try:
        child.wait(LONG_S)
    except psutil.TimeoutExpired:
        assert child.status() == psutil.STATUS_ZOMBIE  # dead, and nobody here reaps orphans


def test_child_outlives_the_thread_that_spawned_it(spawn_fake: SpawnFake) -> None:
    made: list[Child] = []
    spawner = threading.Thread(target=lambda: made.append(spawn_fake()))
    spawner.start()
    spawner.join(LONG_S)
    assert made[0].call("echo", {}, timeout_s=LONG_S).value == {}


def test_close_lets_the_child_end_by_itself(spawn_fake: SpawnFake) -> None:
    exits = []
    child = spawn_fake(on_exit=exits.append)
    child.close()
    assert [(exit_.exit_code, exit_.asked) for exit_ in exits] == [(0, True)]
    with pytest.raises(JingyanError) as caught:
        child.call("echo", {}, timeout_s=LONG_S)
    assert caught.value.code is ErrorCode.READER_DIED


def test_close_gives_running_calls_the_chance_to_end(spawn_fake: SpawnFake) -> None:
    child = spawn_fake()
    stream = child.stream("wait_for_cancel", {}, silence_timeout_s=LONG_S)
    assert next(stream).event == "waiting"
    child.close()
    assert [(frame.event, frame.value) for frame in stream] == [("done", True)]


def test_child_has_a_session_of_its_own(spawn_fake: SpawnFake) -> None:
    child = spawn_fake()
    if hasattr(os, "getsid"):
        assert os.getsid(child.pid) == child.pid


def test_command_line_is_ours_also_when_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert command_of(Role.ENGINE)[-4:] == ["-m", "app", "--child", "engine"]
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert command_of(Role.INGEST) == [sys.executable, "--child", "ingest"]


def test_environment_keeps_only_what_a_child_needs() -> None:
    ours = {"PATH": "/bin", "LANG": "zh_CN.UTF-8", "HTTP_PROXY": "x", "TOKEN": "x", "CUDA_VISIBLE_DEVICES": "0"}
    made = environment(ours)
    assert made["LANG"] == "zh_CN.UTF-8"
    assert made["CUDA_VISIBLE_DEVICES"] == "0"
    assert made["PYTHONPATH"].split(os.pathsep) == [str(program_root())]
    assert not {"HTTP_PROXY", "TOKEN"} & made.keys()


def test_program_root_is_where_children_find_the_program() -> None:
    assert (Path(program_root()) / "app" / "workers").is_dir()
