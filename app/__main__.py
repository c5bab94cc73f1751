"""Which role this process plays: a child, the command line, the window, or the demo without a display.

Imports nothing heavy: children run this file again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.compose import Jingyan


def main(arguments: Sequence[str] | None = None) -> int:
    args = list(sys.argv[1:] if arguments is None else arguments)
    if args[:1] == ["--child"]:
        from app.workers.roles import run_child  # children must not load what the parent needs

        return run_child(args[1])
    _start_hub()
    files = _files_to_open(args)
    if files is None:
        return _command_line(args)
    return _window(files) if _has_display() else _demo()


def _files_to_open(args: Sequence[str]) -> list[Path] | None:
    """The files a double click or `jingyan A.pdf B.pdf` hands over; None when `args` is a command."""
    if args and not all(Path(a).exists() for a in args):
        return None
    return [Path(a) for a in args]


def _has_display() -> bool:
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def _start_hub() -> None:
    from app.core.paths import data_paths
    from app.hub import own_exception_hooks, start_log

    start_log(data_paths().log)
    own_exception_hooks()


def _command_line(args: list[str]) -> int:
    from app.cli.main import run  # click is not needed by children or the window

    return run(args)


def _window(files: list[Path]) -> int:
    from app.core.paths import data_paths
    from app.gui.app import run  # only the window's own process needs Qt
    from app.gui.passphrase import PassphraseAsker
    from app.settings import SettingsFile

    settings, passphrase = SettingsFile(data_paths().settings), PassphraseAsker()

    def services() -> Jingyan:
        from app.compose import Launch, open_jingyan  # heavy: after the first paint, on its thread

        launch = Launch(settings=settings, ask_passphrase=passphrase.ask, on_new_key=passphrase.show_recovery_code)
        return open_jingyan(launch)

    return run(services, files, preferences=settings, passphrase=passphrase)


def _demo() -> int:
    """No display: the same main job in the terminal, on our sample, and a picture of the window."""
    from app.cli.demo import run_demo
    from app.gui.screenshot import save

    return run_demo(save)


if __name__ == "__main__":
    raise SystemExit(main())
