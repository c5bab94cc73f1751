"""The pane at the right: where an answer comes from. Page image or text, page label, citation by citation, zoom."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from app.core.values import Document, DocumentKind, PageImage, PageText
from app.gui.places import page_place
from app.gui.source.loader import PageLoader
from app.gui.source.page_view import PageView
from app.gui.source.place import Place
from app.gui.source.text_view import TextPageView
from app.gui.tasks import Failure
from app.gui.theme.tokens import Space
from app.gui.ui import Ui
from app.gui.widgets.basics import ElidedLabel, IconButton, IconLabel, label, set_gaps, set_look
from app.gui.widgets.notice import Level, NoticeBar

_QUOTE_CHARS = 420


class SourcePane(QWidget):
    close_asked = Signal()
    citation_shown = Signal(int)  # position in the list given to show_places

    def __init__(self, ui: Ui, loader: PageLoader, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("source")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._ui = ui
        self._loader = loader
        self._places: tuple[Place, ...] = ()
        self._at = 0
        self._document: Document | None = None
        self._page_count = 0
        self._notice: NoticeBar | None = None
        self._build()
        self._lay_out()
        loader.image_ready.connect(self._show_image)
        loader.text_ready.connect(self._show_text)
        loader.failed.connect(lambda _place, failure: self._explain(failure))
        ui.language.changed.connect(self._retranslate)
        self._retranslate()

    @property
    def place(self) -> Place | None:
        return self._places[self._at] if self._places else None

    def truth(self) -> str:
        """What is said about the quote: found, or not."""
        return self._verified.text()

    def notice_text(self) -> str:
        return self._notice.text() if self._notice is not None else ""

    def show_places(self, places: Sequence[Place], at: int, document: Document | None) -> None:
        """Show `places[at]`; the arrows walk through the rest. `document` is None when it is gone."""
        self._places, self._at = tuple(places), at
        self._document = document
        self._page_count = document.page_count if document else 0
        self._load()

    def step(self, by: int) -> None:
        """The previous or next citation; for an opened document, the previous or next page."""
        place = self.place
        if place is None:
            return
        if place.marker:
            at = self._at + by
            if 0 <= at < len(self._places):
                self.citation_shown.emit(at)
            return
        page_no = place.page_no + by
        if 1 <= page_no <= max(1, self._page_count):
            self._places = (Place(place.document_id, place.document_name, page_no, ""),)
            self._load()

    def _load(self) -> None:
        place = self.place
        if place is None:
            return
        self._clear_notice()
        self.page.clear()
        self.text.clear()
        self._describe(place)
        self._loader.load(place, as_text=self._is_text(), width_px=self.page.wanted_px())

    def _is_text(self) -> bool:
        return self._document is not None and self._document.kind in (DocumentKind.TEXT, DocumentKind.MARKDOWN)

    def _describe(self, place: Place) -> None:
        self._name.setText(place.document_name)
        self._name.setAccessibleName(self.tr("Source: {name}").format(name=place.document_name))
        self._where.setText(self._where_words(place))
        from_answer = place.marker > 0
        self._counter.setText(f"{self._at + 1} / {len(self._places)}" if from_answer else "")
        self._counter.setVisible(from_answer)
        last = len(self._places) - 1 if from_answer else max(1, self._page_count) - 1
        now = self._at if from_answer else place.page_no - 1
        self._previous.setEnabled(now > 0)
        self._next.setEnabled(now < last)
        self._quote.setVisible(bool(place.quote))
        quote = " ".join(place.quote.split())
        self._quote_text.setText(f"“{quote}”" if len(quote) <= _QUOTE_CHARS else f"“{quote[:_QUOTE_CHARS]}…”")
        self._verified_icon.set_icon("check" if place.verified else "warning", "good" if place.verified else "warn")
        self._verified.setText(
            self.tr("Found word for word on this page") if place.verified else self.tr("Not found in the source")
        )
        self._retranslate_steps(from_answer=from_answer)

    def _where_words(self, place: Place) -> str:
        words = page_place(place.page_no, place.page_label)
        if not self._page_count or place.page_label.startswith("line"):
            return words
        if place.page_label in ("", str(place.page_no)):
            return self.tr("{place} of {count}").format(place=words, count=self._page_count)
        counted = self.tr("page {page_no} of {count}").format(page_no=place.page_no, count=self._page_count)
        return f"{words} · {counted}"  # the printed label and the count differ: "p. iv · page 6 of 120"

    def _show_image(self, place: Place, image: PageImage) -> None:
        if place is self.place:
            self._views.setCurrentWidget(self.page)
            self._zoom_tools.setVisible(True)
            self.page.show_page(image, place.boxes)

    def _show_text(self, place: Place, page: PageText, why: Failure | None) -> None:
        if place is self.place:
            self._views.setCurrentWidget(self.text)
            self._zoom_tools.setVisible(False)
            self.text.show_text(page.text, place.quote)
            if why is not None:
                self._explain(why)

    def _explain(self, failure: Failure) -> None:
        self._clear_notice()

        def words() -> tuple[str, str]:
            sentence = self._ui.explain(failure.reason)
            return sentence.happened, sentence.next

        self._notice = NoticeBar(self._ui, Level.WARN, words, self)
        self._above.addWidget(self._notice)

    def _clear_notice(self) -> None:
        if self._notice is not None:
            self._notice.hide()
            self._notice.deleteLater()
            self._notice = None

    def _build(self) -> None:
        self._name = ElidedLabel()
        set_look(self._name, "strong")
        self._where = label("caption")
        self._counter = label("caption")
        self._previous = IconButton(self._ui, "chevron_left")
        self._next = IconButton(self._ui, "chevron_right")
        self._close = IconButton(self._ui, "close")
        self._previous.clicked.connect(lambda: self.step(-1))
        self._next.clicked.connect(lambda: self.step(1))
        self._close.clicked.connect(self.close_asked)
        self.page = PageView(self._ui)
        self.page.sharper_asked.connect(self._sharper)
        self.text = TextPageView(self._ui)
        self._views = QStackedWidget()
        self._views.addWidget(self.page)
        self._views.addWidget(self.text)
        self._smaller = IconButton(self._ui, "zoom_out")
        self._larger = IconButton(self._ui, "zoom_in")
        self._fit = IconButton(self._ui, "fit")
        self._smaller.clicked.connect(lambda: self.page.zoom_by(-1))
        self._larger.clicked.connect(lambda: self.page.zoom_by(1))
        self._fit.clicked.connect(lambda: self.page.set_zoom(1.0))
        self._quote = QFrame()
        self._quote.setObjectName("quote_card")
        self._quote_text = label("", wrap=True)
        self._quote_text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._verified_icon = IconLabel(self._ui, "check", "good", 14)
        self._verified = label("caption")

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        set_gaps(head, Space.XS, (Space.L, Space.S, Space.S, Space.XS))
        head.addWidget(self._name, 1)
        head.addWidget(self._close)
        self._zoom_tools = QWidget()
        zoom = QHBoxLayout(self._zoom_tools)
        set_gaps(zoom, Space.XXS)
        for button in (self._smaller, self._fit, self._larger):
            zoom.addWidget(button)
        tools = QHBoxLayout()
        set_gaps(tools, Space.XXS, (Space.L, 0, Space.S, Space.S))
        tools.addWidget(self._where)
        tools.addStretch(1)
        tools.addWidget(self._zoom_tools)
        tools.addSpacing(Space.S)
        tools.addWidget(self._previous)
        tools.addWidget(self._counter)
        tools.addWidget(self._next)
        self._above = QVBoxLayout()
        set_gaps(self._above, 0, (Space.M, 0, Space.M, 0))
        quote = QVBoxLayout(self._quote)
        set_gaps(quote, Space.XS, (Space.M, Space.M, Space.M, Space.M))
        quote.addWidget(self._quote_text)
        truth = QHBoxLayout()
        set_gaps(truth, Space.XS)
        truth.addWidget(self._verified_icon)
        truth.addWidget(self._verified, 1)
        quote.addLayout(truth)
        below = QVBoxLayout()
        set_gaps(below, 0, (Space.M, Space.S, Space.M, Space.M))
        below.addWidget(self._quote)
        layout = QVBoxLayout(self)
        set_gaps(layout, 0)
        layout.addLayout(head)
        layout.addLayout(tools)
        layout.addLayout(self._above)
        layout.addWidget(self._views, 1)
        layout.addLayout(below)

    def _sharper(self, width_px: int) -> None:
        place = self.place
        if place is not None and not self._is_text():
            self._loader.load(place, as_text=False, width_px=width_px)

    def _retranslate(self) -> None:
        self._close.set_words(self.tr("Close the source"))
        self._smaller.set_words(self.tr("Smaller"))
        self._larger.set_words(self.tr("Larger"))
        self._fit.set_words(self.tr("Fit the width"))
        self.page.setAccessibleName(self.tr("Page image"))
        self.text.setAccessibleName(self.tr("Page text"))
        self._retranslate_steps(from_answer=True)
        if self.place is not None:
            self._describe(self.place)

    def _retranslate_steps(self, *, from_answer: bool) -> None:
        self._previous.set_words(self.tr("Previous citation") if from_answer else self.tr("Previous page"))
        self._next.set_words(self.tr("Next citation") if from_answer else self.tr("Next page"))
