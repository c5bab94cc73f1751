"""Muon: momentum whose update is orthogonalised by Newton-Schulz, batched over matrices of one shape.

One chain of batched products per shape instead of one per parameter, which matters for many small matrices on a CPU.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch

STEPS = 5
A, B, C = 3.4445, -4.7750, 2.0315  # quintic coefficients of Keller Jordan's Muon


class Muon:
    """Optimiser for 2-D parameters; `param_groups[0]["lr"]` is read at each step."""

    def __init__(self, params: Iterable[torch.nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        groups = defaultdict(list)
        self.momentum = momentum
        self.velocity: dict[torch.nn.Parameter, torch.Tensor] = {}
        for param in params:
            groups[(min(param.shape), max(param.shape))].append(param)
            self.velocity[param] = torch.zeros_like(param)
        self.groups = list(groups.values())
        self.param_groups = [{"lr": lr}]

    @torch.no_grad()
    def step(self) -> None:
        lr = self.param_groups[0]["lr"]
        for params in self.groups:
            updates = []
            for param in params:
                velocity = self.velocity[param].mul_(self.momentum).add_(param.grad)
                update = param.grad + self.momentum * velocity
                updates.append(update.T if param.shape[0] > param.shape[1] else update)
            for param, update in zip(params, orthogonalised(torch.stack(updates)), strict=True):
                wide = update.T if param.shape[0] > param.shape[1] else update
                param.add_(wide.to(param.dtype), alpha=-lr * max(1, param.shape[0] / param.shape[1]) ** 0.5)

    def zero_grad(self, set_to_none: bool = True) -> None:
        for params in self.groups:
            for param in params:
                if set_to_none:
                    param.grad = None
                elif param.grad is not None:
                    param.grad.zero_()


def orthogonalised(x: torch.Tensor) -> torch.Tensor:
    """Each matrix of `x` (n, rows <= columns, columns) with its singular values moved towards 1."""
    x = (x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)).bfloat16()
    for _ in range(STEPS):
        gram = x @ x.transpose(1, 2)
        x = A * x + (B * gram + C * gram @ gram) @ x
    return x
