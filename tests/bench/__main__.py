"""Every measurement of this folder, one after the other: `make bench`, or `make bench ARGS="workers"` for some.

Each bench_NAME.py is a program of its own and prints ratios measured side by side; nothing is asserted here.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main(wanted: list[str]) -> int:
    """0 when every measurement ran to its end."""
    there = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))
    if unknown := sorted(set(wanted) - set(there)):
        print(f"unknown: {', '.join(unknown)}; there are: {', '.join(there)}", file=sys.stderr)
        return 2
    failed = 0
    for name in wanted or there:
        print(f"\n## {name}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"tests.bench.bench_{name}"], check=False).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
