"""How places are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.gui.places import folder_place, page_place


def test_home_folder_is_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert folder_place(tmp_path / "Documents" / "2026") == str(Path("~/Documents/2026"))
    assert folder_place(tmp_path) == "~"
    assert folder_place(tmp_path.parent) == str(tmp_path.parent)


@pytest.mark.parametrize(
    ("page_no", "label", "place"),
    [(2, "1", "p. 1"), (3, "", "p. 3"), (1, "lines 1-80", "lines 1–80"), (1, "iv", "p. iv")],
)
def test_page_is_called_by_its_printed_label(page_no: int, label: str, place: str) -> None:
    assert page_place(page_no, label) == place
