"""Fetches pages for the source pane in the background: the newest wish wins, a page seen before is there at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from app.core.values import DocumentId, PageImage, PageText
from app.gui.ports import Library
from app.gui.source.place import Place
from app.gui.tasks import Failure, Tasks

_KEPT_PAGES = 12  # about 12 x 4 MB at a usual pane width
_WIDTH_STEP_PX = 160  # widths are rounded up to this, so that dragging the pane's edge does not render at each pixel
_MAX_WIDTH_PX = 4_000  # A4 at 480 dpi


class PageLoader(QObject):
    image_ready = Signal(object, object)  # Place, PageImage
    text_ready = Signal(object, object, object)  # Place, PageText, Failure | None (why there is no image)
    failed = Signal(object, object)  # Place, Failure

    def __init__(self, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._library: Library | None = None
        self._place: Place | None = None
        self._kept: OrderedDict[tuple[DocumentId, int, int], PageImage] = OrderedDict()

    def connect_library(self, library: Library) -> None:
        self._library = library

    def forget(self, document_id: DocumentId) -> None:
        """The document changed or is gone: its pictures are worth nothing."""
        for key in [key for key in self._kept if key[0] == document_id]:
            del self._kept[key]

    def load(self, place: Place, *, as_text: bool, width_px: int) -> None:
        self._place = place
        library = self._library
        if library is None:
            return
        if as_text:
            self._load_text(library, place, None)
            return
        width_px = min(_MAX_WIDTH_PX, -(-width_px // _WIDTH_STEP_PX) * _WIDTH_STEP_PX)
        key = (place.document_id, place.page_no, width_px)
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            self.image_ready.emit(place, kept)
            return
        self._tasks.run(
            lambda: library.render_page(place.document_id, place.page_no, width_px),
            lambda image: self._image(place, key, image),
            self._if_current(place, lambda failure: self._load_text(library, place, failure)),
        )

    def _image(self, place: Place, key: tuple[DocumentId, int, int], image: PageImage) -> None:
        self._kept[key] = image
        while len(self._kept) > _KEPT_PAGES:
            self._kept.popitem(last=False)
        if place is self._place:
            self.image_ready.emit(place, image)

    def _load_text(self, library: Library, place: Place, why: Failure | None) -> None:
        """`why`: the reason there is no picture; the text read earlier is shown instead."""

        def show(page: PageText) -> None:
            if place is self._place:
                self.text_ready.emit(place, page, why)

        failed = self._if_current(place, lambda failure: self.failed.emit(place, why or failure))
        self._tasks.run(lambda: library.page_text(place.document_id, place.page_no), show, failed)

    def _if_current(self, place: Place, then: Callable[[Failure], None]) -> Callable[[Failure], None]:
        def check(failure: Failure) -> None:
            if place is self._place:
                then(failure)

        return check
