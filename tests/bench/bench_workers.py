"""What a sandboxed child costs beside bare pipes: `python -m tests.bench.bench_workers`.

Prints ratios measured side by side in one run. The bare pipe is a child that reads and writes bytes without frames,
headers, threads or a sandbox: the floor that the machine gives.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from app.core.limits import UPLOAD_PIECE_BYTES
from app.workers.host import Child, spawn
from app.workers.protocol import Role
from app.workers.sandbox import SandboxSpec
from tests.process.conftest import fake_command

ROUND_TRIPS = 2_000
UPLOAD_PIECES = 200
REPEATS = 5
PIPE_BYTES = 1024 * 1024  # the same as a child gets
_BARE_CHILD = """
import os, sys
size = int(sys.argv[1])
while True:
    left = size
    while left:
        got = os.read(0, left)
        if not got:
            sys.exit()
        left -= len(got)
    os.write(1, b"x")
"""


class BarePipe:
    def __init__(self, size_bytes: int) -> None:
        command = [sys.executable, "-c", _BARE_CHILD, str(size_bytes)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, pipesize=PIPE_BYTES
        )
        self._message = bytes(size_bytes)

    def round_trip(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        left = memoryview(self._message)
        while left:
            left = left[self._process.stdin.write(left) :]
        self._process.stdout.read(1)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def seconds(work: Callable[[], object], times: int) -> float:
    """Median over REPEATS of the time one `work` takes."""
    taken = []
    for _repeat in range(REPEATS):
        start = time.perf_counter()
        for _n in range(times):
            work()
        taken.append((time.perf_counter() - start) / times)
    return statistics.median(taken)


def fake() -> Child:
    return spawn(Role.INGEST, sandbox=SandboxSpec(), command=fake_command("honest"))


def main() -> None:
    start_s = seconds(lambda: fake().close(), 1)
    child = fake()
    small, large = BarePipe(64), BarePipe(UPLOAD_PIECE_BYTES)
    small.round_trip()
    large.round_trip()
    bare_trip_s = seconds(small.round_trip, ROUND_TRIPS)
    trip_s = seconds(lambda: child.call("echo", {}, timeout_s=10.0), ROUND_TRIPS)
    piece = bytes(UPLOAD_PIECE_BYTES)

    def upload() -> None:
        for _n in range(UPLOAD_PIECES):
            child.push("drop_piece", {}, piece)
        child.call("echo", {}, timeout_s=60.0)

    bare_upload_s = seconds(large.round_trip, UPLOAD_PIECES)
    upload_s = seconds(upload, 1) / UPLOAD_PIECES
    events = 20_000
    stream_s = seconds(lambda: list(child.stream("count", {"upto": events}, silence_timeout_s=10.0)), 1) / events
    mb = UPLOAD_PIECE_BYTES / 1e6
    print(f"protection          {child.protection.detail}")
    print(f"start to end        {start_s * 1e3:8.1f} ms  (start, sandbox, greeting, close)")
    print(
        f"round trip          {trip_s * 1e6:8.1f} us  bare pipe {bare_trip_s * 1e6:.1f} us, x{trip_s / bare_trip_s:.1f}"
    )
    faster = bare_upload_s / upload_s
    print(f"upload              {mb / upload_s:8.0f} MB/s  bare pipe {mb / bare_upload_s:.0f}, x{faster:.2f}")
    print(f"events              {1 / stream_s:8.0f} /s")
    child.close()
    small.close()
    large.close()


if __name__ == "__main__":
    main()
