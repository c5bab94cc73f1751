"""What every view is built with: theme and language. One value instead of two arguments everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.gui.language import Language
from app.gui.theme.theme import Theme

if TYPE_CHECKING:
    from app.core.errors import Reason
    from app.wording import Sentence


@dataclass(frozen=True, slots=True)
class Ui:
    theme: Theme
    language: Language

    def explain(self, reason: Reason | None) -> Sentence:
        """The sentence of `reason` in the window's language; None is a bug of ours."""
        from app.wording import explain, unexpected  # nothing has gone wrong before the first paint

        return explain(reason, self.language.code) if reason else unexpected(self.language.code)
