"""Loads a GGUF with llama.cpp: header first, memory plan second, weights third.

Raises only JingyanError: MODEL_* when the file is at fault, OUT_OF_MEMORY(needed_bytes, free_bytes) before anything is
allocated, CANCELLED. A crafted file that gets llama.cpp to abort ends this process; that is why it is a child.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.core.cancel import CancelToken
from app.core.errors import ErrorCode, JingyanError
from app.core.limits import MIB
from app.core.paths import starter_models
from app.core.values import ModelInfo
from app.engine.binding import AbortFlag, error_log, llama
from app.engine.gguf import GgufHeader, read_header, split_parts
from app.engine.machine import Machine
from app.engine.plan import BATCH_TOKENS, MemoryPlan, plan_memory
from app.engine.templates import ChatTemplate, choose_template
from app.engine.vocabulary import Vocabulary

_NOT_CHAT_TYPES = frozenset({"mmproj", "adapter", "imatrix"})
_NOT_CHAT_ARCHITECTURES = frozenset({"clip", "t5encoder"})  # besides everything with a pooling type (embedders)
_ALL_LAYERS = -1
_MAX_DETAIL_CHARS = 160
_SHARED_WORK_BYTES = 64 * MIB  # below it threads wait for each other longer than they compute: a 2 MB model on two
# cores writes a quarter as fast with two threads as with one; a 900 MB one gains from the second


@dataclass(slots=True)
class LoadedModel:
    """A model with one context, ready to decode. Not thread-safe but for `vocabulary`. Close it exactly once."""

    info: ModelInfo
    plan: MemoryPlan
    vocabulary: Vocabulary
    template: ChatTemplate
    context: int  # llama_context pointer
    context_tokens: int
    abort: AbortFlag
    _model: int

    def close(self) -> None:
        llama.llama_free(self.context)
        llama.llama_model_free(self._model)


def load_model(
    path: Path,
    machine: Machine,
    *,
    context_tokens: int = 0,
    cancel: CancelToken | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
) -> LoadedModel:
    """The model at `path` (any part of a split one). 0 = the largest sensible context that fits in memory."""
    parts = split_parts(path)
    headers = [read_header(part) for part in parts]
    _check_is_chat(headers[0])
    weights = sum(header.tensor_bytes for header in headers)
    gpu = bool(llama.llama_supports_gpu_offload())
    # With a graphics card most weights go there; llama.cpp says when they do not fit, and then the plan counts.
    plan = plan_memory(headers[0], 0 if gpu else weights, machine.free_memory_bytes, context_tokens, name=path.name)
    steps = _Steps(cancel or CancelToken(), on_progress)
    error_log.clear()
    model = llama.llama_model_load_from_file(os.fsencode(parts[0]), _model_parameters(steps, gpu))
    if not model and gpu and not steps.cancel.cancelled:
        gpu = False
        plan = plan_memory(headers[0], weights, machine.free_memory_bytes, context_tokens, name=path.name)
        model = llama.llama_model_load_from_file(os.fsencode(parts[0]), _model_parameters(steps, gpu))
    if not model:
        steps.cancel.raise_if_cancelled()
        raise _refusal(path, headers[0], machine)
    try:
        return _finish(model, path, headers, plan, machine, gpu)
    except BaseException:
        llama.llama_model_free(model)
        raise


class _Steps:
    """llama.cpp's progress callback: passes progress on, answers whether to go on."""

    def __init__(self, cancel: CancelToken, on_progress: Callable[[float], None]) -> None:
        self.cancel = cancel
        self._on_progress = on_progress
        self._told = -1.0
        self.callback = llama.llama_progress_callback(self._step)

    def _step(self, share: float, _user: object) -> bool:
        if share - self._told >= 0.01 or share >= 1.0 > self._told:
            self._told = share
            self._on_progress(share)
        return not self.cancel.cancelled


def _model_parameters(steps: _Steps, gpu: bool) -> ctypes.Structure:
    parameters: ctypes.Structure = llama.llama_model_default_params()
    parameters.n_gpu_layers = _ALL_LAYERS if gpu else 0
    parameters.progress_callback = steps.callback
    return parameters


def _check_is_chat(header: GgufHeader) -> None:
    architecture = header.architecture
    if (
        header.text("general.type") in _NOT_CHAT_TYPES
        or architecture in _NOT_CHAT_ARCHITECTURES
        or f"{architecture}.pooling_type" in header.values
    ):
        raise JingyanError(ErrorCode.MODEL_NOT_CHAT, architecture=architecture)


def _finish(
    model: int, path: Path, headers: Sequence[GgufHeader], plan: MemoryPlan, machine: Machine, gpu: bool
) -> LoadedModel:
    vocabulary = Vocabulary(llama.llama_model_get_vocab(model))
    if vocabulary.size <= 0 or not llama.llama_model_has_decoder(model):
        raise JingyanError(ErrorCode.MODEL_NOT_CHAT, architecture=headers[0].architecture)
    template = choose_template(headers[0], bos=vocabulary.bos_text(), eos=vocabulary.eos_text())
    abort = AbortFlag()
    context = llama.llama_init_from_model(model, _context_parameters(plan, machine, abort))
    if not context:
        raise JingyanError(
            ErrorCode.OUT_OF_MEMORY,
            name=path.name,
            needed_bytes=plan.total_bytes,
            free_bytes=machine.free_memory_bytes,
        )
    context_tokens = min(plan.context_tokens, llama.llama_n_ctx(context))
    info = _describe(path, headers, context_tokens, template, "GPU" if gpu else "CPU")
    return LoadedModel(info, plan, vocabulary, template, context, context_tokens, abort, model)


def _context_parameters(plan: MemoryPlan, machine: Machine, abort: AbortFlag) -> ctypes.Structure:
    parameters: ctypes.Structure = llama.llama_context_default_params()
    parameters.n_ctx = plan.context_tokens
    parameters.n_batch = parameters.n_ubatch = min(BATCH_TOKENS, plan.context_tokens)
    parameters.n_seq_max = 1
    parameters.n_threads = 1 if plan.weights_bytes < _SHARED_WORK_BYTES else machine.cores
    parameters.n_threads_batch = machine.cores
    parameters.no_perf = True
    parameters.abort_callback = abort.callback
    parameters.abort_callback_data = abort.argument
    return parameters


def _describe(
    path: Path, headers: Sequence[GgufHeader], context_tokens: int, template: ChatTemplate, device: str
) -> ModelInfo:
    first = headers[0]
    return ModelInfo(
        path=path,
        name=(first.text("general.name") or path.stem)[:200],
        architecture=first.architecture,
        parameters=sum(header.parameters for header in headers),
        size_bytes=sum(header.file_bytes for header in headers),
        context_tokens=context_tokens,
        chat_template=template.name,
        device=device,
        starter=path.resolve().is_relative_to(starter_models().resolve()),
    )


def _refusal(path: Path, header: GgufHeader, machine: Machine) -> JingyanError:
    """Why llama.cpp would not load it, from its own words."""
    said = " ".join(error_log.lines()).replace(str(path), path.name)
    lowered = said.lower()
    if "unknown model architecture" in lowered:
        return JingyanError(ErrorCode.MODEL_UNSUPPORTED, name=path.name, architecture=header.architecture)
    if any(word in lowered for word in ("unable to allocate", "failed to allocate", "cannot allocate")):
        need = header.tensor_bytes
        return JingyanError(
            ErrorCode.OUT_OF_MEMORY, name=path.name, needed_bytes=need, free_bytes=machine.free_memory_bytes
        )
    detail = said.rpartition("error loading model: ")[2].split("llama_model_load")[0].strip()
    return JingyanError(ErrorCode.MODEL_DAMAGED, name=path.name, detail=detail[:_MAX_DETAIL_CHARS])
