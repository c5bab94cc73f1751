"""What the user sees while setting up, and the log of everything the tools print.

One line per step; on a terminal a running step shows its latest sign of life, elsewhere one line per minute,
so that a CI log neither floods nor looks dead.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TAIL_LINES = 400  # cmake explains a missing compiler some 100 lines before pip's own summary ends
QUIET_INTERVAL_S = 60.0

Notice = Callable[[str], str | None]


class Console:
    """Prints steps to stderr and appends all tool output to `log`."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._is_terminal = sys.stderr.isatty()
        self._shown_at_s = 0.0

    def say(self, sentence: str) -> None:
        self._clear()
        print(f"jingyan: {sentence}", file=sys.stderr, flush=True)

    def run(
        self,
        title: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        notice: Notice = lambda line: None,
    ) -> tuple[int, list[str]]:
        """Exit status and last lines of `command`; `notice` turns a line of output into a sign of life, or None."""
        started_s = self._shown_at_s = time.monotonic()
        self.say(f"{title} ...")
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8", errors="replace") as log:
            log.write(f"\n=== {title}\n=== {' '.join(command)}\n")
            with subprocess.Popen(
                command,
                env=None if env is None else dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
            ) as process:
                assert process.stdout is not None
                try:
                    for line in process.stdout:
                        log.write(line)
                        tail.append(line.rstrip())
                        if life := notice(line):
                            self._show(title, life, started_s)
                except BaseException:
                    process.terminate()  # an interrupted set-up leaves nobody behind who still writes
                    raise
        self._clear()
        return process.returncode, list(tail)

    def _show(self, title: str, life: str, started_s: float) -> None:
        now_s = time.monotonic()
        minutes, seconds = divmod(int(now_s - started_s), 60)
        line = f"jingyan: {title}: {life} ({minutes}:{seconds:02d})"
        if self._is_terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{line[:width]}", end="", file=sys.stderr, flush=True)
        elif now_s - self._shown_at_s >= QUIET_INTERVAL_S:
            self._shown_at_s = now_s
            print(line, file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._is_terminal:
            print("\r\x1b[K", end="", file=sys.stderr)
