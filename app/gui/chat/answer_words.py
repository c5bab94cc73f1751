"""Sentences about an answer: what is going on before the first word, and how it was made at the end."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from app.core.events import PassagesChosen, PromptProgress
from app.core.values import Answer, EndReason, Route
from app.gui.plurals import Plurals
from app.wording import format_count

translate = QCoreApplication.translate  # the name under which lupdate finds the strings


def waiting() -> str:
    return translate("Answers", "One moment…")


def route_words(route: Route) -> str:
    return {
        Route.CHAT: translate("Answers", "Thinking…"),
        Route.RETRIEVAL: translate("Answers", "Searching your documents…"),
        Route.WHOLE_DOCUMENT: translate("Answers", "Reading the whole document…"),
    }[route]


def passages_words(event: PassagesChosen) -> str:
    return Plurals().reading_passages(len(event.passages))


def progress_words(event: PromptProgress) -> str:
    share = min(100, 100 * event.read_tokens // max(1, event.total_tokens))
    return translate("Answers", "Reading… {percent}%").format(percent=share)


def end_words(reason: EndReason) -> str:
    """A line for an answer that did not end by itself; empty for one that did. DIED has its own notice."""
    return {
        EndReason.CANCELLED: translate("Answers", "You stopped this answer."),
        EndReason.LENGTH: translate("Answers", "The answer reached its length limit and stops here."),
    }.get(reason, "")


def how_words(answer: Answer) -> str:
    """ "Searched your documents · 6 passages · GLM-4-9B · 12.3 tokens/s": what went in, and who answered."""
    parts = [
        {
            Route.CHAT: translate("Answers", "Without documents"),
            Route.RETRIEVAL: translate("Answers", "Searched your documents"),
            Route.WHOLE_DOCUMENT: translate("Answers", "Read the whole document"),
        }[answer.route]
    ]
    if answer.passages:
        parts.append(Plurals().passages(len(answer.passages)))
    if answer.images:
        parts.append(Plurals().images(answer.images))
    if answer.model and not answer.reading_mode:
        parts.append(answer.model)
    if answer.timings.tokens_per_s and not answer.reading_mode:
        parts.append(
            translate("Answers", "{rate} tokens/s").format(rate=format_count(round(answer.timings.tokens_per_s, 1)))
        )
    return " · ".join(parts)


def unsupported_words(answer: Answer) -> tuple[str, str]:
    phrases = ", ".join(f"“{phrase}”" for phrase in answer.unsupported[:8])
    return translate("Answers", "Not found in the source"), translate(
        "Answers", "Check before you rely on it: {phrases}"
    ).format(phrases=phrases)
