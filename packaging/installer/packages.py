"""The locked packages: pip first, then everything but the engine, each file checked against its hash."""

from __future__ import annotations

from pathlib import Path

from installer.console import Console
from installer.environment import Environment
from installer.problems import from_output

# Never tried from source: an hour of compiling, or a toolchain nobody has. The few small ones may be.
WHEELS_ONLY = ("pyside6-essentials", "shiboken6", "pymupdf", "faiss-cpu", "numpy", "cryptography")


def install(console: Console, environment: Environment, pip_lock: Path, lock: Path) -> None:
    """Leaves exactly the locked versions in the environment. Raises SetupError."""
    _pip(console, environment, "Updating pip", pip_lock)
    count = sum("==" in line for line in lock.read_text("utf-8").splitlines())
    _pip(console, environment, f"Installing {count} packages", lock)


def _pip(console: Console, environment: Environment, title: str, lock: Path) -> None:
    # --no-compile: one parallel pass over everything afterwards is quicker than pip's own, one file at a time.
    command = [str(environment.python), "-m", "pip", "install", "--no-input", "--no-deps", "--no-compile"]
    command += ["--only-binary", ",".join(WHEELS_ONLY), "--require-hashes", "-r", str(lock)]
    status, tail = console.run(title, command, notice=_notice)
    if status != 0:
        raise from_output(tail, title, console.log)


def _notice(line: str) -> str | None:
    words = line.split()
    if words[:1] in (["Collecting"], ["Downloading"], ["Installing"]):
        return " ".join(words[:2]).split("==")[0]
    return None
