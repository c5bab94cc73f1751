"""What runs inside an ingest child: take a document's bytes, open it, read it page by page, draw pages.

It holds one document at a time and knows nothing of paths: the bytes come through the pipe. Whatever a hostile
document does to this process, the parent checks all that leaves it and starts another one.
"""

from __future__ import annotations

import os

from app.core.errors import ErrorCode, JingyanError
from app.core.limits import MAX_FILE_BYTES
from app.ingest.pdf import PdfDocument
from app.ingest.reading import OpenDocument, open_document, read_page
from app.workers.child import Call, HandlerResult, serve
from app.workers.ingest_wire import WireImage, WireMissingPage, WireOpened, pack_page, wire_problem

EXIT_OUT_OF_MEMORY = 65


class _Desk:
    """The one document this child has on its desk, and the pieces of the next one."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self._document: OpenDocument | None = None

    def begin(self, call: Call) -> None:
        """Push: a new document's bytes follow."""
        self._pieces, self._size_bytes = [], 0

    def piece(self, call: Call) -> None:
        """Push: the next bytes. What exceeds the limit is dropped; `open` finds that the size is wrong."""
        self._size_bytes += len(call.body)
        if self._size_bytes <= MAX_FILE_BYTES:
            self._pieces.append(call.body)

    def open(self, call: Call) -> HandlerResult:
        """args: name, password, size_bytes. Answers a WireOpened."""
        self._forget()
        content = b"".join(self._pieces)
        self._pieces = []
        if len(content) != call.args["size_bytes"]:
            raise JingyanError(ErrorCode.FILE_TOO_LARGE, size_bytes=self._size_bytes, limit_bytes=MAX_FILE_BYTES)
        document = open_document(str(call.args["name"]), content, str(call.args["password"]))
        self._document = document
        return WireOpened(document.kind, document.title, document.page_count)

    def read(self, call: Call) -> HandlerResult:
        """args: start_page. Emits `page` (WirePage with its body) or `missing` (WireMissingPage) for each page."""
        document = self._opened()
        for page_no in range(int(call.args["start_page"]), document.page_count + 1):
            if call.cancelled:
                raise JingyanError(ErrorCode.CANCELLED)
            try:
                page, problem = read_page(document, page_no)
            except JingyanError as e:
                if "memory" in e.reason.facts:
                    os._exit(EXIT_OUT_OF_MEMORY)  # later pages would fail too; the parent goes on in a fresh child
                call.emit("missing", WireMissingPage(page_no, wire_problem(e.reason)))
            else:
                call.emit("page", *pack_page(page, problem))
        return None

    def render(self, call: Call) -> HandlerResult:
        """args: page_no, width_px. Answers a WireImage, the RGB rows in the body."""
        document = self._opened()
        if not isinstance(document, PdfDocument):
            raise JingyanError(ErrorCode.KIND_UNSUPPORTED, kind=document.kind.value)
        image = document.render_page(int(call.args["page_no"]), int(call.args["width_px"]))
        value = WireImage(image.page_no, image.width_px, image.height_px, image.width_pt, image.height_pt)
        return value, image.rgb

    def close(self, call: Call) -> HandlerResult:
        self._forget()
        return None

    def _opened(self) -> OpenDocument:
        if self._document is None:
            raise JingyanError(ErrorCode.DOCUMENT_NOT_THERE)
        return self._document

    def _forget(self) -> None:
        if self._document is not None:
            self._document.close()
            self._document = None


def main() -> int:
    desk = _Desk()
    handlers = {
        "begin": desk.begin,
        "piece": desk.piece,
        "open": desk.open,
        "read": desk.read,
        "render": desk.render,
        "close": desk.close,
    }
    return serve(handlers, threads=1)
