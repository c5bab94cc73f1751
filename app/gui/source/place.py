"""What the source pane shows: a page of a document, and what to mark on it."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.values import Box, Citation, DocumentId


@dataclass(frozen=True, slots=True)
class Place:
    document_id: DocumentId
    document_name: str
    page_no: int
    page_label: str
    boxes: tuple[Box, ...] = ()
    quote: str = ""
    verified: bool = True
    marker: int = 0  # 0: not from an answer


def place_of(citation: Citation) -> Place:
    return Place(
        citation.document_id,
        citation.document_name,
        citation.page_no,
        citation.page_label,
        citation.boxes,
        citation.quote,
        citation.verified,
        citation.marker,
    )
