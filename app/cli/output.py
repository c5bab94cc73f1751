"""What commands print: results on standard output, everything else on standard error; JSON on request.

Exit codes: 0 done; 1 a known error stopped the command; 2 wrong usage; 3 some files were refused, the rest was
done; 4 nothing was found; 130 interrupted. They are documented in docs/cli.md.
"""

from __future__ import annotations

import contextlib
import json
import locale
import os
import sys
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import click

from app.core.errors import JingyanError, Reason
from app.wording import Language, explain


class ExitCode(IntEnum):
    DONE = 0
    KNOWN_ERROR = 1
    USAGE = 2
    SOME_REFUSED = 3
    NOTHING_FOUND = 4
    INTERRUPTED = 130


def terminal_language() -> Language:
    """Chinese when the environment asks for it, else English."""
    named = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    if not named and sys.platform in ("win32", "darwin"):
        named = locale.getlocale()[0] or ""
    return "zh_CN" if named.lower().startswith(("zh", "chinese")) else "en"


def print_json(value: Any) -> None:
    """One JSON document, UTF-8, with the characters themselves. Any: JSON has no narrower type."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def note(text: str) -> None:
    click.echo(text, err=True)


def say_reason(reason: Reason) -> None:
    note(str(explain(reason, terminal_language())))


@contextlib.contextmanager
def known_errors() -> Iterator[None]:
    """Known errors become one sentence on standard error and exit code 1; bugs go on to the hub."""
    try:
        yield
    except JingyanError as error:
        say_reason(error.reason)
        raise SystemExit(ExitCode.KNOWN_ERROR) from error
    except KeyboardInterrupt as error:
        raise SystemExit(ExitCode.INTERRUPTED) from error
