"""Chat templates: which one a model gets, and the prompt text it makes of a conversation.

A model's own template is used when it has one. Templates are known by what they print: the fingerprint of a template
is the hash of its output for a few fixed conversations, so that a known one is known in any spelling. A file without
a template gets ours by architecture; one without either is refused, because a guessed format makes a model babble.
Running foreign templates within bounds is template_sandbox's part; keeping documents from forging turns is
vocabulary's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app.core.errors import ErrorCode, JingyanError
from app.core.paths import resources
from app.core.values import Message, Role
from app.engine.gguf import GgufHeader
from app.engine.template_sandbox import TemplateRefusedError, compile_template

OWN = "own"  # the name of a template that only its model file knows
_BY_ARCHITECTURE: Mapping[str, str] = {"glm4": "glm-4-0414", "chatglm": "glm-4", "glm4moe": "glm-4.6"}
_KNOWN = ("glm-4", "glm-4-0414", "glm-edge", "glm-4.6", "glm-4.7")
_MAX_NAME_CHARS = 64

_PROBES: Sequence[tuple[Message, ...]] = (
    (Message(Role.USER, "1 + 1?"),),
    (Message(Role.SYSTEM, "S."), Message(Role.USER, " a b "), Message(Role.ASSISTANT, "c"), Message(Role.USER, "d")),
)


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """`name` is a known family's name or "own"."""

    name: str
    _render: Callable[[Mapping[str, object]], str]
    _bos: str = ""
    _eos: str = ""

    def prompt(self, messages: Sequence[Message]) -> str:
        """The text that makes the model answer these messages. Raises MODEL_DAMAGED when the template fails on them.

        A template that takes no system message gets its text in front of the first question. Thinking is switched
        off where the template knows how: thoughts would only be thrown away.
        """
        try:
            return self._print(messages)
        except TemplateRefusedError as error:
            without_system = _without_system(messages)
            if without_system is None:
                raise JingyanError(ErrorCode.MODEL_DAMAGED, detail=f"template: {error}") from error
        try:
            return self._print(without_system)
        except TemplateRefusedError as error:
            raise JingyanError(ErrorCode.MODEL_DAMAGED, detail=f"template: {error}") from error

    def _print(self, messages: Sequence[Message]) -> str:
        variables = {
            "messages": [{"role": message.role.value, "content": message.content} for message in messages],
            "add_generation_prompt": True,
            "enable_thinking": False,
            "tools": None,
            "bos_token": self._bos,
            "eos_token": self._eos,
        }
        return self._render(variables)


def _without_system(messages: Sequence[Message]) -> tuple[Message, ...] | None:
    """The same with a leading system message put into the question behind it; None when there is none."""
    if len(messages) < 2 or messages[0].role is not Role.SYSTEM or messages[1].role is not Role.USER:
        return None
    return (Message(Role.USER, f"{messages[0].content}\n\n{messages[1].content}"), *messages[2:])


def choose_template(header: GgufHeader, *, bos: str = "", eos: str = "") -> ChatTemplate:
    """The template for a model. Raises MODEL_NOT_CHAT when it has none, MODEL_DAMAGED when its own is unusable."""
    source = header.chat_template
    if source:
        try:
            render = compile_template(source)
        except TemplateRefusedError as error:
            raise JingyanError(ErrorCode.MODEL_DAMAGED, detail=f"template: {error}") from error
        template = ChatTemplate(OWN, render, bos, eos)
        return ChatTemplate(_known_fingerprints().get(_fingerprint(template), OWN), render, bos, eos)
    if name := _BY_ARCHITECTURE.get(header.architecture):
        return our_template(name)
    raise JingyanError(ErrorCode.MODEL_NOT_CHAT, architecture=header.architecture[:_MAX_NAME_CHARS])


def our_template(name: str) -> ChatTemplate:
    """One of the templates we ship, by name."""
    return ChatTemplate(name, compile_template(_template_file(name).read_text(encoding="utf-8")))


def _template_file(name: str) -> Path:
    return resources() / "prompts" / "templates" / f"{name}.jinja"


@cache
def _known_fingerprints() -> Mapping[str, str]:
    return {_fingerprint(our_template(name)): name for name in _KNOWN}


def _fingerprint(template: ChatTemplate) -> str:
    """Hash of what the template prints. One that fails on a probe (some want no system message) says so in it."""
    digest = hashlib.sha256()
    for messages in _PROBES:
        try:
            printed = template.prompt(messages)
        except JingyanError:
            printed = "\0refused"
        digest.update(printed.encode("utf-8", "replace") + b"\0")
    return digest.hexdigest()
