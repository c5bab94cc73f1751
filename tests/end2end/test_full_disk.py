"""A disk that fills up while a document is saved: said in words, nothing half-written, the rest stays usable."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end2end.command import jingyan
from tests.samples import make_pdf

SMALL_DISK = "700k"  # an empty library takes about half of it


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", place], check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_full_disk_keeps_what_was_read_and_says_so(small_disk: Path, tmp_path: Path) -> None:
    home = small_disk / "home"
    good = make_pdf(tmp_path / "good.pdf", ["The deposit is 500 EUR."])
    words = [f"number {n} of many words on a page" for n in range(40)]
    large = make_pdf(tmp_path / "large.pdf", [f"{p} " + "\n".join(f"{w} {p * 7}" for w in words) for p in range(300)])
    assert jingyan("add", good, home=home).code == 0
    outcome = jingyan("add", large, "--json", home=home)
    (document,) = outcome.json
    assert document["state"] in ("partial", "refused")
    assert "disk_full" in [p["code"] for p in document["problems"]]
    assert "Traceback" not in outcome.err
    listed = jingyan("list", "--json", home=home).json
    assert listed[0]["state"] == "ready"
    assert listed[1]["state"] != "ready"  # read again at this start, which may not be over yet
    assert jingyan("search", "deposit", "--json", home=home).json[0]["document"] == "good.pdf"
