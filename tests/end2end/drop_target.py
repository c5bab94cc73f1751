"""Our window over fake services, for the drag test: prints each file the library is asked to add."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from app.core.values import Document
from app.gui.app import run
from tests.gui.fake_services import FakeLibrary, FakeServices


class TellingLibrary(FakeLibrary):
    def add(self, paths: Sequence[Path]) -> tuple[Document, ...]:
        for path in paths:
            print("added", path, flush=True)
        return super().add(paths)


class TellingServices(FakeServices):
    def __init__(self) -> None:
        super().__init__()
        self.library = TellingLibrary()
        print("ready", flush=True)


sys.exit(run(TellingServices))
