"""Parent and honest child: calls, streams, pushes, cancels, both directions."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from app.core.cancel import CancelToken
from app.core.errors import ErrorCode, JingyanError
from app.workers import host
from app.workers.calls import Call
from app.workers.protocol import WINDOW_FRAMES, Role, checked
from tests.process.conftest import SpawnFake

LONG_S = 20.0


def test_call_returns_value_and_body(spawn_fake: SpawnFake) -> None:
    child = spawn_fake()
    reply = child.call("echo", {"word": "静言", "deep": [1, {"a": None}]}, b"\x00\xff" * 70_000, timeout_s=LONG_S)
    assert reply.value == {"word": "静言", "deep": [1, {"a": None}]}
    assert reply.body == b"\x00\xff" * 70_000


def test_calls_from_many_threads_get_their_own_answers(spawn_fake: SpawnFake) -> None:
    child = spawn_fake()
    with ThreadPoolExecutor(8) as pool:
        replies = pool.map(lambda n: child.call("echo", {"n": n}, b"%d" % n, timeout_s=LONG_S), range(400))
        assert [(reply.value["n"], reply.body) for reply in replies] == [(n, b"%d" % n) for n in range(400)]


def test_stream_yields_events_in_order_and_ends_with_done(spawn_fake: SpawnFake) -> None:
    frames = list(spawn_fake().stream("count", {"upto": 1_000, "size": 3}, silence_timeout_s=LONG_S))
    assert [frame.value for frame in frames[:-1]] == list(range(1_000))
    assert {(frame.event, frame.body) for frame in frames[:-1]} == {("number", b"\0\0\0")}
    assert (frames[-1].event, frames[-1].value) == ("done", "all")


def test_pushes_arrive_in_order_and_before_the_next_call(spawn_fake: SpawnFake) -> None:
    child = spawn_fake()
    content = bytes(range(256)) * 20_000
    for start in range(0, len(content), 100_000):
        child.push("piece", {}, memoryview(content)[start : start + 100_000])
    reply = child.call("total", {}, timeout_s=LONG_S)
    assert reply.value == 52
    assert reply.body == content


def test_known_error_crosses_with_its_facts_cut_to_size(spawn_fake: SpawnFake) -> None:
    with pytest.raises(JingyanError) as caught:
        spawn_fake().call("refuse", {}, timeout_s=LONG_S)
    assert caught.value.code is ErrorCode.PASSWORD_NEEDED
    assert caught.value.reason.facts == {"page_no": 3, "name": "x" * 1_000}


@pytest.mark.parametrize("method", ["bug", "too_long", "no_such_method"])
def test_bug_in_a_handler_is_told_as_death_and_leaves_the_child_alive(spawn_fake: SpawnFake, method: str) -> None:
    child = spawn_fake(role=Role.ENGINE)
    with pytest.raises(JingyanError) as caught:
        child.call(method, {}, timeout_s=LONG_S)
    assert caught.value.code is ErrorCode.ENGINE_DIED
    assert child.call("echo", {}, timeout_s=LONG_S).value == {}
    child.close()
    assert "Traceback" in child.stderr_tail()


def test_child_may_call_its_parent(spawn_fake: SpawnFake) -> None:
    def answer(call: Call) -> object:
        return [call.method, call.args, call.body.decode()]

    child = spawn_fake(handlers={"parent": answer})
    reply = child.call("ask_back", {"method": "parent"}, timeout_s=LONG_S)
    assert reply.value == ["parent", {"n": 1}, "body"]


def test_errors_and_bugs_of_the_parent_reach_the_asking_child(spawn_fake: SpawnFake) -> None:
    def refuse(_call: Call) -> None:
        raise JingyanError(ErrorCode.DISK_FULL)

    child = spawn_fake(handlers={"refuse": refuse, "bug": lambda _call: 1 // 0})
    for method, code in {"refuse": ErrorCode.DISK_FULL, "bug": ErrorCode.READER_DIED}.items():
        with pytest.raises(JingyanError) as caught:
            child.call("ask_back", {"method": method}, timeout_s=LONG_S)
        assert caught.value.code is code


def test_child_does_not_wait_for_ever_for_its_parent(spawn_fake: SpawnFake) -> None:
    release = threading.Event()
    child = spawn_fake(handlers={"slow": lambda _call: release.wait(LONG_S)})
    with pytest.raises(JingyanError) as caught:
        child.call("ask_back", {"method": "slow", "timeout_s": 0.05}, timeout_s=LONG_S)
    assert caught.value.code is ErrorCode.READER_TIMED_OUT
    release.set()
    assert child.call("echo", {}, timeout_s=LONG_S).value == {}  # the late answer disturbs nobody


def test_cancel_lets_the_child_end_its_call_itself(spawn_fake: SpawnFake) -> None:
    child, token = spawn_fake(), CancelToken()
    frames = []
    for frame in child.stream("wait_for_cancel", {}, silence_timeout_s=LONG_S, cancel=token):
        frames.append(frame)
        token.cancel()
    assert [(frame.event, frame.value) for frame in frames] == [("waiting", None), ("done", True)]
    assert child.alive


def test_cancel_from_another_thread_wakes_a_silent_stream(spawn_fake: SpawnFake) -> None:
    child, token = spawn_fake(), CancelToken()
    stream = child.stream("wait_for_cancel", {}, silence_timeout_s=LONG_S, cancel=token)
    assert next(stream).event == "waiting"
    canceller = threading.Timer(0.05, token.cancel)
    canceller.start()
    assert next(stream).value is True
    canceller.join()


def test_token_set_before_means_nothing_is_sent(spawn_fake: SpawnFake) -> None:
    child, token = spawn_fake(), CancelToken()
    token.cancel()
    with pytest.raises(JingyanError) as caught:
        next(child.stream("count", {"upto": 9}, silence_timeout_s=LONG_S, cancel=token))
    assert caught.value.code is ErrorCode.CANCELLED
    assert child.call("how_many_emitted", {}, timeout_s=LONG_S).value == 0


def test_child_that_ignores_a_cancel_is_killed(spawn_fake: SpawnFake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "CANCEL_GRACE_S", 0.2)
    child, token = spawn_fake(), CancelToken()
    stream = child.stream("chatter", {}, silence_timeout_s=LONG_S, cancel=token)
    assert next(stream).event == "chatter"
    token.cancel()
    with pytest.raises(JingyanError) as caught:
        for _frame in stream:
            pass
    assert caught.value.code is ErrorCode.CANCELLED
    child.close()
    assert not child.alive


def test_leaving_a_stream_early_cancels_it_and_keeps_the_child(spawn_fake: SpawnFake) -> None:
    child = spawn_fake()
    for _again in range(5):
        stream = child.stream("count", {"upto": 10**9}, silence_timeout_s=LONG_S)
        assert next(stream).value == 0
        stream.close()
    assert child.call("echo", {"still": "here"}, timeout_s=LONG_S).value == {"still": "here"}


def test_slow_consumer_holds_the_child_back_and_others_still_get_through(spawn_fake: SpawnFake) -> None:
    child = spawn_fake()
    stream = child.stream("count", {"upto": 2_000}, silence_timeout_s=LONG_S)
    assert next(stream).value == 0
    deadline = time.monotonic() + LONG_S
    emitted = 0
    while emitted < WINDOW_FRAMES and time.monotonic() < deadline:
        emitted = child.call("how_many_emitted", {}, timeout_s=LONG_S).value
    for _again in range(50):  # any call would do: they show that the pipe is free and give the child time to overshoot
        assert child.call("how_many_emitted", {}, timeout_s=LONG_S).value == WINDOW_FRAMES
    assert sum(1 for _frame in stream) == 2_000  # 1,999 events and the answer


def test_large_events_flow_within_the_window_of_bytes(spawn_fake: SpawnFake) -> None:
    arguments = {"upto": 40, "size": 3 * 1024 * 1024}
    frames = list(spawn_fake().stream("count", arguments, silence_timeout_s=LONG_S))
    assert sum(len(frame.body) for frame in frames) == 40 * 3 * 1024 * 1024


def test_call_drops_events_and_returns_the_answer(spawn_fake: SpawnFake) -> None:
    assert spawn_fake().call("count", {"upto": 3 * WINDOW_FRAMES}, timeout_s=LONG_S).value == "all"


def test_events_never_follow_the_answer(spawn_fake: SpawnFake) -> None:
    child = spawn_fake()
    *events, last = child.stream("emit_late", {}, silence_timeout_s=LONG_S)
    assert {frame.event for frame in events} <= {"late"}
    assert last.event == "done"
    deadline, text = time.monotonic() + LONG_S, ""
    while not text and time.monotonic() < deadline:
        text = child.call("late_error_text", {}, timeout_s=LONG_S).value
    assert text == "emit after the answer"


def test_stray_prints_go_to_stderr_and_never_into_the_frames(spawn_fake: SpawnFake) -> None:
    child = spawn_fake()
    child.call("print_astray", {"times": 10_000}, timeout_s=LONG_S)
    assert child.call("echo", {"n": 1}, timeout_s=LONG_S).value == {"n": 1}
    child.close()
    tail = child.stderr_tail()
    assert tail.endswith("from below ")
    assert len(tail) == 8 * 1024


def test_child_gets_no_proxy_no_secret_and_no_home(spawn_fake: SpawnFake, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "http_proxy", "AWS_SECRET_ACCESS_KEY", "DBUS_SESSION_BUS_ADDRESS", "JINGYAN_HOME"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    environment = spawn_fake().call("environment", {}, timeout_s=LONG_S).value
    assert "secret" not in environment.values()
    assert environment["OMP_NUM_THREADS"] == "2"


def test_untrusted_value_is_checked_against_a_shape() -> None:
    class Count(msgspec.Struct):
        pages: int

    assert checked({"pages": 3}, Count) == Count(3)
    with pytest.raises(JingyanError) as caught:
        checked({"pages": "3"}, Count)
    assert caught.value.code is ErrorCode.CHILD_LIED
