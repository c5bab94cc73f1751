"""Run the real program as a user does: `python -m app ...` in a process of its own, with its own data folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.paths import program_root

TIMEOUT_S = 170


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def jingyan(*arguments: str | Path, home: Path, passphrase: str = "correct horse") -> Outcome:
    done = subprocess.run(
        [sys.executable, "-m", "app", *map(str, arguments)],
        cwd=program_root(),
        env=environment(home, passphrase),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def environment(home: Path, passphrase: str = "correct horse") -> dict[str, str]:
    """No display, no keyring: a server's environment, with the passphrase in a private file."""
    home.mkdir(parents=True, exist_ok=True)
    secret = home.parent / f"{home.name}.passphrase"
    secret.write_text(passphrase, "utf-8")
    secret.chmod(0o600)
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LD_LIBRARY_PATH", "HOME", "PYTHONDONTWRITEBYTECODE")}
    return kept | {
        "JINGYAN_HOME": str(home),
        "JINGYAN_PASSPHRASE_FILE": str(secret),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "LANG": "C.UTF-8",
    }


def lines(text: str) -> Sequence[str]:
    return [line for line in text.splitlines() if line.strip()]
