"""The state of a document in words and as an icon. Never says "ready" when something of it is missing."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QCoreApplication

from app.core.errors import Reason
from app.core.values import Document, DocumentKind, DocumentState, PageProblem
from app.gui.plurals import Plurals
from app.gui.ui import Ui

translate = QCoreApplication.translate  # the name under which lupdate finds the strings

_ICONS = {
    DocumentState.QUEUED: ("clock", "muted"),
    DocumentState.READING: ("reading", "accent"),
    DocumentState.READY: ("check", "good"),
    DocumentState.PARTIAL: ("warning", "warn"),
    DocumentState.REFUSED: ("refused", "error"),
}


def state_icon(state: DocumentState) -> tuple[str, str]:
    """Icon name and colour token."""
    return _ICONS[state]


def kind_icon(document: Document) -> str:
    if document.kind is DocumentKind.PDF:
        return "file_pdf"
    return "file" if document.kind is None else "file_text"


def state_words(ui: Ui, document: Document) -> str:
    """A few words: "Reading page 12 of 80", "80 pages", "2 of 80 pages are missing", "Needs a password"."""
    state = document.state
    if state is DocumentState.QUEUED:
        return translate("Documents", "Waiting")
    if state is DocumentState.READING:
        if document.page_count == 0:
            return translate("Documents", "Opening…")
        return translate("Documents", "Reading p. {page}/{pages}").format(
            page=document.pages_read, pages=document.page_count
        )
    if state is DocumentState.READY:
        return _pages(document)
    reasons = [problem.reason for problem in document.problems]
    short = ui.explain(reasons[0]).short if reasons else ""
    if state is DocumentState.REFUSED:
        return short or translate("Documents", "Could not be read")
    bad_pages = {problem.page_no for problem in document.problems if problem.page_no > 0}
    if not bad_pages:
        return (
            translate("Documents", "Partly read: {why}").format(why=short)
            if short
            else translate("Documents", "Partly read")
        )
    if len(bad_pages) == 1:
        return translate("Documents", "Page {page}: {why}").format(page=min(bad_pages), why=short)
    return Plurals().pages_missing(len(bad_pages))


def state_name(state: DocumentState) -> str:
    """One word or two, for screen readers and the details."""
    return {
        DocumentState.QUEUED: translate("Documents", "Waiting"),
        DocumentState.READING: translate("Documents", "Reading"),
        DocumentState.READY: translate("Documents", "Ready"),
        DocumentState.PARTIAL: translate("Documents", "Partly read"),
        DocumentState.REFUSED: translate("Documents", "Refused"),
    }[state]


def problem_reason(document: Document, problem: PageProblem) -> Reason:
    """The reason with the page and the name filled in where the finder left them out."""
    facts = {"name": document.name} | ({"page_no": problem.page_no} if problem.page_no else {})
    return replace(problem.reason, facts=facts | dict(problem.reason.facts))


def _pages(document: Document) -> str:
    if document.kind is DocumentKind.PDF:
        return Plurals().pages(document.page_count)
    return translate("Documents", "Ready")
