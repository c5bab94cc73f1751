"""Add, list, search, remove: what is added stays, encrypted, and comes back."""

from __future__ import annotations

import re
from pathlib import Path

from tests.end2end.command import jingyan
from tests.samples import make_pdf


def test_document_added_once_is_found_by_later_commands(tmp_path: Path) -> None:
    home = tmp_path / "home"
    pdf = make_pdf(tmp_path / "lease.pdf", ["The deposit is 500 EUR.", "Pets are allowed in the garden."])
    added = jingyan("add", pdf, tmp_path / "missing.pdf", "--json", home=home)
    assert added.code == 3
    assert [d["state"] for d in added.json] == ["ready", "refused"]
    assert [p["code"] for p in added.json[1]["problems"]] == ["file_not_found"]

    found = jingyan("search", "pets", "--json", home=home).json
    assert (found[0]["document"], found[0]["page_no"]) == ("lease.pdf", 2)
    answer = jingyan("ask", "What is the deposit?", "--json", home=home).json
    assert "500 EUR" in answer["answer"] and answer["citations"][0]["page_no"] == 1

    listed = jingyan("list", "--json", home=home).json
    assert jingyan("remove", *[str(d["document_id"]) for d in listed], home=home).code == 0
    assert jingyan("search", "pets", home=home).code == 4
    assert pdf.exists()


def test_words_of_a_document_do_not_stand_in_the_files_of_the_library(tmp_path: Path) -> None:
    home = tmp_path / "home"
    jingyan("add", make_pdf(tmp_path / "a.pdf", ["Zanzibar confidential clause"]), home=home)
    files = [p for p in home.rglob("*") if p.is_file()]
    assert files and not any(b"Zanzibar" in p.read_bytes() or b"zanzibar" in p.read_bytes() for p in files)


def test_wrong_passphrase_is_said_and_the_library_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    jingyan("add", make_pdf(tmp_path / "a.pdf", ["Something to keep"]), home=home)
    wrong = jingyan("list", home=home, passphrase="wrong")
    assert wrong.code == 1 and "passphrase" in wrong.err.lower()
    assert len(jingyan("list", "--json", home=home).json) == 1


def test_doctor_tells_which_protection_is_active(tmp_path: Path) -> None:
    report = jingyan("doctor", "--json", home=tmp_path / "home").json
    assert set(report["reader"]["protection"]) >= {"landlock", "seccomp", "rlimits"}
    assert report["engine"]["model"]["starter"] is True


def test_lost_key_comes_back_with_the_recovery_code(tmp_path: Path) -> None:
    home = tmp_path / "home"
    made = jingyan("add", make_pdf(tmp_path / "a.pdf", ["Something to keep"]), home=home)
    code = re.search(r"(?:[A-Z2-7]{4}-){13}[A-Z2-7]{4}", made.err)
    assert code is not None
    (home / "library.key").unlink()
    lost = jingyan("list", home=home)
    assert lost.code == 1 and "recovery code" in lost.err
    assert jingyan("recover", "--code", code.group()[:-1] + "A", home=home).code == 1
    assert jingyan("recover", "--code", code.group().lower(), home=home).code == 0
    assert [d["name"] for d in jingyan("list", "--json", home=home).json] == ["a.pdf"]
