"""What every ports.DocumentReader must do. Subclass it, give the fixture `reader` and say how documents are made."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from app.core.cancel import CancelToken
from app.core.errors import ErrorCode, JingyanError
from app.core.ports import DocumentOpened, DocumentReader, PageRead, ReadingEvent
from app.core.values import PageProblem
from tests.ingest.pages import check_promises

NAME = "document.pdf"


class ReaderContract:
    def document(self, pages: Sequence[str]) -> bytes:
        """A document with these pages; "" is a page without text."""
        raise NotImplementedError

    def with_broken_page(self, pages: int, broken_page: int) -> bytes:
        raise NotImplementedError

    def locked(self, text: str, password: str) -> bytes:
        raise NotImplementedError

    def test_opening_comes_first_and_pages_follow_in_order(self, reader: DocumentReader) -> None:
        opened, *events = list(reader.read(NAME, self.document(["First words", "Second words", "Third words"])))
        assert isinstance(opened, DocumentOpened) and opened.page_count == 3
        assert [(e.page.page_no, e.page.text) for e in events if isinstance(e, PageRead)] == [
            (1, "First words"),
            (2, "Second words"),
            (3, "Third words"),
        ]
        assert len(events) == 3

    def test_chunks_point_at_the_text_of_their_page(self, reader: DocumentReader) -> None:
        for event in reader.read(NAME, self.document(["The rent is 500 EUR.", "月租金是四千元。"])):
            if isinstance(event, PageRead):
                check_promises(event)
                assert event.chunks and all(chunk.boxes for chunk in event.chunks)

    def test_page_without_text_is_kept_and_followed_by_its_problem(self, reader: DocumentReader) -> None:
        events = list(reader.read(NAME, self.document(["Words", "", "More words"])))
        assert [_kind(e) for e in events] == ["opened", 1, 2, "page_no_text on 2", 3]

    def test_broken_page_becomes_a_problem_and_reading_goes_on(self, reader: DocumentReader) -> None:
        events = list(reader.read(NAME, self.with_broken_page(3, 2)))
        assert [_kind(e) for e in events] == ["opened", 1, "page_broken on 2", 3]

    def test_locked_document_wants_its_password(self, reader: DocumentReader) -> None:
        content = self.locked("secret words", "secret")
        with pytest.raises(JingyanError) as error:
            list(reader.read(NAME, content))
        assert error.value.code is ErrorCode.PASSWORD_NEEDED
        events = list(reader.read(NAME, content, password="secret"))
        assert isinstance(events[1], PageRead) and "secret words" in events[1].page.text

    def test_cancelled_reading_ends_with_cancelled(self, reader: DocumentReader) -> None:
        cancel = CancelToken()
        cancel.cancel()
        with pytest.raises(JingyanError) as error:
            list(reader.read(NAME, self.document(["Words"]), cancel=cancel))
        assert error.value.code is ErrorCode.CANCELLED

    def test_page_is_drawn_with_whole_rows(self, reader: DocumentReader) -> None:
        image = reader.render(NAME, self.document(["Words", "More words"]), 2, 120)
        assert (image.page_no, image.width_px) == (2, 120)
        assert len(image.rgb) == image.width_px * image.height_px * 3


def _kind(event: ReadingEvent) -> int | str:
    if isinstance(event, PageRead):
        return event.page.page_no
    return f"{event.reason.code} on {event.page_no}" if isinstance(event, PageProblem) else "opened"
