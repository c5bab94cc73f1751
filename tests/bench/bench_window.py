"""How long until the window can be used, against a bare PySide6 window; both started cold, side by side, in turns.

    python tests/bench/bench_window.py [--rounds N] [--json]

"Interactive": painted for the first time, and the event loop has come round. Needs a display, or
QT_QPA_PLATFORM=offscreen. Ours is `python -m app` itself, with an empty data folder.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

BARE = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QWidget
class Window(QWidget):
    def paintEvent(self, event):
        QTimer.singleShot(0, finish)
def finish():
    print("interactive", flush=True)
    app.exit(0)
app = QApplication(sys.argv[:1])
window = Window()
window.resize(1240, 800)
window.show()
app.exec()
"""

OURS = """
import sys
from PySide6.QtWidgets import QApplication
import app.gui.app as gui
from app.__main__ import main
def measured(window, then):
    def first():
        print("interactive", flush=True)
        QApplication.instance().exit(0)
    real(window, first)
real, gui.after_first_paint = gui.after_first_paint, measured
main([])
"""


def seconds_until_interactive(code: str) -> float:
    started_s = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    line = child.stdout.readline()
    seconds = time.perf_counter() - started_s
    child.wait(timeout=60)
    if line.strip() != "interactive":
        raise SystemExit("the window did not come up")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ["JINGYAN_HOME"] = tempfile.mkdtemp(prefix="jingyan-bench-")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compile once, as an installation does
    bare: list[float] = []
    ours: list[float] = []
    for code in (BARE, OURS):
        seconds_until_interactive(code)  # warms the disk cache and the bytecode
    for _ in range(options.rounds):
        bare.append(seconds_until_interactive(BARE))
        ours.append(seconds_until_interactive(OURS))
    result = {
        "bare_s": round(statistics.median(bare), 3),
        "window_s": round(statistics.median(ours), 3),
        "ratio": round(statistics.median(o / b for o, b in zip(ours, bare, strict=True)), 2),
        "rounds": options.rounds,
    }
    print(
        json.dumps(result)
        if options.json
        else f"bare {result['bare_s']} s, window {result['window_s']} s, ratio {result['ratio']}"
    )


if __name__ == "__main__":
    main()
