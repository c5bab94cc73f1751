"""Contrastive training of the token vectors: a question must be nearer to its passage than to any other of the batch.

A text's vector is the sum over its tokens of (1 + ln count) x weight x vector, scaled to length 1; the weights are
learned too, for questions and for passages apart. Training is by steps, so the same seed gives the same model on the
same machine and library versions.
"""

from __future__ import annotations

import collections
import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from models.foundry.embedder.batches import Bags, Batch, Batches

TEMPERATURE = 0.06
VECTOR_RATE, WEIGHT_RATE = 0.03795, 0.01  # the first is divided by sqrt(dim); a tenth of it learns far too slowly
BACKWARD_SHARE = 0.3  # of the loss of finding the question from the passage
WARM_UP_STEPS, LAST_RATE = 30, 0.05
SAY_EVERY = 50


@dataclass(frozen=True, slots=True)
class Trained:
    vectors: np.ndarray
    question_weights: np.ndarray
    passage_weights: np.ndarray


def train(batches: Batches, start: np.ndarray, idf: np.ndarray, steps: int, seed: int) -> Trained:
    torch.manual_seed(seed)
    dim = start.shape[1]
    vectors = torch.nn.Parameter(torch.from_numpy(start * idf[:, None] / 4))
    question_log = torch.nn.Parameter(torch.zeros(len(start)))
    passage_log = torch.nn.Parameter(torch.zeros(len(start)))
    groups = [
        {"params": [vectors], "lr": VECTOR_RATE / dim**0.5, "peak": VECTOR_RATE / dim**0.5},
        {"params": [question_log, passage_log], "lr": WEIGHT_RATE, "peak": WEIGHT_RATE},
    ]
    adam = torch.optim.Adam(groups, betas=(0.9, 0.98), fused=True)
    recent: dict[str, collections.deque[tuple[float, float]]] = collections.defaultdict(
        lambda: collections.deque(maxlen=20)
    )
    began = time.monotonic()
    for step in range(steps):
        rate = min(1.0, (step + 1) / WARM_UP_STEPS) * max(LAST_RATE, 1 - step / steps)
        for group in adam.param_groups:
            group["lr"] = group["peak"] * rate
        kind, batch = batches.draw()
        questions = _embed(batch.questions, vectors, question_log)
        passages = _embed(batch.passages, vectors, passage_log)
        loss, right = _loss(questions @ passages.T / TEMPERATURE, batch)
        adam.zero_grad()
        loss.backward()
        adam.step()
        recent[kind].append((loss.item(), right))
        if (step + 1) % SAY_EVERY == 0:
            figures = "  ".join(
                f"{k} {cost:.2f} {right:.2f}" for k, (cost, right) in ((k, np.mean(v, 0)) for k, v in recent.items())
            )
            print(f"{step + 1:5} {time.monotonic() - began:5.0f} s  {figures}", flush=True)
    return Trained(vectors.detach().numpy(), question_log.detach().exp().numpy(), passage_log.detach().exp().numpy())


def _embed(bags: Bags, vectors: torch.Tensor, log_weights: torch.Tensor) -> torch.Tensor:
    weights = bags.weights * log_weights[bags.ids].exp()
    summed = F.embedding_bag(bags.ids, vectors, bags.starts, mode="sum", per_sample_weights=weights)
    return F.normalize(summed, dim=1, eps=1e-4)


def _loss(logits: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, float]:
    """Cross entropy both ways, and the share of questions whose own passage came first."""
    if batch.same is not None:
        logits = logits.masked_fill(batch.same, -1e4)
    own = torch.arange(len(logits))
    loss = F.cross_entropy(logits, own) + BACKWARD_SHARE * F.cross_entropy(logits.T, own)
    return loss, (logits.argmax(1) == own).float().mean().item()
