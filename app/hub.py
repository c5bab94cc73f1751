"""The one place where bugs end: three exception hooks and the local log. Nothing is ever uploaded.

The log holds codes, ids, counts and durations. Of an exception it keeps the type and the places in our code,
never its message: messages may hold text, names or paths of the user.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

LOG_BYTES = 512 * 1024  # weeks of ordinary use; one older file is kept
_log = logging.getLogger("app")


class PrivateFormatter(logging.Formatter):
    """Exceptions as type and code places only."""

    def formatException(self, ei: object) -> str:  # noqa: N802 (name given by logging)
        kind, _, trace = ei if isinstance(ei, tuple) else (None, None, None)
        places = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(trace)] if trace else []
        return f"{getattr(kind, '__name__', 'unknown')} at {' < '.join(reversed(places))}"


def start_log(path: Path) -> None:
    """Log to `path` (0600) from now on; without a writable folder the program runs without a log."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".old.log"))
        handler: logging.Handler = logging.FileHandler(path, encoding="utf-8")
        path.chmod(0o600)
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(PrivateFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.raiseExceptions = False  # a full disk must not print tracebacks over the user's answer
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False


def own_exception_hooks() -> None:
    """Bugs in any thread go to the log; on the terminal they are printed in full, for whoever started us there."""

    def in_main(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _log.critical("bug in the main thread", exc_info=(kind, error, trace))
        sys.__excepthook__(kind, error, trace)

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            _log.critical("bug in a thread", exc_info=(args.exc_type, args.exc_value, args.exc_traceback))
            sys.__excepthook__(args.exc_type, args.exc_value, args.exc_traceback)

    def unraisable(args: UnraisableHookArgs) -> None:
        if args.exc_value is not None:
            _log.error("bug while cleaning up", exc_info=(args.exc_type, args.exc_value, args.exc_traceback))
        sys.__unraisablehook__(args)

    sys.excepthook = in_main
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable
