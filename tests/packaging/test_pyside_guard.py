"""The guard against PySide6 builds that lose references to None on Python before 3.12.

PySide6 6.12.0 does: each call of a Qt function that returns nothing drops one reference to None, and a long streamed
answer ends in an abort of the whole program while short tests pass. Can go when Python 3.12 is the oldest supported.
"""

from __future__ import annotations

import sys

from PySide6.QtCore import QObject

CALLS = 2_000
MAX_LOST_REFERENCES = 50  # other code gains and loses a few meanwhile


def test_qt_calls_that_return_nothing_do_not_lose_references_to_none() -> None:
    thing = QObject()
    before = sys.getrefcount(None)
    for _ in range(CALLS):
        thing.setObjectName("name")
    assert before - sys.getrefcount(None) <= MAX_LOST_REFERENCES
