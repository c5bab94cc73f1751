"""Open Jingyan for one command and close it again, whatever happens."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from app.cli.output import known_errors, note
from app.compose import Jingyan, Launch, open_jingyan
from app.secrets import AskPassphrase

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
model_option = click.option(
    "--model",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="A GLM model file (GGUF). Default: the model of the settings, else the small starter.",
)


@contextlib.contextmanager
def session(*, in_memory: bool = False, model: Path | None = None, with_model: bool = False) -> Iterator[Jingyan]:
    """A running Jingyan; known errors end the command with a sentence."""
    ask = passphrase_prompt()
    with known_errors():
        jingyan = open_jingyan(
            Launch(
                in_memory=in_memory,
                model=model,
                with_model=with_model,
                ask_passphrase=ask,
                on_new_key=_show_recovery_code,
            )
        )
        try:
            yield jingyan
        finally:
            jingyan.close()


def passphrase_prompt() -> AskPassphrase | None:
    """Asks at the terminal; None where nobody can answer."""
    return _ask_passphrase if sys.stdin.isatty() else None


def _ask_passphrase(choose_new: bool) -> str:
    text = "Choose a passphrase for the library" if choose_new else "Passphrase of the library"
    answer: str = click.prompt(text, hide_input=True, confirmation_prompt=choose_new, err=True)
    return answer


def _show_recovery_code(code: str) -> None:
    note(f"A new library was made. Keep this recovery code where only you find it; it is shown only now:\n  {code}")
