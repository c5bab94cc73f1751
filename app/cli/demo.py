"""The main job in a terminal, for machines without a display: read our sample, ask in two languages, cite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from app.cli.ask import follow
from app.cli.session import session
from app.cli.views import document_line, sources_text
from app.compose import Jingyan
from app.core.paths import data_paths, resources
from app.core.values import Question

QUESTIONS = ("When does the lease begin?", "月租金是多少？")

SaveScreenshot = Callable[[Jingyan, Path], object]


def run_demo(save_screenshot: SaveScreenshot) -> int:
    """0 when both questions got a cited answer; `save_screenshot` draws the window into a folder."""
    click.echo("No display found: showing the main job in the terminal.\n")
    cited = 0
    with session(in_memory=True, with_model=True) as jingyan:
        for document in jingyan.add_and_wait([resources() / "samples" / "sample.pdf"]):
            click.echo(document_line(document) + "\n")
        jingyan.wait_for_model()
        for question in QUESTIONS:
            click.echo(f"? {question}\n")
            answer = follow(jingyan.asking.ask(Question(question)), stream=True)
            click.echo(sources_text(answer) + "\n")
            cited += any(c.verified for c in answer.citations)
        folder = data_paths().root / "screenshots"
        save_screenshot(jingyan, folder)
        click.echo(f"Picture of the window: {folder}")
    return 0 if cited == len(QUESTIONS) else 1
