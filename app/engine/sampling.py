"""The choice of the next token: llama.cpp's C sampler chain, set up from our Sampling."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.core.values import Sampling
from app.engine.binding import llama

_PENALTY_WINDOW = 64  # tokens looked back at, llama.cpp's own default


@contextmanager
def sampler_chain(sampling: Sampling, vocab_size: int) -> Iterator[int]:
    """A sampler for one answer, freed at the end. Temperature 0 = always the likeliest token, whatever else is set."""
    parameters = llama.llama_sampler_chain_default_params()
    parameters.no_perf = True
    chain = llama.llama_sampler_chain_init(parameters)
    try:
        if sampling.repeat_penalty != 1.0:
            penalties = llama.llama_sampler_init_penalties(
                vocab_size, _PENALTY_WINDOW, sampling.repeat_penalty, 0.0, 0.0
            )
            llama.llama_sampler_chain_add(chain, penalties)
        for sampler in _choosers(sampling):
            llama.llama_sampler_chain_add(chain, sampler)  # the chain owns and frees it
        yield chain
    finally:
        llama.llama_sampler_free(chain)


def _choosers(sampling: Sampling) -> Iterator[int]:
    if sampling.temperature <= 0.0:
        yield llama.llama_sampler_init_greedy()
        return
    if sampling.top_k > 0:
        yield llama.llama_sampler_init_top_k(sampling.top_k)
    if sampling.top_p < 1.0:
        yield llama.llama_sampler_init_top_p(sampling.top_p, 1)
    if sampling.min_p > 0.0:
        yield llama.llama_sampler_init_min_p(sampling.min_p, 1)
    yield llama.llama_sampler_init_temp(sampling.temperature)
    yield llama.llama_sampler_init_dist(sampling.seed & 0xFFFFFFFF)
