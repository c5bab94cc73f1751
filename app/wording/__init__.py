"""Sentences for people: every error code as what happened, what is safe, what to do next. Window and CLI share it.

Not for logs (they keep codes) and not for labels of the window (those are tr() strings of app.gui).
"""

from app.wording.formats import format_count, format_duration, format_size
from app.wording.sentences import LANGUAGES, Language, Sentence, explain, unexpected

__all__ = [
    "LANGUAGES",
    "Language",
    "Sentence",
    "explain",
    "format_count",
    "format_duration",
    "format_size",
    "unexpected",
]
