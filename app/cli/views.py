"""Values as JSON and as lines of text: one place for the shapes that docs/cli.md documents."""

from __future__ import annotations

from typing import Any, TypeAlias

from app.cli.output import terminal_language
from app.core.values import Answer, Citation, Document, DocumentState, Passage
from app.wording import explain

Json: TypeAlias = dict[str, Any]  # Any: JSON objects hold values of every kind

_STATE_WIDTH = 8


def answer_json(answer: Answer) -> Json:
    return {
        "answer": answer.text,
        "citations": [citation_json(c) for c in answer.citations],
        "unsupported": list(answer.unsupported),
        "route": answer.route.value,
        "used": {"passages": [passage_json(p) for p in answer.passages], "images": answer.images},
        "model": answer.model,
        "reading_mode": answer.reading_mode,
        "end_reason": answer.end_reason.value,
        "timings": {
            "ttft_s": round(answer.timings.ttft_s, 4),
            "prompt_tokens": answer.timings.prompt_tokens,
            "cached_tokens": answer.timings.cached_tokens,
            "tokens": answer.timings.tokens,
            "tokens_per_s": round(answer.timings.tokens_per_s, 2),
        },
    }


def citation_json(citation: Citation) -> Json:
    return {
        "marker": citation.marker,
        "document": citation.document_name,
        "document_id": citation.document_id,
        "page_no": citation.page_no,
        "page_label": citation.page_label,
        "boxes": [[round(v, 2) for v in (b.x0, b.y0, b.x1, b.y1)] for b in citation.boxes],
        "quote": citation.quote,
        "verified": citation.verified,
    }


def passage_json(passage: Passage) -> Json:
    return {
        "number": passage.number,
        "document": passage.document_name,
        "document_id": passage.chunk.document_id,
        "page_no": passage.chunk.page_no,
        "page_label": passage.page_label,
        "heading": passage.chunk.heading,
        "score": round(passage.score, 4),
        "legs": {leg: round(score, 4) for leg, score in passage.legs.items()},
        "text": passage.chunk.text,
    }


def document_json(document: Document) -> Json:
    return {
        "document_id": document.document_id,
        "name": document.name,
        "path": str(document.path),
        "kind": document.kind.value if document.kind else None,
        "state": document.state.value,
        "title": document.title,
        "pages": document.page_count,
        "pages_read": document.pages_read,
        "size_bytes": document.size_bytes,
        "sha256": document.content_sha256,
        "added_at": document.added_at.isoformat(),
        "problems": [
            {"page_no": p.page_no, "code": p.reason.code.value, "facts": dict(p.reason.facts)}
            for p in document.problems
        ],
    }


def document_line(document: Document) -> str:
    pages = f"{document.pages_read}/{document.page_count} p." if document.page_count else ""
    reason = f"  {problem_text(document)}" if document.problems else ""
    return f"{document.document_id:>5}  {document.state.value:<{_STATE_WIDTH}}  {pages:>10}  {document.name}{reason}"


def problem_text(document: Document) -> str:
    """Why a document is partial or refused, in a few words; the pages concerned, when it is about pages."""
    language = terminal_language()
    first = document.problems[0]
    text = explain(first.reason, language).short
    if document.state is DocumentState.REFUSED or first.page_no == 0:
        return text
    pages = ", ".join(str(p.page_no) for p in document.problems[:6])
    more = "…" if len(document.problems) > 6 else ""
    return f"{text} (p. {pages}{more})"


def sources_text(answer: Answer) -> str:
    """What stands below an answer: its sources with pages; what could not be verified is said."""
    lines = [""]
    for citation in answer.citations:
        mark = "" if citation.verified else "  (not found in the source)"
        lines.append(f"[{citation.marker}] {citation.document_name}, p. {citation.page_label}{mark}")
    if answer.unsupported:
        lines.append("Not found on the cited pages: " + ", ".join(answer.unsupported))
    if answer.reading_mode:
        lines.append("Reading mode: these are the document's own words.")
    return "\n".join(lines)
