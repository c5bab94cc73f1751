"""Children that hang, crash, lie, flood and die late: callers get a code, the parent stays well."""

from __future__ import annotations

import threading

import pytest

from app.core.errors import ErrorCode, JingyanError
from app.workers import host, life
from app.workers.host import ChildExit
from app.workers.protocol import WINDOW_FRAMES, Role
from tests.process.conftest import SpawnFake
from tests.process.fake_child import LIES

LONG_S = 20.0


def code_of(child: host.Child, method: str, *, timeout_s: float = LONG_S) -> ErrorCode:
    with pytest.raises(JingyanError) as caught:
        child.call(method, {}, timeout_s=timeout_s)
    return caught.value.code


# ---- at the start --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("mode", "timeout_s"),
    [("exits_at_once", LONG_S), ("wrong_version", LONG_S), ("greets_with_garbage", LONG_S), ("says_nothing", 0.5)],
)
def test_child_without_a_proper_greeting_will_not_start(spawn_fake: SpawnFake, mode: str, timeout_s: float) -> None:
    exits: list[ChildExit] = []
    with pytest.raises(JingyanError) as caught:
        spawn_fake(mode, start_timeout_s=timeout_s, on_exit=exits.append)
    assert caught.value.code is ErrorCode.CHILD_WILL_NOT_START
    assert exits == []


def test_missing_program_will_not_start(spawn_fake: SpawnFake) -> None:
    with pytest.raises(JingyanError) as caught:
        spawn_fake(command=["/nonexistent/jingyan", "--child", "ingest"])
    assert caught.value.code is ErrorCode.CHILD_WILL_NOT_START


# ---- hanging -------------------------------------------------------------------------------------
def test_hanging_call_times_out_and_the_child_is_killed(spawn_fake: SpawnFake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "HANG_GRACE_S", 0.1)
    child = spawn_fake(role=Role.ENGINE)
    assert code_of(child, "hang", timeout_s=0.1) is ErrorCode.ENGINE_TIMED_OUT
    child.close()
    assert code_of(child, "echo") is ErrorCode.ENGINE_DIED


def test_call_over_time_that_answers_its_cancel_keeps_the_child(spawn_fake: SpawnFake) -> None:
    child = spawn_fake()
    assert code_of(child, "wait_for_cancel", timeout_s=0.1) is ErrorCode.READER_TIMED_OUT
    assert child.call("echo", {}, timeout_s=LONG_S).value == {}


def test_silent_stream_times_out(spawn_fake: SpawnFake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "HANG_GRACE_S", 0.1)
    child = spawn_fake()
    with pytest.raises(JingyanError) as caught:
        list(child.stream("hang", {}, silence_timeout_s=0.1))
    assert caught.value.code is ErrorCode.READER_TIMED_OUT
    child.close()
    assert not child.alive


def test_endless_stream_ends_at_its_total_time(spawn_fake: SpawnFake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "HANG_GRACE_S", 0.1)
    child = spawn_fake()
    with pytest.raises(JingyanError) as caught:
        for _frame in child.stream("chatter", {}, silence_timeout_s=LONG_S, total_timeout_s=0.2):
            pass
    assert caught.value.code is ErrorCode.READER_TIMED_OUT


def test_child_that_does_not_read_is_killed_instead_of_blocking_the_writer(spawn_fake: SpawnFake) -> None:
    child = spawn_fake("deaf")
    with pytest.raises(JingyanError) as caught:
        child.call("echo", {}, bytes(8 * 1024 * 1024), timeout_s=0.2)
    assert caught.value.code is ErrorCode.READER_TIMED_OUT
    child.close()
    assert not child.alive


def test_deaf_child_is_killed_by_close(spawn_fake: SpawnFake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "EXIT_GRACE_S", 0.1)
    exits: list[ChildExit] = []
    child = spawn_fake("deaf", on_exit=exits.append)
    child.close()
    child.close()
    assert [(exit_.asked, exit_.lied) for exit_ in exits] == [(True, False)]


# ---- dying ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", list(Role))
def test_crash_in_a_call_is_told_by_role(spawn_fake: SpawnFake, role: Role) -> None:
    exits: list[ChildExit] = []
    child = spawn_fake(role=role, on_exit=exits.append)
    assert code_of(child, "crash") is role.died
    assert code_of(child, "echo") is role.died
    assert not child.alive
    child.close()
    assert [exit_.asked for exit_ in exits] == [False]
    assert "Aborted" in child.stderr_tail()  # faulthandler says where


def test_events_before_a_death_are_delivered(spawn_fake: SpawnFake) -> None:
    child = spawn_fake()
    stream = child.stream("die", {}, silence_timeout_s=LONG_S)
    assert next(stream).value == "kept"
    with pytest.raises(JingyanError) as caught:
        next(stream)
    assert caught.value.code is ErrorCode.READER_DIED
    assert caught.value.reason.facts == {"exit_code": 7}


def test_all_waiting_callers_learn_of_the_death(spawn_fake: SpawnFake) -> None:
    child = spawn_fake()
    codes: list[ErrorCode] = []
    callers = [threading.Thread(target=lambda: codes.append(code_of(child, "hang"))) for _n in range(3)]
    for caller in callers:
        caller.start()
    child.kill()
    for caller in callers:
        caller.join(LONG_S)
    assert codes == [ErrorCode.READER_DIED] * 3


def test_child_that_dies_after_its_answer_is_noticed_without_a_call(spawn_fake: SpawnFake) -> None:
    gone = threading.Event()
    child = spawn_fake(on_exit=lambda _exit: gone.set())
    assert child.call("die_late", {}, timeout_s=LONG_S).value == "fine"
    assert gone.wait(LONG_S)
    assert not child.alive
    with pytest.raises(JingyanError):
        child.push("piece", {}, b"x")


@pytest.mark.parametrize("mode", ["cut_short", "hangs_up"])
def test_pipe_that_ends_in_the_middle_is_a_death(
    spawn_fake: SpawnFake, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(life, "EXIT_GRACE_S", 0.2)
    assert code_of(spawn_fake(mode), "echo") is ErrorCode.READER_DIED


# ---- lying ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("lie", sorted(LIES))
def test_lie_ends_the_child(spawn_fake: SpawnFake, lie: str) -> None:
    gone = threading.Event()
    exits: list[ChildExit] = []

    def on_exit(exit_: ChildExit) -> None:
        exits.append(exit_)
        gone.set()

    child = spawn_fake(lie, on_exit=on_exit)
    stream = child.stream("echo", {}, silence_timeout_s=LONG_S)
    taken = 0
    try:
        next(stream)
        taken += 1
        assert gone.wait(LONG_S)
        taken += sum(1 for _frame in stream)
    except JingyanError as error:
        assert error.code is ErrorCode.CHILD_LIED
    assert gone.wait(LONG_S)
    assert exits[0].lied
    assert taken <= WINDOW_FRAMES
    assert code_of(child, "echo") is ErrorCode.CHILD_LIED
