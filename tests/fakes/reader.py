"""A reader with memory: knows documents by their bytes, and can be told to fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.core.cancel import CancelToken
from app.core.errors import ErrorCode, JingyanError, Reason
from app.core.ports import DocumentOpened, PageRead, ReadingEvent
from app.core.values import Box, DocumentKind, DraftChunk, PageImage, PageProblem, PageText, TextLine


@dataclass
class FakeReader:
    """Content is UTF-8; form feeds divide pages.

    A page "!broken" fails, at "!dies" the reader dies; "!locked" content wants the password "secret".
    """

    read_names: list[str] = field(default_factory=list)
    gate: threading.Event | None = None  # when set, waits for it before each page

    def read(
        self, name: str, content: bytes, *, password: str = "", cancel: CancelToken | None = None
    ) -> Iterator[ReadingEvent]:
        self.read_names.append(name)
        text = content.decode()
        if text.startswith("!locked") and password != "secret":
            raise JingyanError(ErrorCode.PASSWORD_NEEDED, name=name)
        pages = text.split("\f")
        yield DocumentOpened(DocumentKind.TEXT, name, len(pages))
        for page_no, page in enumerate(pages, 1):
            while self.gate and not self.gate.wait(0.01):
                if cancel:
                    cancel.raise_if_cancelled()
            if cancel:
                cancel.raise_if_cancelled()
            if page == "!dies":
                raise JingyanError(ErrorCode.READER_DIED)
            if page == "!broken":
                yield PageProblem(page_no, Reason(ErrorCode.PAGE_BROKEN))
                continue
            yield _page(page_no, page)
            if not page.strip():
                yield PageProblem(page_no, Reason(ErrorCode.PAGE_NO_TEXT))

    def render(self, name: str, content: bytes, page_no: int, width_px: int, *, password: str = "") -> PageImage:
        if content.startswith(b"!locked") and password != "secret":
            raise JingyanError(ErrorCode.PASSWORD_NEEDED, name=name)
        return PageImage(page_no, width_px, 2, 10.0, 20.0, bytes(width_px * 2 * 3))

    def close(self) -> None: ...


def _page(page_no: int, text: str) -> PageRead:
    box = Box(10, 10, 200, 22)
    line = (TextLine(0, len(text), box),) if text else ()
    page = PageText(page_no, str(page_no), 595, 842, text, line)
    chunks = (DraftChunk(page_no, 0, len(text), text, "", (box,)),) if text.strip() else ()
    return PageRead(page, chunks)
