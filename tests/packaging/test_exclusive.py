"""Two set-ups at once: the second waits for the first."""

from __future__ import annotations

import threading
from pathlib import Path

from installer.exclusive import only_one


def test_second_set_up_waits_until_the_first_is_done(tmp_path: Path) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with only_one(tmp_path / "lock", waiting.set):
            order.append("second")

    with only_one(tmp_path / "lock", lambda: order.append("the first must not wait")):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(30)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]
