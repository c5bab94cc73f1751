"""What the READMEs point at exists, and both name the same commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README.zh-CN.md")


@pytest.mark.parametrize("name", READMES)
def test_every_local_link_leads_to_a_file(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text("utf-8"))
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_both_languages_show_the_same_commands() -> None:
    def commands(name: str) -> list[str]:
        text = (ROOT / name).read_text("utf-8")
        return re.findall(r"\b(?:make (?:run|test|check|bench|lock)|py packaging\\bootstrap\.py \w+)", text)

    english, chinese = (sorted(set(commands(name))) for name in READMES)
    assert english == chinese


@pytest.mark.parametrize("name", READMES)
def test_make_knows_the_targets_that_are_named(name: str) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"\bmake (\w+)", (ROOT / name).read_text("utf-8")))
    assert named
    assert named <= targets
