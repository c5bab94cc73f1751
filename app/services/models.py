"""Which model answers: load one, ask which is there, hear about changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from app.core.cancel import CancelToken
from app.core.errors import JingyanError
from app.core.events import ModelEvent, ModelFailed, ModelLoading, ModelReady
from app.core.ports import ChatEngine, Unsubscribe
from app.core.values import ModelInfo
from app.services.subscribers import Subscribers

log = logging.getLogger(__name__)


def _forget(path: Path) -> None:
    """For runs that keep nothing."""


class ModelsService:
    def __init__(
        self,
        engine: ChatEngine,
        subscribers: Subscribers[ModelEvent],
        context_tokens: int = 0,
        remember: Callable[[Path], None] = _forget,
    ) -> None:
        """`subscribers` is shared with the engine's adapter, which reports restarts through it.

        `remember` is told the path of a model that the user chose and that answers.
        """
        self._remember = remember
        self._engine = engine
        self._subscribers = subscribers
        self._context_tokens = context_tokens

    def current(self) -> ModelInfo | None:
        return self._engine.model()

    def load(self, path: Path, cancel: CancelToken | None = None) -> ModelInfo:
        """The user's choice: the new model, once it answers; it is remembered for the next start.

        On failure the old one stays and the error is raised.
        """
        model = self.start(path, cancel)
        try:
            self._remember(model.path)
        except JingyanError as error:  # the model works; only the next start will not know of it
            log.warning("model not remembered: %s", error.code)
        return model

    def start(self, path: Path, cancel: CancelToken | None = None) -> ModelInfo:
        """Load without remembering: what the settings or the command line name."""
        self._subscribers.tell(ModelLoading(path.name))
        try:
            model = self._engine.load(path.absolute(), context_tokens=self._context_tokens, cancel=cancel)
        except JingyanError as error:
            self._subscribers.tell(ModelFailed(error.reason, self._engine.model()))
            raise
        self._subscribers.tell(ModelReady(model))
        return model

    def subscribe(self, callback: Callable[[ModelEvent], None]) -> Unsubscribe:
        return self._subscribers.add(callback)
