"""Restarts: slower each time, given up on, forgiven."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from app.core.errors import ErrorCode, JingyanError
from app.workers.host import Child, ChildExit
from app.workers.protocol import Role
from app.workers.supervisor import Record, RestartPolicy, Supervisor
from tests.process.conftest import SpawnFake

LONG_S = 20.0
POLICY = RestartPolicy(first_delay_s=1.0, max_delay_s=5.0, max_quick_deaths=4, healthy_s=60.0, forgiven_after_s=300.0)
QUICK = RestartPolicy(first_delay_s=0.01, max_delay_s=0.02, max_quick_deaths=3)


def test_delay_doubles_up_to_its_maximum() -> None:
    record = Record(RestartPolicy(first_delay_s=1.0, max_delay_s=5.0, max_quick_deaths=9))
    assert record.delay_left_s(100.0) == 0.0
    delays = []
    for _death in range(4):
        record.died(100.0, lived_s=1.0)
        delays.append(record.delay_left_s(100.0))
    assert delays == [1.0, 2.0, 4.0, 5.0]
    assert record.delay_left_s(103.0) == 2.0


def test_healthy_life_clears_the_record() -> None:
    record = Record(POLICY)
    for _death in range(3):
        record.died(0.0, lived_s=1.0)
    record.died(0.0, lived_s=61.0)
    assert record.quick_deaths == 1
    assert not record.gave_up(0.0)


def test_too_many_quick_deaths_are_given_up_on_until_forgiven() -> None:
    record = Record(POLICY)
    for _death in range(4):
        record.died(0.0, lived_s=1.0)
    assert record.gave_up(299.0)
    assert not record.gave_up(300.0)
    for _death in range(4):
        record.died(400.0, lived_s=1.0)
    record.forgive()
    assert not record.gave_up(400.0)
    assert record.delay_left_s(400.0) == 0.0


class Deaths:
    """Counts exits, and lets a test wait for them."""

    def __init__(self) -> None:
        self._seen = threading.Semaphore(0)
        self.exits: list[ChildExit] = []

    def __call__(self, exit_: ChildExit) -> None:
        self.exits.append(exit_)
        self._seen.release()

    def wait(self) -> None:
        assert self._seen.acquire(timeout=LONG_S)


@pytest.fixture
def deaths() -> Deaths:
    return Deaths()


@pytest.fixture
def supervise(spawn_fake: SpawnFake, deaths: Deaths) -> Iterator[Callable[..., Supervisor]]:
    made: list[Supervisor] = []

    def make(mode: str = "honest", policy: RestartPolicy = QUICK) -> Supervisor:
        def start(on_exit: Callable[[ChildExit], None]) -> Child:
            return spawn_fake(mode, role=Role.ENGINE, on_exit=on_exit)

        made.append(Supervisor(Role.ENGINE, start, policy=policy, on_exit=deaths))
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.close()


def crash(child: Child) -> None:
    with pytest.raises(JingyanError):
        child.call("crash", {}, timeout_s=LONG_S)


def test_child_is_started_once_and_again_after_a_crash(supervise: Callable[..., Supervisor], deaths: Deaths) -> None:
    supervisor = supervise()
    assert supervisor.current is None
    first = supervisor.child()
    assert supervisor.child() is first
    crash(first)
    deaths.wait()
    second = supervisor.child()
    assert second.pid != first.pid
    assert second.call("echo", {}, timeout_s=LONG_S).value == {}


def test_child_that_keeps_crashing_is_given_up_on_until_forgiven(
    supervise: Callable[..., Supervisor], deaths: Deaths
) -> None:
    supervisor = supervise()
    for _crash in range(3):
        crash(supervisor.child())
        deaths.wait()
    with pytest.raises(JingyanError) as caught:
        supervisor.child()
    assert caught.value.code is ErrorCode.CHILD_WILL_NOT_START
    assert caught.value.reason.facts == {"role": "engine", "deaths": 3}
    supervisor.forgive()
    assert supervisor.child().alive


def test_child_that_never_starts_is_given_up_on(supervise: Callable[..., Supervisor], deaths: Deaths) -> None:
    supervisor = supervise("exits_at_once")
    facts = []
    for _start in range(4):
        with pytest.raises(JingyanError) as caught:
            supervisor.child()
        assert caught.value.code is ErrorCode.CHILD_WILL_NOT_START
        facts.append(caught.value.reason.facts)
    assert facts[-1] == {"role": "engine", "deaths": 3}
    assert facts[0]["exit_code"] == 3
    assert deaths.exits == []


def test_asked_for_ends_do_not_count(supervise: Callable[..., Supervisor], deaths: Deaths) -> None:
    supervisor = supervise()
    for _end in range(5):
        supervisor.child().kill()
        deaths.wait()
    assert supervisor.child().alive


def test_many_threads_share_one_start(supervise: Callable[..., Supervisor]) -> None:
    supervisor = supervise()
    pids: list[int] = []
    threads = [threading.Thread(target=lambda: pids.append(supervisor.child().pid)) for _n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert len(pids) == 5
    assert len(set(pids)) == 1


def test_closed_supervisor_starts_nothing(supervise: Callable[..., Supervisor], deaths: Deaths) -> None:
    supervisor = supervise()
    child = supervisor.child()
    supervisor.close()
    deaths.wait()
    assert not child.alive
    with pytest.raises(JingyanError):
        supervisor.child()
