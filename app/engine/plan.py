"""Memory plan: what a model will need at a given context, and the context that fits what is free.

An estimate from the header alone, meant to be a little high. It asks nothing of llama.cpp and loads nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.core.errors import ErrorCode, JingyanError
from app.engine.gguf import GgufHeader

BATCH_TOKENS = 256  # one micro-batch: small enough that cancel and progress come about once a second on two cores
SMALLEST_CONTEXT = 2_048  # below it a question with passages does not fit; smaller only when the model ends there
LARGEST_CHOSEN_CONTEXT = 32_768  # more only when asked for: KV grows with it and speed falls
_KV_BYTES = 2  # F16
_SPARE_SHARE = 0.1  # of what is free, left to the rest of the machine
_FIXED_BYTES = 64 * 1024 * 1024  # libraries, tokenizer tables, buffers that do not grow
_CONTEXT_STEP = 256  # llama.cpp rounds up to it


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    context_tokens: int
    weights_bytes: int
    kv_bytes: int
    compute_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.kv_bytes + self.compute_bytes + _FIXED_BYTES


def plan_memory(
    header: GgufHeader, weights_bytes: int, free_bytes: int, context_tokens: int = 0, *, name: str = ""
) -> MemoryPlan:
    """The plan for `context_tokens`; with 0, for the largest sensible context that fits.

    Raises OUT_OF_MEMORY(name, needed_bytes, free_bytes) when it does not fit, and never plans beyond what the
    model was trained for.
    """
    trained = header.number("context_length") or SMALLEST_CONTEXT
    if context_tokens:
        plan = estimate(header, weights_bytes, min(context_tokens, trained))
        if _fits(plan, free_bytes):
            return plan
    else:
        context = min(trained, LARGEST_CHOSEN_CONTEXT)
        plan = estimate(header, weights_bytes, context)
        while not _fits(plan, free_bytes) and plan.context_tokens > SMALLEST_CONTEXT:
            plan = estimate(header, weights_bytes, max(SMALLEST_CONTEXT, plan.context_tokens // 2))
        if _fits(plan, free_bytes):
            return plan
    raise JingyanError(ErrorCode.OUT_OF_MEMORY, name=name, needed_bytes=plan.total_bytes, free_bytes=free_bytes)


def estimate(header: GgufHeader, weights_bytes: int, context_tokens: int) -> MemoryPlan:
    context = -(-context_tokens // _CONTEXT_STEP) * _CONTEXT_STEP
    return MemoryPlan(
        context_tokens=context_tokens,
        weights_bytes=weights_bytes,
        kv_bytes=context * kv_bytes_per_token(header),
        compute_bytes=_compute_bytes(header, context),
    )


def kv_bytes_per_token(header: GgufHeader) -> int:
    """Bytes of keys and values one token leaves in all layers."""
    layers = header.number("block_count")
    if latent := header.number("attention.kv_lora_rank"):  # multi-head latent attention keeps one short vector
        return layers * (latent + header.number("rope.dimension_count")) * _KV_BYTES
    heads = header.number("attention.head_count")
    head_width = header.number("embedding_length") // heads if heads else 0
    width = header.number("attention.key_length", head_width) + header.number("attention.value_length", head_width)
    per_layer = header.numbers("attention.head_count_kv")
    kv_heads = sum(per_layer) if per_layer else layers * header.number("attention.head_count_kv", heads)
    return kv_heads * width * _KV_BYTES


def _compute_bytes(header: GgufHeader, context: int) -> int:
    """The largest intermediate results of one micro-batch: scores, feed-forward rows, logits, attention."""
    embedding, vocab = header.number("embedding_length"), header.vocab_size
    row = 4 * max(header.number("feed_forward_length") * 2, embedding * 6, vocab)
    attention = 4 * header.number("attention.head_count") * context // 8  # flash attention keeps tiles, not all of it
    return BATCH_TOKENS * (row + attention)


def _fits(plan: MemoryPlan, free_bytes: int) -> bool:
    return plan.total_bytes <= free_bytes * (1 - _SPARE_SHARE)
