"""What must not be in the repository: where packages came from, and folders of the machine it was written on."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Put together here so that this file does not hold what it looks for.
FORBIDDEN = re.compile(
    "|".join(
        [
            "py" + r"pi\.(org|python)",
            "python" + r"hosted\.",
            r"--(extra-)?index" + "-url",
            r"(?<![\w.$}/])/" + r"(root|work)/",
            r"(?<![\w.$}/])/" + r"tmp/jb",
            r"[A-Z]:\\" + r"Users\\",
        ]
    )
)


def tracked_files() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in listing.decode().split("\0") if name]


def test_no_tracked_text_names_a_registry_or_a_folder_of_one_machine() -> None:
    findings = []
    for path in tracked_files():
        if not path.is_file():
            continue
        data = path.read_bytes()
        if b"\0" in data[:8192]:
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            if FORBIDDEN.search(line):
                findings.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert findings == []


def test_no_tracked_file_is_larger_than_a_starter_model_may_be() -> None:
    large = [str(p.relative_to(ROOT)) for p in tracked_files() if p.is_file() and p.stat().st_size > 64 * 1024 * 1024]
    assert large == []
