"""Writes the lock files beside this one from pyproject.toml: `make lock`.

One lock serves every machine: each entry is pinned, carries the hashes of all files published for that version
(Linux, macOS, Windows; Python 3.11 to 3.13) and names no registry, so that mirrors and caches work unchanged.
The resolver is `uv pip compile --universal`; where no `uv` is found, one is put into build/lock-tool, never into .venv.

    requirements.lock         what the program needs, without the engine        make run
    requirements-engine.lock  llama-cpp-python alone: it is built from source    make run, make test
    requirements-dev.lock     the above without the engine, plus the test tools  make test
    requirements-build.lock   what compiles the engine, as constraints for pip
    requirements-pip.lock     the pip that installs all of it

Versions already locked stay where they still fit pyproject.toml; `make lock ARGS=--upgrade` takes the newest.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "pyproject.toml"
LOCKS = ROOT / "packaging"
ENGINE = "llama-cpp-python"
OLDEST_PYTHON = "3.11"
HEADER = "# Written by packaging/lock.py from pyproject.toml; run `make lock` instead of editing.\n"


def main(arguments: list[str]) -> int:
    """Writes all lock files and returns 0; anything that goes wrong ends the program with uv's own message."""
    uv = _find_uv()
    upgrade = ["--upgrade"] if "--upgrade" in arguments else []
    run = LOCKS / "requirements.lock"
    engine = LOCKS / "requirements-engine.lock"
    everything = LOCKS / "requirements-dev.lock"

    whole = _compile(uv, [str(PROJECT)], old=[run, engine], options=upgrade)
    _write(run, [entry for entry in whole if _name(entry) != ENGINE])
    _write(engine, [entry for entry in whole if _name(entry) == ENGINE])
    dev = _compile(
        uv, [str(PROJECT), "--group", f"{PROJECT}:dev"], old=[everything], options=[*upgrade, "-c", str(run)]
    )
    _write(everything, [entry for entry in dev if _name(entry) != ENGINE])
    for group in ("build", "pip"):
        lock = LOCKS / f"requirements-{group}.lock"
        _write(lock, _compile(uv, ["--group", f"{PROJECT}:{group}"], old=[lock], options=upgrade))
    return 0


def _find_uv() -> str:
    if found := shutil.which("uv"):
        return found
    tool = ROOT / "build" / "lock-tool"
    python = tool / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(tool)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "uv>=0.9"], check=True)
    return str(python.with_name("uv.exe" if sys.platform == "win32" else "uv"))


def _compile(uv: str, sources: list[str], old: list[Path], options: list[str]) -> list[str]:
    """The resolved entries, each with its hashes; pins found in `old` are preferred."""
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "requirements.txt"
        lock.write_text("".join(path.read_text("utf-8") for path in old if path.exists()), "utf-8")
        command = [uv, "pip", "compile", *sources, "--output-file", str(lock), "--python-version", OLDEST_PYTHON]
        command += ["--universal", "--generate-hashes", "--no-header", "--no-annotate", "--quiet", *options]
        subprocess.run(command, check=True, cwd=ROOT)
        return _entries(lock.read_text("utf-8"))


def _entries(text: str) -> list[str]:
    """Each requirement with its hash lines, comments dropped. Fails on anything that is not a hashed pin."""
    joined = text.replace("\\\n", " ")
    entries = [" ".join(line.split()) for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    for entry in entries:
        if "==" not in entry or "--hash=sha256:" not in entry or "://" in entry:
            raise SystemExit(f"not a pinned and hashed requirement: {entry[:80]}")
    return [entry.replace(" --hash=", " \\\n    --hash=") for entry in entries]


def _name(entry: str) -> str:
    return entry.split("==", 1)[0].strip().lower()


def _write(lock: Path, entries: list[str]) -> None:
    lock.write_text(HEADER + "".join(f"{entry}\n" for entry in entries), "utf-8", newline="\n")
    print(f"{lock.relative_to(ROOT)}: {len(entries)} entries")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
