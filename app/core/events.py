"""Typed events: what happens while a question is answered, a model speaks, a library changes.

One stream type per use case; window, command line and tests read the same stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from app.core.errors import Reason
from app.core.values import (
    Answer,
    Document,
    DocumentId,
    EndReason,
    ModelInfo,
    Passage,
    Route,
    Timings,
)


# ---- answering -------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class RouteChosen:
    route: Route


@dataclass(frozen=True, slots=True)
class PassagesChosen:
    """The passages that go in, and how many of the question's budget they use."""

    passages: tuple[Passage, ...]
    used_tokens: int
    budget_tokens: int


@dataclass(frozen=True, slots=True)
class PromptProgress:
    read_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More answer text. Whole characters only."""

    text: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know that does not end the answer (for example: model died, text kept)."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class AnswerReady:
    """Always the last event. Its text replaces what was streamed (same words, markers checked)."""

    answer: Answer


AskEvent: TypeAlias = RouteChosen | PassagesChosen | PromptProgress | TextDelta | Notice | AnswerReady


# ---- generation (engine) ---------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class GenerationEnded:
    """Always the last event of a generation, also when the engine died (reason DIED)."""

    reason: EndReason
    timings: Timings


GenerationEvent: TypeAlias = PromptProgress | TextDelta | GenerationEnded


# ---- library ---------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class DocumentChanged:
    document: Document


@dataclass(frozen=True, slots=True)
class DocumentRemoved:
    document_id: DocumentId


LibraryEvent: TypeAlias = DocumentChanged | DocumentRemoved


# ---- models ----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ModelLoading:
    name: str


@dataclass(frozen=True, slots=True)
class ModelReady:
    model: ModelInfo


@dataclass(frozen=True, slots=True)
class ModelFailed:
    """The load failed; `kept` is the model that still answers, if any."""

    reason: Reason
    kept: ModelInfo | None


@dataclass(frozen=True, slots=True)
class EngineRestarted:
    """The engine ended on its own and is being started again."""

    reason: Reason


ModelEvent: TypeAlias = ModelLoading | ModelReady | ModelFailed | EngineRestarted
