"""Bad input gives one clear sentence and an exit code; the rest goes on."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.end2end.command import jingyan, lines
from tests.samples import make_pdf


def gguf_that_is_not_one(folder: Path) -> Path:
    path = folder / "model.gguf"
    path.write_bytes(random.Random(1).randbytes(5_000))
    return path


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.pdf", b"", "empty"),
        ("broken.pdf", b"%PDF-1.7\nnothing of use", "damaged"),
        ("picture.pdf", b"\x89PNG\r\n\x1a\n" + b"\0" * 64, ""),
        ("noise.txt", random.Random(2).randbytes(4_000), ""),
    ],
)
def test_unreadable_file_is_one_sentence_and_exit_code_1(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    outcome = jingyan("ask", "--file", path, "What is this?", home=tmp_path / "home")
    assert outcome.code == 1 and outcome.out == ""
    assert says in outcome.err and "Traceback" not in outcome.err


def test_missing_file_and_folder_are_named_and_the_good_file_is_answered(tmp_path: Path) -> None:
    good = make_pdf(tmp_path / "good.pdf", ["The deposit is 500 EUR."])
    outcome = jingyan(
        "ask", "--file", tmp_path / "missing.pdf", "--file", tmp_path, "--file", good, "What is the deposit?",
        home=tmp_path / "home",
    )  # fmt: skip
    assert outcome.code == 0 and "500 EUR" in outcome.out
    assert len(lines(outcome.err)) == 2


def test_file_that_is_not_a_gguf_is_refused_as_model(tmp_path: Path) -> None:
    good = make_pdf(tmp_path / "good.pdf", ["The deposit is 500 EUR."])
    outcome = jingyan(
        "ask", "--file", good, "--model", gguf_that_is_not_one(tmp_path), "What is the deposit?", home=tmp_path / "home"
    )
    assert outcome.code == 1 and "Traceback" not in outcome.err and len(lines(outcome.err)) == 1


def test_unknown_command_is_usage(tmp_path: Path) -> None:
    assert jingyan("frobnicate", home=tmp_path / "home").code == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    assert jingyan("list", home=home).code == 1
