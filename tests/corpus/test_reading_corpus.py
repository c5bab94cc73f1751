"""Other people's PDFs, broken on purpose and by accident: each ends as pages, page problems or one known error.

By default a fixed sample is read, so that the suite stays quick; JINGYAN_CORPUS=full reads all of them.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.core.errors import ErrorCode, JingyanError
from app.core.ports import DocumentOpened, PageRead
from app.core.values import PageProblem
from app.workers.ingest_client import ReaderClient, ReaderTimeouts
from tests.conftest import CORPUS
from tests.ingest.pages import check_promises

pytestmark = [pytest.mark.corpus, pytest.mark.timeout(1_800)]

SAMPLED_PARTS = 8  # one file in so many
REFUSALS = {
    ErrorCode.PASSWORD_NEEDED,
    ErrorCode.DOCUMENT_BROKEN,
    ErrorCode.NO_PAGES,
    ErrorCode.KIND_UNSUPPORTED,
    ErrorCode.FILE_EMPTY,
}
PAGE_CODES = {ErrorCode.PAGE_BROKEN, ErrorCode.PAGE_NO_TEXT, ErrorCode.PAGE_TIMED_OUT, ErrorCode.TOO_MUCH_TEXT}


@dataclass(frozen=True, slots=True)
class Known:
    """What PyMuPDF alone said about a file when the corpus was made."""

    path: str
    status: str
    pages: int


@dataclass(frozen=True, slots=True)
class Outcome:
    refused: ErrorCode | None
    kind: str
    page_count: int
    pages_read: int
    problems: tuple[PageProblem, ...]


def known_files() -> list[Known]:
    table = CORPUS / "pdf_status.tsv"
    if not table.exists():
        return []
    with table.open(encoding="utf-8", newline="") as rows:
        files = [
            Known(row["path_in_split"], row["status_1.28.2"], int(row["pages"] or 0))
            for row in csv.DictReader(rows, delimiter="\t")
            if row["path_in_split"].startswith("pdf/")
        ]
    return files if os.environ.get("JINGYAN_CORPUS") == "full" else [f for f in files if is_sampled(f.path)]


def is_sampled(path: str) -> bool:
    return hashlib.sha256(path.encode()).digest()[0] % SAMPLED_PARTS == 0


@pytest.fixture(scope="module")
def reader() -> Iterator[ReaderClient]:
    client = ReaderClient()
    yield client
    client.close()


def outcome_of(reader: ReaderClient, path: Path, password: str = "") -> Outcome:
    """Read the whole file; every page is checked on the way."""
    pages: list[int] = []
    problems: list[PageProblem] = []
    opened: DocumentOpened | None = None
    try:
        for event in reader.read(path.name, path.read_bytes(), password=password):
            if isinstance(event, DocumentOpened):
                opened = event
            elif isinstance(event, PageRead):
                check_promises(event)
                pages.append(event.page.page_no)
            else:
                problems.append(event)
    except JingyanError as e:
        return Outcome(e.code, "", 0, 0, ())
    assert opened is not None
    failed = {p.page_no for p in problems if p.reason.code in (ErrorCode.PAGE_BROKEN, ErrorCode.PAGE_TIMED_OUT)}
    assert sorted([*pages, *failed]) == list(range(1, opened.page_count + 1))
    assert {p.reason.code for p in problems} <= PAGE_CODES
    return Outcome(None, opened.kind.value, opened.page_count, len(pages), tuple(problems))


@pytest.mark.parametrize("known", known_files(), ids=lambda known: known.path)
def test_file_ends_as_pdf_library_alone_would_have_it(reader: ReaderClient, known: Known) -> None:
    outcome = outcome_of(reader, CORPUS / known.path)
    if outcome.refused is not None:
        assert outcome.refused in REFUSALS
    if known.status == "needs_password":
        assert outcome.refused is ErrorCode.PASSWORD_NEEDED
    elif known.status == "zero_pages":
        assert outcome.refused is ErrorCode.NO_PAGES
    elif known.status == "page_error":
        assert outcome.refused is None and any(p.reason.code is ErrorCode.PAGE_BROKEN for p in outcome.problems)
        assert outcome.page_count == known.pages
    elif known.status.startswith(("ok", "TIMEOUT at render")):
        assert (outcome.refused, outcome.kind, outcome.page_count) == (None, "pdf", known.pages)
        assert not any(p.reason.code is ErrorCode.PAGE_BROKEN for p in outcome.problems)
    else:
        assert known.status == "ERROR at open"  # by its odd name; by content it may be text, a broken PDF or nothing


def passwords() -> list[tuple[str, str, int]]:
    table = CORPUS / "pdf" / "PASSWORDS.tsv"
    if not table.exists():
        return []
    rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()[1:]]
    return [(path, password, int(pages)) for path, password, pages in rows if password != "(not found)"]


@pytest.mark.parametrize(("path", "password", "pages"), passwords())
def test_known_password_opens_the_file(reader: ReaderClient, path: str, password: str, pages: int) -> None:
    outcome = outcome_of(reader, CORPUS / path, password)
    assert (outcome.refused, outcome.page_count) == (None, pages)


def test_page_that_draws_for_ever_is_given_up_and_its_text_is_read() -> None:
    content = (CORPUS / "pdf" / "pymupdf" / "test_2548.pdf").read_bytes()
    client = ReaderClient(timeouts=ReaderTimeouts(render_s=1.0))
    try:
        with pytest.raises(JingyanError) as error:
            client.render("a.pdf", content, 1, 4_000)
        assert error.value.code is ErrorCode.PAGE_TIMED_OUT
        assert sum(isinstance(event, PageRead) for event in client.read("a.pdf", content)) == 15
    finally:
        client.close()
