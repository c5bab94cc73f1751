"""A project folder with the real bootstrap in it, and a pip that only plays its part.

`House` runs the real installer as its own process. Two things are replaced in that process: the environment gets the
fake pip below instead of the real one, and no system package is touched. The fake pip notes how it was called and
then does what FAKE_PIP says, so that a test can interrupt it, break it or let it install the wrong engine.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"

DRIVER = """
import sys, pathlib, shutil, signal, venv
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs with Ctrl+C ignored
sys.path.insert(0, sys.argv[1])
from installer import commands, debian

def create(folder, **options):
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    site = next((pathlib.Path(folder) / "lib").glob("python3.*/site-packages"))
    shutil.copytree(sys.argv[2], site / "pip")

venv.create = create
debian.is_debian = lambda: False
sys.exit(commands.main(sys.argv[3:]))
"""

FAKE_PIP = """
import json, os, pathlib, sys, time
arguments = sys.argv[1:]
if arguments == ["cache", "dir"]:
    print(pathlib.Path(os.environ["FAKE_PIP_CALLS"]).with_name("cache"))
    sys.exit()
what = next(a for a in arguments if a.endswith(".lock"))
what = pathlib.Path(what).name.removeprefix("requirements").removesuffix(".lock").strip("-") or "run"
cache = arguments[arguments.index("--cache-dir") + 1] if "--cache-dir" in arguments else ""
with open(os.environ["FAKE_PIP_CALLS"], "a") as calls:
    calls.write(json.dumps({"what": what, "cache": pathlib.Path(cache).name}) + "\\n")
order = os.environ.get("FAKE_PIP", "")
site = pathlib.Path(__file__).parents[1]
if order == "no network":
    sys.exit("NewConnectionError: Temporary failure in name resolution")
print("Installing collected packages:", what, flush=True)
if order == "hang at " + what:
    (site / "half-written").touch()
    pathlib.Path(os.environ["FAKE_PIP_CALLS"]).with_name("hanging").touch()
    sys.stdin.close()
    while True:
        time.sleep(60)
if order == "no space":
    sys.exit("OSError: [Errno 28] No space left on device")
if what == "engine":
    has_gpu = order == "cached engine wants a GPU" and not cache
    if order == "no OpenMP":
        error = "raise OSError('libgomp.so.1: cannot open shared object file: No such file or directory')"
        (site / "llama_cpp.py").write_text(error)
        sys.exit()
    (site / "llama_cpp.py").write_text(f"def llama_supports_gpu_offload(): return {has_gpu}")
"""


@dataclass(frozen=True, slots=True)
class House:
    """A throw-away project; `run` is what `make` would do in it."""

    root: Path
    _started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def site_packages(self) -> Path:
        return next((self.root / ".venv" / "lib").glob("python3.*/site-packages"))

    def run(self, *arguments: str, order: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """The finished set-up. `order` tells the fake pip what to do."""
        process = self.start(*arguments, order=order, **env)
        output, errors = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def start(self, *arguments: str, order: str = "", **env: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(self.root / "driver.py"), str(self.root / "packaging"), str(self.root / "pip")]
        world = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "JINGYAN_"))}
        world |= {"FAKE_PIP": order, "FAKE_PIP_CALLS": str(self.root / "calls"), "JINGYAN_BACKEND": "cpu", **env}
        process = subprocess.Popen(
            [*command, *(arguments or ("install",))],
            env=world,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def end_all(self) -> None:
        """Ends what a failed test may have left running, pip and all."""
        for process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def take_calls(self) -> list[str]:
        """What the fake pip was asked to install since the last time, in order."""
        return [call["what"] for call in self.take_calls_with_cache()]

    def take_calls_with_cache(self) -> list[dict[str, str]]:
        calls = self.root / "calls"
        if not calls.exists():
            return []
        lines = calls.read_text("utf-8").splitlines()
        calls.unlink()
        return [json.loads(line) for line in lines]


def build_house(root: Path) -> House:
    """A project in `root` with the real packaging folder, a tiny app, and the fake pip."""
    shutil.copytree(PACKAGING, root / "packaging", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "app").mkdir()
    (root / "app" / "__init__.py").touch()
    (root / "app" / "__main__.py").write_text("import sys\nprint('app runs', sys.argv[1:])\n", "utf-8")
    (root / "pip").mkdir()
    (root / "pip" / "__init__.py").touch()
    (root / "pip" / "__main__.py").write_text(FAKE_PIP, "utf-8")
    (root / "driver.py").write_text(DRIVER, "utf-8")
    return House(root)
