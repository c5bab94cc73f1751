"""Train the text starter on CPU cores: one single-threaded process per core, gradients averaged once a step (gloo).

bf16 autocast, Muon for matrices, AdamW for the rest. Loss: answer tokens, plus the training-only attention losses
of encode_text (head 0 of the last two layers points at the copied token, one head of the first layers finds the words
of the question in the passages, one of the middle layers those of the passages in the question).
Learning rate by wall time: short warm-up, flat until --flat, then linear to 2 %. Checkpoints every --save-every steps.

    python train_text.py --pack PACK --tokenizer tok.json --out text.pt --minutes 80
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing
import torch.nn.functional as F
from data_text import Writer
from encode_text import Batch, Encoded, Encoder, Lookups, collate
from glm_model import GLM4, TextConfig
from muon import Muon
from natural import Pack
from tokenizers import Tokenizer

REPORT_EVERY = 10
POOL = 96  # samples sorted by length before they are cut into batches
POINTER_LAYERS, POINTER_HEAD = (-2, -1), 0
ANCHOR_LAYERS, ANCHOR_HEAD = (1, 2), 2
ECHO_LAYERS, ECHO_HEAD = (0,), 4
CARRY_LAYERS, CARRY_HEAD, CARRY_SHARE = (1, 2), 3, 2.0


class Clock:
    """How far training is, shared by both processes through the averaged statistics."""

    done = 0.0


def batches(options: argparse.Namespace, rank: int, clock: Clock) -> Iterator[Batch]:
    """Endless batches of about --batch-tokens tokens, of similar length."""
    seed = options.seed * 1000 + rank
    encoder = Encoder(Tokenizer.from_file(str(options.tokenizer)))
    writer = Writer(seed, "train", Pack(options.pack, seed, "train"))
    order = random.Random(seed)
    while True:
        stage = options.stage_from + (1 - options.stage_from) * min(1.0, clock.done / options.stage_until)
        pool: list[Encoded] = []
        while len(pool) < POOL:
            found = encoder.encode(writer.sample(stage), order)
            pool += [encoded for encoded in found if len(encoded.ids) <= options.ctx and encoded.pointers]
        pool.sort(key=lambda e: len(e.ids))
        groups: list[list[Encoded]] = [[]]
        for encoded in pool:
            if groups[-1] and len(encoded.ids) * (len(groups[-1]) + 1) > options.batch_tokens:
                groups.append([])
            groups[-1].append(encoded)
        order.shuffle(groups)
        for group in groups:
            if len(group) > 1:  # one shape less to compile for
                yield collate(group)


def attention_scores(tap: tuple, head: int, config: TextConfig, rows: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Scores (n, T) of the queries at rows (n, 2) = (sample, position), not allowed places at -1e9."""
    q, k = tap[0][:, head], tap[1][:, head * config.n_kv // config.n_head]
    scores = torch.einsum("nd,ntd->nt", q[rows[:, 0], rows[:, 1]].float(), k.float()[rows[:, 0]])
    allowed = batch.mask[rows[:, 0], 0, rows[:, 1]]
    return (scores * config.head_dim**-0.5).masked_fill(~allowed, -1e9)


def lookup_loss(
    taps: list, layers: tuple[int, ...], head: int, lookups: Lookups, batch: Batch, config: TextConfig
) -> torch.Tensor:
    """How far the head is from looking at one of the targets, summed over the layers."""
    total = torch.zeros(())
    if len(lookups.places) == 0:
        return total
    for layer in layers:
        scores = attention_scores(taps[layer], head, config, lookups.places, batch)
        on_target = scores.masked_fill(~lookups.targets, -1e9).logsumexp(-1)
        total = total + (scores.logsumexp(-1) - on_target).mean()
    return total


def losses(model: GLM4, hidden, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Answer, pointer and anchor loss, and statistics: right and all first tokens, right and all first pointers."""
    config = model.config
    with torch.autocast("cpu", torch.bfloat16):
        bias = torch.zeros(batch.mask.shape).masked_fill_(~batch.mask, -1e4)
        states, taps = hidden(batch.ids, pos=batch.pos, mask=bias)
        chosen = (batch.weight[:, 1:] > 0).nonzero(as_tuple=True)
        logits = model.logits(states[:, :-1][chosen])
    wanted, weight = batch.ids[:, 1:][chosen], batch.weight[:, 1:][chosen]
    answer = (F.cross_entropy(logits.float(), wanted, reduction="none") * weight).sum() / weight.sum()
    first = weight > 1
    right = (logits.argmax(-1) == wanted)[first]
    pointer = torch.zeros(())
    rows, target = batch.pointers[:, :2], batch.pointers[:, 2]
    share = batch.weight[rows[:, 0], rows[:, 1] + 1]
    for layer in POINTER_LAYERS:
        scores = attention_scores(taps[layer], POINTER_HEAD, config, rows, batch)
        pointer = pointer + (F.cross_entropy(scores, target, reduction="none") * share).sum() / share.sum()
    hits = (scores.argmax(-1) == target)[share > 1].float()
    anchor = lookup_loss(taps, ANCHOR_LAYERS, ANCHOR_HEAD, batch.anchors, batch, config)
    anchor = anchor + lookup_loss(taps, ECHO_LAYERS, ECHO_HEAD, batch.echoes, batch, config)
    carry = lookup_loss(taps, CARRY_LAYERS, CARRY_HEAD, batch.carries, batch, config)
    statistics = torch.tensor([float(right.sum()), float(len(right)), float(hits.sum()), float(len(hits))])
    return answer, pointer, anchor + CARRY_SHARE * carry, statistics


def learning_rate_scale(step: int, done: float, flat: float) -> float:
    return min(1.0, (step + 1) / 40) * (1.0 if done < flat else max(0.02, (1 - done) / (1 - flat)))


def train(rank: int, options: argparse.Namespace) -> None:
    """One process of the group; rank 0 prints and saves."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(options.port))
    dist.init_process_group("gloo", rank=rank, world_size=options.processes)
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    config = TextConfig(
        vocab_size=Tokenizer.from_file(str(options.tokenizer)).get_vocab_size(),
        d=options.d,
        n_layer=options.layers,
        n_head=options.d // 32,
        n_kv=options.d // 64,
        ff=2 * options.d,
        ctx=options.ctx,
    )
    model = GLM4(config)
    if options.init:
        model.load_state_dict(torch.load(options.init)["weights"])
    params = list(model.parameters())
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.dim() != 2 or "embed" in n]
    optimisers = [
        Muon(matrices, options.lr),
        torch.optim.AdamW(rest, options.adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    hidden = torch.compile(model.hidden, dynamic=True) if options.compile else model.hidden
    if rank == 0:
        print("parameters", sum(p.numel() for p in params), flush=True)
    clock, started, tokens = Clock(), time.monotonic(), 0
    source = batches(options, rank, clock)
    flat = torch.zeros(sum(p.numel() for p in params) + 8)
    window = torch.zeros(7)
    step = 0
    while clock.done < 1:
        scale = learning_rate_scale(step, clock.done, options.flat)
        for optimiser, base in zip(optimisers, (options.lr, options.adam_lr), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = base * scale
        batch = next(source)
        answer, pointer, anchor, statistics = losses(model, hidden, batch)
        (answer + options.pointer * pointer + options.anchor * anchor).backward()
        elapsed = (time.monotonic() - started) / 60 / options.minutes
        head = torch.stack([answer.detach(), pointer.detach(), anchor.detach(), torch.tensor(elapsed)])
        torch.cat([p.grad.reshape(-1) for p in params] + [head, statistics], out=flat)
        dist.all_reduce(flat)
        flat /= options.processes
        at = 0
        for param in params:
            param.grad.copy_(flat[at : at + param.numel()].view_as(param))
            at += param.numel()
        torch.nn.utils.clip_grad_norm_(rest, 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        clock.done = float(flat[-5])
        window += torch.cat((flat[-8:-5], flat[-4:]))
        step += 1
        tokens += batch.ids.numel() * options.processes
        if rank == 0 and step % REPORT_EVERY == 0:
            report(step, tokens, clock.done, window, time.monotonic() - started, options)
            window.zero_()
        if rank == 0 and step % options.save_every == 0:
            save(model, options, step, tokens)
    if rank == 0:
        save(model, options, step, tokens)
        print("done", step, tokens, flush=True)
    dist.barrier()


def report(
    step: int, tokens: int, done: float, window: torch.Tensor, seconds: float, options: argparse.Namespace
) -> None:
    answer, pointer, anchor = (window[:3] / REPORT_EVERY).tolist()
    print(
        f"step {step} min {done * options.minutes:.1f} answer {answer:.3f} "
        f"pointer {pointer / 2:.3f} anchor {anchor / 2:.3f} "
        f"first {window[3] / window[4].clamp(min=1):.3f} points {window[5] / window[6].clamp(min=1):.3f} "
        f"tok/s {tokens / seconds:.0f} Mtok {tokens / 1e6:.2f}",
        flush=True,
    )


def save(model: GLM4, options: argparse.Namespace, step: int, tokens: int) -> None:
    """Replace the checkpoint in one step, so that an interrupted save leaves the old one."""
    part = options.out.with_suffix(".part")
    torch.save({"config": asdict(model.config), "weights": model.state_dict(), "step": step, "tokens": tokens}, part)
    part.replace(options.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, help="checkpoint to continue from")
    parser.add_argument("--minutes", type=float, default=80)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--port", type=int, default=29511)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--d", type=int, default=192)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--ctx", type=int, default=1024)
    parser.add_argument("--batch-tokens", type=int, default=3072)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--adam-lr", type=float, default=3e-3)
    parser.add_argument("--flat", type=float, default=0.6)
    parser.add_argument("--pointer", type=float, default=0.5)
    parser.add_argument("--anchor", type=float, default=0.15)
    parser.add_argument("--stage-from", type=float, default=0.0)
    parser.add_argument("--stage-until", type=float, default=0.4, help="share of the time after which the mix is final")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--save-every", type=int, default=50)
    options = parser.parse_args()
    torch.multiprocessing.spawn(train, args=(options,), nprocs=options.processes)


if __name__ == "__main__":
    main()
