"""The library as a file: key, owner, rights, damage, a full disk, a killed process, migrations."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from app.core.errors import ErrorCode, JingyanError
from app.core.values import DocumentId, DocumentKind, DocumentState
from app.store import EncryptedLibrary, open_library
from app.store.database import Database
from app.store.migrations import MIGRATIONS, Migration, migrate
from app.store.opening import open_database, snapshot_path
from tests.contract.library_contract import begin, fold, found, page, save

KEY = bytes(range(32))
OTHER_KEY = bytes(reversed(range(32)))
REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "library.db"


def opened(path: Path, key: bytes = KEY) -> EncryptedLibrary:
    return open_library(path, key, fold=fold, lock_wait_s=0)


def refusal(path: Path, key: bytes = KEY) -> JingyanError:
    with pytest.raises(JingyanError) as error:
        opened(path, key)
    return error.value


@pytest.fixture
def filled(path: Path) -> Path:
    library = opened(path)
    save(library, "The secret walrus", "contract over 12,480 euros")
    library.close()
    return path


# ---- privacy -------------------------------------------------------------------------------------
@pytest.mark.skipif(os.name == "nt", reason="POSIX rights")
def test_only_the_owner_can_read_folder_file_and_log(path: Path) -> None:
    library = opened(path)
    save(library, "text")
    files = sorted(path.parent.iterdir())
    assert path in files
    assert len(files) > 1, "the log is there while the library is open"
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    library.close()


def test_no_text_is_readable_in_any_file(path: Path) -> None:
    library = opened(path)
    begun = begin(library, "walrus-file.pdf", title="walrus title")
    library.save_pages(begun.document_id, [page(1, "walrus text " * 500, heading="walrus heading")])
    while_open = b"".join(file.read_bytes() for file in path.parent.iterdir() if file != path)
    library.close()
    assert len(while_open) > 10_000
    assert b"walrus" not in (while_open + path.read_bytes()).lower()


def test_removed_words_leave_the_file(path: Path) -> None:
    library = opened(path)
    save(library, "kept words", name="kept.pdf")
    gone_id, _ = save(library, *(f"zyzzyva number{n}" for n in range(2_000)), name="gone.pdf")
    library.remove(gone_id)
    library.close()
    library = opened(path)  # the wish to tidy survives a restart
    steps = 0
    while library.tidy():
        steps += 1
    assert 0 < steps < 100
    assert found(library, "kept") == ["kept words"]
    library.close()
    assert plain_content(path).count(b"zyzzyva") == 0
    assert b"kept words" in plain_content(path)


def plain_content(path: Path) -> bytes:
    """Every byte of the deciphered file, free pages too."""
    database = open_database(path, KEY)
    content = database.connection.serialize("main")
    database.close()
    return content


# ---- key and damage ------------------------------------------------------------------------------
def test_a_closed_library_opens_again_with_its_key(filled: Path) -> None:
    library = opened(filled)
    assert found(library, "walrus") == ["The secret walrus"]
    library.close()


def test_another_key_is_told_apart_from_damage_and_changes_nothing(filled: Path) -> None:
    before = filled.read_bytes()
    error = refusal(filled, OTHER_KEY)
    assert error.code is ErrorCode.KEY_MISSING
    assert error.reason.facts == {"found": "another"}
    assert filled.read_bytes() == before


def test_another_key_does_not_touch_what_a_killed_process_left_in_the_log(path: Path) -> None:
    saved = kill_while_saving(path, after_pages=5)
    log = path.with_name("library.db-wal")
    before = path.read_bytes(), log.read_bytes()
    assert refusal(path, OTHER_KEY).code is ErrorCode.KEY_MISSING
    assert (path.read_bytes(), log.read_bytes()) == before
    library = opened(path)
    assert len(list(library.pages(DocumentId(1)))) in (saved, saved + 1)
    library.close()


@pytest.mark.parametrize(
    "content",
    [b"%PDF-1.7 not a library" * 300, b"xy", bytes(8192), b"SQLite format 3\0" + bytes(range(256)) * 40],
    ids=["pdf", "two bytes", "zeros", "plain sqlite"],
)
def test_a_foreign_file_is_damaged_and_kept(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert refusal(path).code is ErrorCode.LIBRARY_DAMAGED
    assert path.read_bytes() == content


def test_a_plain_database_is_damaged_and_kept(path: Path) -> None:
    path.parent.mkdir()
    plain = apsw.Connection(str(path))
    plain.execute("CREATE TABLE mine (x); INSERT INTO mine VALUES (1)")
    plain.close()
    before = path.read_bytes()
    assert refusal(path).code is ErrorCode.LIBRARY_DAMAGED
    assert path.read_bytes() == before


def test_a_changed_first_page_is_damage_and_the_file_is_kept(filled: Path) -> None:
    flip(filled, 200)
    before = filled.read_bytes()
    assert refusal(filled).code is ErrorCode.LIBRARY_DAMAGED
    assert filled.read_bytes() == before


def test_a_changed_byte_anywhere_else_is_noticed_when_it_is_read(filled: Path) -> None:
    for offset in range(4_096 + 100, filled.stat().st_size, 4_096):
        flip(filled, offset)
    with pytest.raises(JingyanError) as error:
        library = opened(filled)
        assert not library.is_sound()
        save(library, "more")
    assert error.value.code is ErrorCode.LIBRARY_DAMAGED


def test_a_file_cut_short_is_damaged(filled: Path) -> None:
    os.truncate(filled, 4_096)
    with pytest.raises(JingyanError) as error:
        opened(filled).documents()
    assert error.value.code is ErrorCode.LIBRARY_DAMAGED


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def test_an_empty_file_becomes_a_library(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    opened(path).close()
    assert path.stat().st_size > 0


def test_a_key_of_the_wrong_size_is_a_bug(path: Path) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        opened(path, b"short")
    assert not path.exists()


@pytest.mark.parametrize("parent", ["a file", "a folder in its place"])
def test_a_place_that_cannot_hold_a_file_is_said_so(tmp_path: Path, parent: str) -> None:
    place = tmp_path / "place"
    if parent == "a file":
        place.write_bytes(b"")
        assert refusal(place / "library.db").code is ErrorCode.FOLDER_NOT_WRITABLE
    else:
        place.mkdir()
        assert refusal(place).code is ErrorCode.FOLDER_NOT_WRITABLE


# ---- one owner -----------------------------------------------------------------------------------
def test_a_second_owner_in_this_process_is_locked_out_and_the_first_goes_on(path: Path) -> None:
    library = opened(path)
    save(library, "walrus")
    for _ in range(2):
        assert refusal(path).code is ErrorCode.LIBRARY_LOCKED
    save(library, "seal")
    library.close()
    again = opened(path)
    assert len(again.documents()) == 2
    again.close()


def test_a_second_process_is_locked_out_until_the_first_dies(path: Path) -> None:
    with child(path, "hold") as (process, lines):
        assert next(lines) == "opened"
        assert refusal(path).code is ErrorCode.LIBRARY_LOCKED
        process.kill()
    opened(path).close()


def test_this_process_keeps_its_lock_against_others_after_refusing_a_second_owner_here(path: Path) -> None:
    library = opened(path)
    assert refusal(path).code is ErrorCode.LIBRARY_LOCKED
    with child(path, "hold") as (process, lines):
        assert next(lines) == "library_locked"
        assert process.wait() == 3
    library.close()


def test_whoever_waits_gets_the_library_when_it_is_closed(path: Path) -> None:
    with child(path, "briefly") as (process, lines):
        assert next(lines) == "opened"
        assert refusal(path).code is ErrorCode.LIBRARY_LOCKED
        assert process.stdin is not None
        process.stdin.write(b"close\n")
        process.stdin.flush()
        open_library(path, KEY, fold=fold, lock_wait_s=60).close()


# ---- interruption --------------------------------------------------------------------------------
@pytest.mark.parametrize("after_pages", [1, 7, 40])
def test_a_killed_process_leaves_whole_pages_or_nothing(path: Path, after_pages: int) -> None:
    saved = kill_while_saving(path, after_pages=after_pages)
    library = opened(path)
    assert library.is_sound()
    pages = list(library.pages(DocumentId(1)))
    assert len(pages) in (saved, saved + 1), "what was reported as saved is there, and at most one page more"
    chunks = library.chunks_of(DocumentId(1))
    assert [chunk.page_no for chunk in chunks] == [read.page_no for read in pages for _ in range(50)]
    assert len(library.bm25({"walrus": 1.0}, 10_000)) == len(chunks)
    assert library.document(DocumentId(1)).pages_read == len(pages)
    assert library.recover_interrupted() == (DocumentId(1),)
    assert library.document(DocumentId(1)).state is DocumentState.QUEUED
    assert library.recover_interrupted() == ()
    library.close()


CHILD = """
import sys
from pathlib import Path
from app.core.errors import JingyanError
from app.store import open_library
from tests.contract.library_contract import begin, fold, page
path, mode = Path(sys.argv[1]), sys.argv[2]
try:
    library = open_library(path, bytes(range(32)), fold=fold, lock_wait_s=0)
except JingyanError as error:
    print(error.code.value, flush=True)
    sys.exit(3)
print("opened", flush=True)
if mode == "briefly":
    sys.stdin.readline()
    library.close()
    sys.exit(0)
document_id = begin(library, pages=100_000).document_id
for page_no in range(1, 100_000):
    library.save_pages(document_id, [page(page_no, *(f"walrus {n} of page {page_no}" for n in range(50)))])
    print("saved", page_no, flush=True)
"""


class child:  # noqa: N801 - reads as a with statement
    """A real process that owns the library at `path`; killed at the end of the block."""

    def __init__(self, path: Path, mode: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), mode],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> tuple[subprocess.Popen[bytes], Iterator[str]]:
        assert self._process.stdout is not None
        return self._process, (line.decode().strip() for line in self._process.stdout)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def kill_while_saving(path: Path, *, after_pages: int) -> int:
    """Kill a process that saves page after page; returns the last page that it reported as saved."""
    with child(path, "hold") as (process, lines):
        assert any(line == f"saved {after_pages}" for line in lines)
        process.kill()
        process.wait()
        return max((int(line.split()[1]) for line in lines if line), default=after_pages)


# ---- a full disk ---------------------------------------------------------------------------------
def test_a_full_disk_saves_nothing_half_and_the_library_goes_on(path: Path) -> None:
    database = open_database(path, KEY)
    library = EncryptedLibrary(database, fold)
    document_id, _ = save(library, "walrus")
    used = database.number("PRAGMA page_count")
    database.run(f"PRAGMA max_page_count = {used + 20}")
    with pytest.raises(JingyanError) as error:
        library.save_pages(document_id, [page(number, f"seal {number} " * 300) for number in range(2, 60)])
    assert error.value.code is ErrorCode.DISK_FULL
    assert [read.page_no for read in library.pages(document_id)] == [1]
    assert found(library, "seal") == []
    assert library.document(document_id).pages_read == 1
    library.save_pages(document_id, [page(2, "crab")])
    assert found(library, "crab") == ["crab"]
    assert library.is_sound()
    library.close()


FULL_CHILD = """
import resource, sys
from pathlib import Path
from app.core.errors import JingyanError
from app.store import open_library
from tests.contract.library_contract import begin, fold, page
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
library = open_library(Path(sys.argv[1]), bytes(range(32)), fold=fold)
document_id = begin(library).document_id
for page_no in range(1, 10_000):
    try:
        library.save_pages(document_id, [page(page_no, "walrus " * 400)])
    except JingyanError as error:
        print(error.code.value, page_no - 1, len(list(library.pages(document_id))))
        sys.exit(0)
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
def test_a_file_that_may_not_grow_counts_as_a_full_disk(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_CHILD, str(path)], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    code, saved, there = done.stdout.split()
    assert code == ErrorCode.DISK_FULL
    assert saved == there
    library = opened(path)
    assert library.is_sound()
    assert len(list(library.pages(DocumentId(1)))) == int(saved) > 0
    library.close()


# ---- migrations ----------------------------------------------------------------------------------
NEXT = Migration(2, "ALTER TABLE documents ADD COLUMN note TEXT")
BROKEN = Migration(3, "CREATE TABLE third (x); INSERT INTO nowhere VALUES (1)")


def test_a_library_of_a_newer_program_is_left_alone(filled: Path) -> None:
    database = open_database(filled, KEY)
    database.run("PRAGMA user_version = 9")
    database.close()
    before = filled.read_bytes()
    error = refusal(filled)
    assert error.reason.code is ErrorCode.LIBRARY_TOO_NEW
    assert error.reason.facts == {"found": 9, "known": MIGRATIONS[-1].number}
    assert filled.read_bytes() == before


def test_migrations_run_once_in_order_after_the_copy(filled: Path) -> None:
    calls: list[int] = []
    database = open_database(filled, KEY)
    for _ in range(2):
        migrate(database, before_change=calls.append, migrations=[*MIGRATIONS, NEXT])
    assert calls == [1]
    assert database.number("PRAGMA user_version") == 2
    assert database.rows("SELECT note FROM documents") == [(None,)]
    database.close()


def test_a_failing_step_leaves_the_last_whole_number(filled: Path) -> None:
    database = open_database(filled, KEY)
    with pytest.raises(apsw.SQLError):
        migrate(database, migrations=[*MIGRATIONS, NEXT, BROKEN])
    assert database.number("PRAGMA user_version") == 2
    assert database.rows("SELECT name FROM sqlite_schema WHERE name = 'third'") == []
    database.close()


def test_a_new_library_needs_no_copy(path: Path) -> None:
    calls: list[int] = []
    migrate(Database(apsw.Connection(":memory:")), before_change=calls.append)
    opened(path).close()
    assert calls == []
    assert [file.name for file in path.parent.iterdir()] == ["library.db"]


def test_opening_an_old_library_keeps_an_encrypted_copy_of_it(filled: Path) -> None:
    stale = snapshot_path(filled, 0)
    stale.write_bytes(b"an older copy")
    open_database(filled, KEY, migrations=[*MIGRATIONS, NEXT]).close()
    copy = snapshot_path(filled, 1)
    assert copy.name == "library.db.before-2"
    assert not stale.exists()
    assert b"walrus" not in copy.read_bytes()
    assert refusal(filled).code is ErrorCode.LIBRARY_TOO_NEW
    copy.replace(filled)
    library = opened(filled)
    assert found(library, "walrus") == ["The secret walrus"]
    assert library.is_sound()
    library.close()


def test_another_index_form_rebuilds_the_words(path: Path) -> None:
    def backwards(text: str) -> str:
        return " ".join(word[::-1] for word in fold(text).split())

    library = open_library(path, KEY, fold=fold, fold_version="1")
    begun = begin(library, title="Census")
    library.save_pages(begun.document_id, [page(1, "walrus", heading="Arctic"), page(2, "seal")])
    library.finish(begun.document_id, DocumentState.READY)
    library.close()
    library = open_library(path, KEY, fold=backwards, fold_version="2")
    assert found(library, "walrus") == []
    assert found(library, "surlaw") == found(library, "citcra") == ["walrus"]
    assert set(found(library, "susnec")) == {"walrus", "seal"}
    library.close()


def test_the_kind_of_every_state_survives_a_restart(path: Path) -> None:
    library = opened(path)
    states = [state for state in DocumentState if state.is_final or state is DocumentState.QUEUED]
    for state in states:
        begun = library.begin_reading(library.add_document(Path(state), 1).document_id, DocumentKind.MARKDOWN, "t", 1)
        library.finish(begun.document_id, state)
    before = library.documents()
    library.close()
    library = opened(path)
    assert library.documents() == before
    assert [document.state for document in before] == states
    library.close()
