"""Train a small GLM-4V (encoder, merger, M-RoPE text model) end to end on CPU cores, as train_text does.

Besides the answer loss, a training-only linear head on every image token says what is drawn in its 28 x 28 cell.

    python train_vision.py --tokenizer tok.json --out vision.pt --minutes 24
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing
import torch.nn.functional as F
from data_vision import CELL, CLASSES, SIZE, make_scene
from glm_model import mrope_positions
from muon import Muon
from tokenizers import Tokenizer
from train_text import learning_rate_scale
from vision_model import VisionConfig, VisionLanguageModel, build

GRID = SIZE // CELL


def encode(tokenizer: Tokenizer, questions: list[tuple[str, str, str]]) -> tuple[list[int], list[bool]]:
    """Ids of the text after the image, several turns, and which of them are answers."""
    text = "<|end_of_image|>"
    for index, (question, answer, _) in enumerate(questions):
        text += ("" if index == 0 else "<|user|>\n") + question + "<|assistant|>\n" + answer
    ids = tokenizer.encode(text + "<|user|>", add_special_tokens=False).ids
    begin, end = tokenizer.token_to_id("<|assistant|>"), tokenizer.token_to_id("<|user|>")
    mask, answering, seen = [], False, 0
    for token in ids:
        seen = 0 if token == begin else seen + 1
        answering = token == begin or answering
        mask.append(answering and seen > 1)  # the first is the newline of the prompt
        answering = answering and token != end
    return ids, mask


def batches(seed: int, tokenizer: Tokenizer, size: int, config: VisionConfig, easy: bool) -> Iterator[tuple]:
    """Images (B, 3, H, W), ids, answer mask, cell classes (B, tokens, classes)."""
    rng = random.Random(seed)
    mean, std = np.array(config.mean, np.float32), np.array(config.std, np.float32)
    while True:
        scenes = [make_scene(rng, "train", easy) for _ in range(size)]
        images = np.stack([(np.asarray(s.image, np.float32) / 255 - mean) / std for s in scenes])
        texts = [encode(tokenizer, s.questions) for s in scenes]
        length = max(len(ids) for ids, _ in texts)
        ids, mask = np.zeros((size, length), np.int64), np.zeros((size, length), bool)
        cells = torch.zeros(size, GRID * GRID, len(CLASSES))
        for row, ((tokens, answers), scene) in enumerate(zip(texts, scenes, strict=True)):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, answers
            for cell, kind in scene.cells:
                cells[row, cell, kind] = 1
        pictures = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
        yield pictures, torch.from_numpy(ids), torch.from_numpy(mask), cells


def losses(model: VisionLanguageModel, batch: tuple) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Answer loss, cell loss, share of right answer tokens."""
    images, ids, mask, cells = batch
    pos, _ = mrope_positions([("t", len(model.before)), ("i", GRID, GRID), ("t", ids.shape[1])])
    with torch.autocast("cpu", torch.bfloat16):
        states, seen = model.hidden(images, ids, pos[:, None].expand(3, len(ids), -1))
        logits = model.text.logits(states[:, :-1][mask[:, 1:]])
    wanted = ids[:, 1:][mask[:, 1:]]
    cell_loss = F.binary_cross_entropy_with_logits(model.cells(seen.float()), cells, pos_weight=torch.tensor(6.0))
    return F.cross_entropy(logits.float(), wanted), cell_loss, (logits.argmax(-1) == wanted).float().mean()


def train(rank: int, options: argparse.Namespace) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(options.port))
    dist.init_process_group("gloo", rank=rank, world_size=options.processes)
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(str(options.tokenizer))
    model = build(tokenizer, options.d)
    if options.init:
        model.load_state_dict(torch.load(options.init)["weights"])
    model.cells = torch.nn.Linear(options.d, len(CLASSES))
    matrices = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n and n != "vision.pos"]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    optimisers = [
        Muon(matrices, options.lr),
        torch.optim.AdamW(rest, options.adam_lr, betas=(0.9, 0.95), weight_decay=0),
    ]
    source = batches(options.seed * 1000 + rank, tokenizer, options.batch, model.vision.config, options.easy)
    params = list(model.parameters())
    started, step, done = time.monotonic(), 0, 0.0
    while done < 1:
        scale = learning_rate_scale(step, done, 0.5)
        for optimiser, base in zip(optimisers, (options.lr, options.adam_lr), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = base * scale
        answer, cell, right = losses(model, next(source))
        (answer + options.cell * cell).backward()
        elapsed = torch.tensor([(time.monotonic() - started) / 60 / options.minutes])
        flat = torch.cat([p.grad.reshape(-1) for p in params] + [elapsed])
        dist.all_reduce(flat)
        flat /= options.processes
        done, at = float(flat[-1]), 0
        for param in params:
            param.grad.copy_(flat[at : at + param.numel()].view_as(param))
            at += param.numel()
        torch.nn.utils.clip_grad_norm_(rest, 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        step += 1
        if rank == 0 and (step % 20 == 0 or done >= 1):
            print(f"step {step} answer {answer:.3f} cell {cell:.4f} right {right:.3f} done {done:.2f}", flush=True)
            weights = {k: v for k, v in model.state_dict().items() if not k.startswith("cells.")}
            torch.save({"d": options.d, "weights": weights}, options.out)
    dist.barrier()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path)
    parser.add_argument("--minutes", type=float, default=24)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--port", type=int, default=29533)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--d", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.02)
    parser.add_argument("--adam-lr", type=float, default=3e-3)
    parser.add_argument("--cell", type=float, default=4.0)
    parser.add_argument("--easy", action="store_true", help="one or two shapes, or one centred digit")
    options = parser.parse_args()
    torch.multiprocessing.spawn(train, args=(options,), nprocs=options.processes)


if __name__ == "__main__":
    main()
