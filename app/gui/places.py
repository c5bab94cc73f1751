"""How places are called: "p. 3", "p. iv", "lines 1-80" in a document, "~/Documents" on the disk."""

from __future__ import annotations

import re
from pathlib import Path

from PySide6.QtCore import QCoreApplication

translate = QCoreApplication.translate  # the name under which lupdate finds the strings
_LINES = re.compile(r"lines? (\d+)(?:[-–](\d+))?$")


def page_place(page_no: int, label: str) -> str:
    """The printed label of the page where there is one, else its number; lines for text files."""
    if lines := _LINES.match(label):
        first, last = lines[1], lines[2] or lines[1]
        return translate("Places", "lines {first}–{last}").format(first=first, last=last)
    return translate("Places", "p. {page}").format(page=label or page_no)


def folder_place(folder: Path) -> str:
    """The folder as people write it: the home folder is "~"."""
    home = Path.home()
    return str(Path("~") / folder.relative_to(home)) if folder.is_relative_to(home) else str(folder)
