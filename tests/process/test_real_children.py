"""What every child promises its parent, kept by the fake and by the real roles alike."""

from __future__ import annotations

import sys

import pytest

from app.core.errors import JingyanError
from app.core.limits import READER_MEMORY_BYTES
from app.workers.host import Child, ChildExit
from app.workers.launch import command_of
from app.workers.protocol import Role
from app.workers.sandbox import SandboxSpec
from tests.process.conftest import SpawnFake, fake_command

LONG_S = 60.0
KINDS = {
    "fake": (Role.INGEST, fake_command("honest")),
    "ingest": (Role.INGEST, command_of(Role.INGEST)),
    "engine": (Role.ENGINE, command_of(Role.ENGINE)),
}


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def exits() -> list[ChildExit]:
    return []


@pytest.fixture
def child(kind: str, spawn_fake: SpawnFake, exits: list[ChildExit]) -> Child:
    role, command = KINDS[kind]
    memory_bytes = None if role is Role.ENGINE else READER_MEMORY_BYTES
    return spawn_fake(role=role, command=command, sandbox=SandboxSpec(memory_bytes=memory_bytes), on_exit=exits.append)


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox exists on Linux only")
def test_sandbox_closes_completely_after_the_imports_of_the_role(child: Child) -> None:
    from app.workers.sandbox import landlock  # Linux only

    assert child.protection.seccomp, child.protection.detail
    assert child.protection.rlimits, child.protection.detail
    assert child.protection.landlock == (landlock.abi() > 0), child.protection.detail


def test_unknown_method_is_refused_and_the_child_goes_on(child: Child) -> None:
    for _again in range(2):
        with pytest.raises(JingyanError) as caught:
            child.call("no_such_method", {}, timeout_s=LONG_S)
        assert caught.value.code is child.role.died
    assert child.alive


def test_close_ends_it_in_order(child: Child, exits: list[ChildExit]) -> None:
    child.close()
    assert not child.alive
    assert [(exit_.exit_code, exit_.asked, exit_.lied) for exit_ in exits] == [(0, True, False)]


def test_kill_ends_it_and_later_calls_say_so(child: Child, exits: list[ChildExit]) -> None:
    child.kill()
    child.close()
    assert len(exits) == 1
    with pytest.raises(JingyanError) as caught:
        child.call("no_such_method", {}, timeout_s=LONG_S)
    assert caught.value.code is child.role.died


def test_role_that_does_not_exist_will_not_start(spawn_fake: SpawnFake) -> None:
    with pytest.raises(JingyanError):
        spawn_fake(command=[*command_of(Role.INGEST)[:-1], "shell"])
