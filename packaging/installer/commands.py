"""The commands of the bootstrap: which parts each needs, in which order, and what is started afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from installer import debian, engine, packages
from installer.console import Console
from installer.environment import Environment
from installer.exclusive import only_one
from installer.problems import SetupError
from installer.stamp import Stamp, fingerprint

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "packaging"
COMMANDS = ("install", "run", "test", "check", "bench")
CHECKS = (
    ("-m", "ruff", "check", "."),
    ("-m", "ruff", "format", "--check", "."),
    ("-m", "mypy"),
    ("-c", "from importlinter.cli import lint_imports_command as main; main()"),
    ("-m", "deptry", "app"),
)


def main(arguments: list[str]) -> int:
    """Exit status: that of the started program, 1 for a SetupError, 2 for wrong usage, 130 when interrupted."""
    command, rest = (arguments[0], arguments[1:]) if arguments else ("install", [])
    if command not in COMMANDS:
        print(f"usage: bootstrap.py [{'|'.join(COMMANDS)}] [ARGUMENT...]", file=sys.stderr)
        return 2
    folder = Path(os.environ.get("JINGYAN_VENV") or ROOT / ".venv").absolute()
    environment = Environment(ROOT, folder)
    console = Console(ROOT / "build" / "bootstrap.log")
    try:
        with only_one(ROOT / "build" / "bootstrap.lock", lambda: console.say("Waiting for another set-up to end")):
            install(console, environment, for_test=command in ("test", "check", "bench"))
    except SetupError as problem:
        console.say(str(problem))
        return 1
    except KeyboardInterrupt:
        console.say("Interrupted; the same command goes on from here.")
        return 130
    return _start(command, environment, rest)


def install(console: Console, environment: Environment, *, for_test: bool) -> None:
    """Brings the environment to what the locks say; does nothing where the stamps agree. Raises SetupError."""
    plan = engine.choose(os.environ, LOCKS / "engine.cmake")
    tag = environment.tag()
    prints = _fingerprints(tag or "", plan)
    engine_is_there = tag is not None and Stamp(environment.folder).has("engine", prints["engine"])
    debian.ensure(console, for_test=for_test, needs_compiler=not engine_is_there)

    if tag is None or Stamp(environment.folder).interrupted == "packages":
        console.say(f"Making the environment {environment.folder}")
        prints = _fingerprints(environment.create(), plan)
    parts = _parts(console, environment, prints, plan, for_test=for_test)
    stamp = Stamp(environment.folder)
    due = [p for p in parts if p.name == stamp.interrupted or not stamp.has(p.key, prints[p.key])]
    for part in due:
        stamp.begin(part.name)
        try:
            part.work()
        except SetupError as problem:
            if not problem.left_half_done:
                stamp.abandon()
            raise
        stamp.finish(**{key: prints[key] for key in part.settles})
    if due:
        console.say("Ready")


@dataclass(frozen=True, slots=True)
class _Part:
    """One step of setting up: due while the stamp lacks `key`; when it is done, all of `settles` are true."""

    name: str
    key: str
    settles: tuple[str, ...]
    work: Callable[[], None]


def _parts(
    console: Console, environment: Environment, prints: dict[str, str], plan: engine.Plan, *, for_test: bool
) -> list[_Part]:
    lock = LOCKS / ("requirements-dev.lock" if for_test else "requirements.lock")
    pip_lock, engine_lock, build_lock = (LOCKS / f"requirements-{name}.lock" for name in ("pip", "engine", "build"))

    def finish() -> None:
        console.say("Compiling bytecode")
        environment.publish_project()
        environment.compile_bytecode()

    level = "test" if for_test else "run"
    return [
        # The lock for tests holds the one for running, version for version.
        _Part(
            "packages",
            level,
            (level, "run"),
            lambda: packages.install(console, environment, pip_lock, lock),
        ),
        _Part(
            "engine",
            "engine",
            ("engine",),
            lambda: engine.install(console, environment, plan, engine_lock, build_lock),
        ),
        _Part("bytecode", f"bytecode-{level}", (f"bytecode-{level}", "bytecode-run"), finish),
    ]


def _fingerprints(tag: str, plan: engine.Plan) -> dict[str, str]:
    def of(*names: str) -> list[bytes | str]:
        return [tag, *((LOCKS / name).read_bytes() for name in names)]

    run = fingerprint(of("requirements-pip.lock", "requirements.lock"))
    test = fingerprint(of("requirements-pip.lock", "requirements-dev.lock"))
    built = fingerprint([*of("requirements-engine.lock", "engine.cmake"), plan.backend])
    return {
        "run": run,
        "test": test,
        "engine": built,
        "bytecode-run": fingerprint([str(ROOT), run, built]),
        "bytecode-test": fingerprint([str(ROOT), test, built]),
    }


def _start(command: str, environment: Environment, rest: Sequence[str]) -> int:
    python = str(environment.python)
    if command == "install":
        return 0
    if command == "check":
        return _check(python)
    if command == "test":
        return _call([python, "-m", "pytest", *rest], cwd=ROOT)
    if command == "bench":
        return _call([python, "-m", "tests.bench", *rest], cwd=ROOT)
    # -P: the folder the user stands in may hold an `app` of its own.
    return _call([python, "-P", "-m", "app", *rest], cwd=None)


def _check(python: str) -> int:
    """Runs every check, also after one has failed, so that one run tells all."""
    failed = [arguments for arguments in CHECKS if _call([python, *arguments], cwd=ROOT) != 0]
    for arguments in failed:
        print(f"jingyan: check failed: {' '.join(arguments)}", file=sys.stderr)
    return 1 if failed else 0


def _call(command: list[str], cwd: Path | None) -> int:
    """Exit status of the program in the foreground; Ctrl+C is the program's own to handle."""
    with subprocess.Popen(command, cwd=cwd) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue
