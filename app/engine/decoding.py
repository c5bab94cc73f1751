"""The decode loop: prompt in, text out, one conversation at a time in one context.

Keeps what the context already holds and reads only what is new behind the longest common beginning. The prompt goes
in as micro-batches with progress and cancel between them; cancel also stops a batch in the middle through
llama.cpp's abort flag. Text leaves merged, at most every MERGE_S, whole characters only.
Not thread-safe: session.py lets one answer at a time in.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator, Sequence

from app.core.cancel import CancelToken
from app.core.errors import ErrorCode, JingyanError
from app.core.events import GenerationEnded, GenerationEvent, PromptProgress, TextDelta
from app.core.values import EndReason, Sampling, Timings
from app.engine.binding import llama
from app.engine.detokenise import Detokeniser, ThoughtFilter
from app.engine.load import LoadedModel
from app.engine.plan import BATCH_TOKENS
from app.engine.sampling import sampler_chain

MERGE_S = 0.02  # a screen frame or so: more often is waste, less often is visible
MIN_ANSWER_TOKENS = 16  # a prompt that leaves less room than this is refused as too long
_ABORTED = 2  # llama_decode: stopped by the abort flag


class EngineBrokenError(Exception):
    """llama.cpp reported a failure it does not recover from; the process should end and be started again."""


class Decoder:
    """Decodes with one loaded model, remembering what its context holds."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._vocabulary = model.vocabulary
        self._context = model.context
        self._memory = llama.llama_get_memory(model.context)
        self._held: list[int] = []  # the tokens in the context, position by position
        self._one = (ctypes.c_int32 * 1)()
        self._one_batch = llama.llama_batch_get_one(self._one, 1)
        self.generated_tokens = 0  # of the answer in progress; read by whoever passes its events on

    def answer(
        self, prompt: Sequence[int], sampling: Sampling, cancel: CancelToken, *, thinking: bool = False
    ) -> Iterator[GenerationEvent]:
        """Events of one answer, ending with GenerationEnded. `thinking`: the prompt ends inside a thought.

        Raises CONTEXT_TOO_LONG(needed_tokens, context_tokens) before anything is read.
        """
        self._check_room(len(prompt), sampling)
        self.generated_tokens = 0
        started_s = time.perf_counter()
        self._model.abort.clear()
        forget = cancel.on_cancel(self._model.abort.set)
        try:
            cached = self._keep_common(prompt)
            yield PromptProgress(cached, len(prompt))
            for read in self._read_prompt(prompt, cancel):
                yield PromptProgress(read, len(prompt))
            clock = _Clock(started_s, len(prompt), cached)
            if cancel.cancelled:
                yield GenerationEnded(EndReason.CANCELLED, clock.timings(0))
                return
            yield from self._write(sampling, cancel, clock, ThoughtFilter(inside=thinking))
        finally:
            forget()
            self._model.abort.clear()

    def _check_room(self, prompt_tokens: int, sampling: Sampling) -> None:
        room = min(MIN_ANSWER_TOKENS, max(1, sampling.max_tokens))
        if prompt_tokens == 0 or prompt_tokens + room > self._model.context_tokens:
            raise JingyanError(
                ErrorCode.CONTEXT_TOO_LONG,
                needed_tokens=prompt_tokens + room,
                context_tokens=self._model.context_tokens,
            )

    def _keep_common(self, prompt: Sequence[int]) -> int:
        """Forget what the context holds beyond the common beginning; how many tokens stay.

        At least one token of the prompt is read again, because its last one must produce the first choice.
        """
        common = 0
        for held, wanted in zip(self._held, prompt[:-1], strict=False):
            if held != wanted:
                break
            common += 1
        if common < len(self._held) and not llama.llama_memory_seq_rm(self._memory, 0, common, -1):
            llama.llama_memory_clear(self._memory, True)  # recurrent models cannot go back part of the way
            common = 0
        del self._held[common:]
        return common

    def _read_prompt(self, prompt: Sequence[int], cancel: CancelToken) -> Iterator[int]:
        """Read the rest of the prompt; yields how many tokens are read after each micro-batch."""
        while len(self._held) < len(prompt) and not cancel.cancelled:
            piece = prompt[len(self._held) : len(self._held) + BATCH_TOKENS]
            tokens = (ctypes.c_int32 * len(piece))(*piece)
            self._decode(llama.llama_batch_get_one(tokens, len(piece)), piece)
            yield len(self._held)

    def _write(
        self, sampling: Sampling, cancel: CancelToken, clock: _Clock, thoughts: ThoughtFilter
    ) -> Iterator[GenerationEvent]:
        detokeniser = Detokeniser()
        waiting = ""
        reason = EndReason.LENGTH
        with sampler_chain(sampling, self._vocabulary.size) as chain:
            while self.generated_tokens < sampling.max_tokens and len(self._held) <= self._model.context_tokens:
                token = llama.llama_sampler_sample(chain, self._context, -1)
                if token in self._vocabulary.ends:
                    reason = EndReason.STOP
                    break
                self.generated_tokens += 1
                waiting += thoughts.add(detokeniser.add(self._vocabulary.piece(token)))
                if waiting and clock.text_is_due():
                    yield TextDelta(waiting)
                    clock.text_left()
                    waiting = ""
                if not cancel.cancelled and self.generated_tokens < sampling.max_tokens:
                    self._decode_one(token)
                if cancel.cancelled:
                    reason = EndReason.CANCELLED
                    break
        clock.stop()
        waiting += thoughts.add(detokeniser.finish()) + thoughts.finish()
        if waiting:
            yield TextDelta(waiting)
        yield GenerationEnded(reason, clock.timings(self.generated_tokens))

    def _decode_one(self, token: int) -> None:
        if len(self._held) < self._model.context_tokens:
            self._one[0] = token
            self._decode(self._one_batch, (token,))
        else:
            self._held.append(token)  # no room: the loop ends on this

    def _decode(self, batch: object, tokens: Sequence[int]) -> None:
        status = llama.llama_decode(self._context, batch)
        if status == 0:
            self._held.extend(tokens)
        elif status == _ABORTED:
            position = llama.llama_memory_seq_pos_max(self._memory, 0)
            self._held.extend(tokens)
            del self._held[max(0, position + 1) :]
        else:
            raise EngineBrokenError(f"llama_decode returned {status}")


class _Clock:
    """When text is due, and the figures of one answer."""

    def __init__(self, started_s: float, prompt_tokens: int, cached_tokens: int) -> None:
        self._started_s = started_s
        self._prompt_tokens = prompt_tokens
        self._cached_tokens = cached_tokens
        self._writing_since_s = time.perf_counter()
        self._text_at_s = 0.0
        self._first_text_s = 0.0
        self._away_s = 0.0  # spent by whoever takes the text
        self._wrote_s = 0.0

    def text_is_due(self) -> bool:
        now = time.perf_counter()
        if now - self._text_at_s < MERGE_S:
            return False
        self._text_at_s = now
        self._first_text_s = self._first_text_s or now
        return True

    def text_left(self) -> None:
        self._away_s += time.perf_counter() - self._text_at_s

    def stop(self) -> None:
        self._wrote_s = time.perf_counter() - self._writing_since_s - self._away_s

    def timings(self, tokens: int) -> Timings:
        first = self._first_text_s or time.perf_counter()
        return Timings(
            ttft_s=first - self._started_s,
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            tokens=tokens,
            tokens_per_s=tokens / self._wrote_s if self._wrote_s > 0 else 0.0,
        )
