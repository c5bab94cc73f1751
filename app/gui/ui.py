"""What every view is built with: theme and language. One value instead of two arguments everywhere."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.errors import Reason
from app.gui.language import Language
from app.gui.tasks import Failure
from app.gui.theme.theme import Theme
from app.wording import Sentence, explain, unexpected


@dataclass(frozen=True, slots=True)
class Ui:
    theme: Theme
    language: Language

    def explain(self, reason: Reason | None) -> Sentence:
        """The sentence of `reason` in the window's language; None is a bug of ours."""
        return explain(reason, self.language.code) if reason else unexpected(self.language.code)

    def explain_failure(self, failure: Failure) -> Sentence:
        return self.explain(failure.reason)
