"""How long until the window can be used, against a bare PySide6 window; started cold, side by side, in turns.

"bare" is an empty QWidget; "hello" has one line of text, so it loads a font and Qt's names, as any real window does.

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

HELLO = """
import sys
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QLabel
class Window(QLabel):
    def paintEvent(self, event):
        super().paintEvent(event)
        QTimer.singleShot(0, finish)
def finish():
    print("interactive", flush=True)
    app.exit(0)
app = QApplication(sys.argv[:1])
window = Window("Hello")
window.setAlignment(Qt.AlignmentFlag.AlignCenter)
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
    kinds = {"bare": BARE, "hello": HELLO, "window": OURS}
    for code in kinds.values():
        seconds_until_interactive(code)  # warms the disk cache and the bytecode
    rounds = [{name: seconds_until_interactive(code) for name, code in kinds.items()} for _ in range(options.rounds)]
    result: dict[str, float] = {
        f"{name}_s": round(statistics.median(seconds[name] for seconds in rounds), 3) for name in kinds
    }
    for name in ("bare", "hello"):
        ratio = statistics.median(seconds["window"] / seconds[name] for seconds in rounds)
        result[f"ratio_to_{name}"] = round(ratio, 2)
    print(json.dumps(result) if options.json else "  ".join(f"{name} {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
