"""Which model answers: load one, ask which is there, hear about changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.core.cancel import CancelToken
from app.core.errors import JingyanError
from app.core.events import ModelEvent, ModelFailed, ModelLoading, ModelReady
from app.core.ports import ChatEngine, Unsubscribe
from app.core.values import ModelInfo
from app.services.subscribers import Subscribers


class ModelsService:
    def __init__(self, engine: ChatEngine, subscribers: Subscribers[ModelEvent], context_tokens: int = 0) -> None:
        """`subscribers` is shared with the engine's adapter, which reports restarts through it."""
        self._engine = engine
        self._subscribers = subscribers
        self._context_tokens = context_tokens

    def current(self) -> ModelInfo | None:
        return self._engine.model()

    def load(self, path: Path, cancel: CancelToken | None = None) -> ModelInfo:
        """The new model, once it answers. On failure the old one stays and the error is raised."""
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
