"""The parent's reader: real children, honest and hostile."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from app.core.cancel import CancelToken
from app.core.errors import ErrorCode, JingyanError, Reason
from app.core.paths import resources
from app.core.ports import DocumentOpened, PageRead, ReadingEvent
from app.core.values import DocumentKind, PageProblem
from app.workers.host import Child, spawn
from app.workers.ingest_client import MAX_LOST_CHILDREN, ReaderClient, ReaderTimeouts, spawn_reader
from app.workers.protocol import Role
from app.workers.sandbox import SandboxSpec
from tests.ingest.pages import check_promises, read_all
from tests.samples import pdf_bytes, pdf_with_broken_page, scanned_pdf

LONG_TEXT = b"words on a line of a long text\n" * 200_000  # 1,500 pages


@pytest.fixture(scope="module")
def reader() -> Iterator[ReaderClient]:
    client = ReaderClient()
    yield client
    client.close()


class Children:
    """Starts children and remembers them."""

    def __init__(self, hostile: bool) -> None:
        self.all: list[Child] = []
        self._hostile = hostile

    def start(self) -> Child:
        command = [sys.executable, "-m", "tests.ingest.hostile_reader"]
        child = spawn(Role.INGEST, sandbox=SandboxSpec(), command=command) if self._hostile else spawn_reader()
        self.all.append(child)
        return child


@pytest.fixture
def children() -> Children:
    return Children(hostile=True)


@pytest.fixture
def hostile(children: Children) -> Iterator[ReaderClient]:
    client = ReaderClient(start_child=children.start, timeouts=ReaderTimeouts(page_s=1.5, render_s=1.5))
    yield client
    client.close()


def kinds_of(events: list[ReadingEvent]) -> list[int | str]:
    """Page numbers of pages read, codes of problems."""
    return [e.page.page_no if isinstance(e, PageRead) else str(e.reason.code) for e in events[1:] if not opened(e)]


def opened(event: ReadingEvent) -> bool:
    return isinstance(event, DocumentOpened)


# ---- honest children -------------------------------------------------------------------------
def test_sample_arrives_as_it_was_read(reader: ReaderClient) -> None:
    content = (resources() / "samples" / "sample.pdf").read_bytes()
    first, *events = list(reader.read("sample.pdf", content))
    assert first == DocumentOpened(DocumentKind.PDF, "Lease Agreement: Unit 7, Heron Wharf", 6)
    here = [read for read, _ in read_all("sample.pdf", content)]
    for event, read in zip(events, here, strict=True):
        assert isinstance(event, PageRead)
        check_promises(event)
        assert (event.page.text, event.page.label) == (read.page.text, read.page.label)
        assert [(c.start, c.end, c.heading) for c in event.chunks] == [(c.start, c.end, c.heading) for c in read.chunks]
        for arrived, sent in zip(event.page.lines, read.page.lines, strict=True):
            assert (arrived.start, arrived.end) == (sent.start, sent.end)
            assert arrived.box.x1 == pytest.approx(sent.box.x1, abs=0.01)


def test_text_and_markdown_come_through(reader: ReaderClient) -> None:
    events = list(reader.read("notes.md", "# 租约\n\n月租金四千元。".encode("gb18030")))
    assert events[0] == DocumentOpened(DocumentKind.MARKDOWN, "租约", 1)
    assert isinstance(events[1], PageRead) and events[1].page.text == "# 租约\n\n月租金四千元。"


def test_broken_page_is_a_problem_and_the_others_are_read(reader: ReaderClient) -> None:
    events = list(reader.read("a.pdf", pdf_with_broken_page(4, 2)))
    assert kinds_of(events) == [1, "page_broken", 3, 4]


def test_page_without_text_is_followed_by_its_problem(reader: ReaderClient) -> None:
    assert kinds_of(list(reader.read("a.pdf", scanned_pdf()))) == [1, "page_no_text"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", ErrorCode.FILE_EMPTY),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), ErrorCode.KIND_UNSUPPORTED),
        (b"%PDF-1.7\nnothing of use", ErrorCode.DOCUMENT_BROKEN),
        (pdf_bytes(["x"], password="secret"), ErrorCode.PASSWORD_NEEDED),
    ],
)
def test_refusals_cross_with_their_code_and_the_child_lives_on(
    reader: ReaderClient, content: bytes, code: ErrorCode
) -> None:
    with pytest.raises(JingyanError) as error:
        list(reader.read("a.pdf", content))
    assert error.value.code is code
    assert kinds_of(list(reader.read("b.txt", b"hello"))) == [1]


def test_password_opens_a_locked_document(reader: ReaderClient) -> None:
    locked = pdf_bytes(["secret words"], password="secret")
    assert kinds_of(list(reader.read("a.pdf", locked, password="secret"))) == [1]
    assert reader.render("a.pdf", locked, 1, 100, password="secret").width_px == 100


def test_page_is_drawn_while_a_document_is_being_read(reader: ReaderClient) -> None:
    content = pdf_bytes([f"Page {n}" for n in range(60)])
    events = reader.read("a.pdf", content)
    next(events)
    image = reader.render("a.pdf", content, 7, 200)
    assert (image.page_no, image.width_px, len(image.rgb)) == (7, 200, 200 * image.height_px * 3)
    assert sum(isinstance(e, PageRead) for e in events) == 60


def test_page_that_is_not_there_cannot_be_drawn(reader: ReaderClient) -> None:
    with pytest.raises(JingyanError) as error:
        reader.render("a.pdf", pdf_bytes(["x"]), 2, 100)
    assert error.value.code is ErrorCode.PAGE_NOT_THERE


def test_reading_left_early_frees_the_child_for_the_next() -> None:
    honest = Children(hostile=False)
    client = ReaderClient(start_child=honest.start)
    events = client.read("a.txt", LONG_TEXT)
    assert opened(next(events))
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert kinds_of(list(client.read("b.txt", b"hello"))) == [1]
    assert len(honest.all) == 1
    client.close()
    assert not honest.all[0].alive


def test_cancel_ends_a_reading(reader: ReaderClient) -> None:
    cancel = CancelToken()
    events = reader.read("a.txt", LONG_TEXT, cancel=cancel)
    next(events)
    cancel.cancel()
    with pytest.raises(JingyanError) as error:
        list(events)
    assert error.value.code is ErrorCode.CANCELLED


def test_cancel_ends_the_wait_for_a_free_child(reader: ReaderClient) -> None:
    busy = reader.read("a.txt", LONG_TEXT)
    next(busy)
    cancel, codes = CancelToken(), []

    def wait() -> None:
        try:
            list(reader.read("b.txt", b"hello", cancel=cancel))
        except JingyanError as e:
            codes.append(e.code)

    waiting = threading.Thread(target=wait)
    waiting.start()
    cancel.cancel()
    waiting.join(20)
    busy.close()  # type: ignore[attr-defined]
    assert codes == [ErrorCode.CANCELLED]


def test_two_threads_share_one_child(reader: ReaderClient) -> None:
    results: list[list[int | str]] = []

    def read(name: str) -> None:
        results.append(kinds_of(list(reader.read(name, b"hello"))))

    threads = [threading.Thread(target=read, args=(f"{n}.txt",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [[1]] * 4


# ---- hostile children ------------------------------------------------------------------------
def test_page_that_kills_the_child_is_lost_alone(hostile: ReaderClient, children: Children) -> None:
    assert kinds_of(list(hostile.read("a.pdf", b"die 2 of 4"))) == [1, "page_broken", 3, 4]
    assert len(children.all) == 2


def test_page_that_hangs_the_child_is_lost_alone(hostile: ReaderClient, children: Children) -> None:
    events = list(hostile.read("a.pdf", b"hang 2 of 3"))
    assert kinds_of(events) == [1, "page_timed_out", 3]
    assert events[2] == PageProblem(2, Reason(ErrorCode.PAGE_TIMED_OUT, {"page_no": 2, "timeout_s": 1.5}))
    assert not children.all[0].alive


def test_last_page_that_kills_the_child_ends_the_reading(hostile: ReaderClient) -> None:
    assert kinds_of(list(hostile.read("a.pdf", b"die 3 of 3"))) == [1, 2, "page_broken"]


def test_document_that_kills_every_child_is_given_up_with_the_pages_named(
    hostile: ReaderClient, children: Children
) -> None:
    events = list(hostile.read("a.pdf", b"die-everywhere 1 of 9"))
    assert kinds_of(events) == ["page_broken"] * MAX_LOST_CHILDREN + ["reader_died"]
    last = events[-1]
    assert isinstance(last, PageProblem) and last.page_no == 0
    assert (last.reason.facts["first_page"], last.reason.facts["last_page"]) == (MAX_LOST_CHILDREN + 1, 9)
    assert len(children.all) == MAX_LOST_CHILDREN


def test_document_that_takes_too_long_as_a_whole_is_given_up_with_what_was_read() -> None:
    client = ReaderClient(timeouts=ReaderTimeouts(document_s=0.0))
    events = list(client.read("a.txt", b"one\n" * 5_000))
    client.close()
    assert kinds_of(events) == ["reader_timed_out"]
    assert isinstance(events[-1], PageProblem) and events[-1].reason.facts["first_page"] == 1


@pytest.mark.parametrize(("what", "code"), [("die", ErrorCode.READER_DIED), ("hang", ErrorCode.READER_TIMED_OUT)])
def test_document_that_cannot_even_be_opened_is_refused(hostile: ReaderClient, what: str, code: ErrorCode) -> None:
    with pytest.raises(JingyanError) as error:
        list(hostile.read("a.pdf", f"{what} 0 of 4".encode()))
    assert error.value.code is code
    assert kinds_of(list(hostile.read("b.pdf", b"well 9 of 2"))) == [1, 2]


@pytest.mark.parametrize("lie", ["box-not-a-number", "one-page-more", "skip-the-rest"])
def test_lie_is_found_and_its_teller_killed(hostile: ReaderClient, children: Children, lie: str) -> None:
    with pytest.raises(JingyanError) as error:
        list(hostile.read("a.pdf", f"{lie} 2 of 3".encode()))
    assert error.value.code is ErrorCode.CHILD_LIED
    assert not children.all[0].alive


def test_what_the_hostile_child_sends_without_a_lie_is_believed(hostile: ReaderClient) -> None:
    events = list(hostile.read("a.pdf", b"well 9 of 1"))
    assert isinstance(events[1], PageRead) and events[1].chunks[0].text == "Words on the page."


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"die 1 of 2", ErrorCode.PAGE_BROKEN),
        (b"hang 1 of 2", ErrorCode.PAGE_TIMED_OUT),
        (b"short-picture 9 of 2", ErrorCode.CHILD_LIED),
    ],
)
def test_page_that_cannot_be_drawn_says_why_and_the_next_can(
    hostile: ReaderClient, document: bytes, code: ErrorCode
) -> None:
    with pytest.raises(JingyanError) as error:
        hostile.render("a.pdf", document, 1, 100)
    assert error.value.code is code
    assert hostile.render("a.pdf", b"well 9 of 2", 2, 100).height_px == 3


def test_closing_ends_a_reading_and_starts_no_child(hostile: ReaderClient, children: Children) -> None:
    events = hostile.read("a.pdf", b"hang 3 of 4")
    assert [next(events) for _ in range(3)]
    threading.Timer(0.1, hostile.close).start()
    with pytest.raises(JingyanError) as error:
        list(events)
    assert error.value.code is ErrorCode.READER_DIED
    assert len(children.all) == 1 and not children.all[0].alive


def test_document_gets_a_second_child_when_the_first_dies_before_opening(
    hostile: ReaderClient, children: Children
) -> None:
    assert kinds_of(list(hostile.read("a.pdf", b"well 9 of 1"))) == [1]
    children.all[0].kill()
    assert kinds_of(list(hostile.read("a.pdf", b"well 9 of 1"))) == [1]


def test_closed_reader_reads_no_more(hostile: ReaderClient) -> None:
    hostile.close()
    with pytest.raises(JingyanError) as error:
        list(hostile.read("a.pdf", b"well 9 of 1"))
    assert error.value.code is ErrorCode.READER_DIED
