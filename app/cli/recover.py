"""`jingyan recover`: open a library whose key is lost with its recovery code."""

from __future__ import annotations

import click

from app.cli.output import known_errors, note
from app.cli.session import passphrase_prompt
from app.compose import recover_key
from app.core.paths import data_paths


@click.command()
@click.option("--code", prompt="Recovery code", hide_input=False, help="Typed when asked for, or given here.")
def recover(code: str) -> None:
    """Keep the key of the library again, from its recovery code."""
    with known_errors():
        recover_key(data_paths(), code, passphrase_prompt())
    note("The library opens again.")
