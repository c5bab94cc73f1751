"""A tiny BERT embedder (question and passage near each other), trained contrastively and run by llama.cpp.

The application does not use it (its embedder is in models/foundry/embedder); it shows that the `bert` architecture can
be written too, and gives tests a small embedding GGUF.

    python bert_text.py --tokenizer tok.json --out bert.gguf --minutes 1
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from data_text import Writer
from gguf import GGUFWriter
from gguf_export import add_tokenizer, finish, put
from llama_cpp import Llama
from tokenizers import Tokenizer
from torch import Tensor, nn

BATCH = 48
CONTEXT = 256
EPS = 1e-12


class Layer(nn.Module):
    def __init__(self, d: int, ff: int) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(d, d) for _ in range(4))
        self.up, self.down = nn.Linear(d, ff), nn.Linear(ff, d)
        self.n1, self.n2 = nn.LayerNorm(d, eps=EPS), nn.LayerNorm(d, eps=EPS)

    def forward(self, x: Tensor, bias: Tensor, heads: int) -> Tensor:
        batch, length, d = x.shape
        q, k, v = (part(x).view(batch, length, heads, -1).transpose(1, 2) for part in (self.q, self.k, self.v))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        x = self.n1(x + self.o(out.transpose(1, 2).reshape(batch, length, d)))
        return self.n2(x + self.down(F.gelu(self.up(x), approximate="tanh")))  # ggml's GELU is the tanh one


class Bert(nn.Module):
    """Token ids (B, T) and mask -> vectors of length 1 (B, d): mean of the last layer."""

    def __init__(self, vocab: int, d: int = 192, layers: int = 2, heads: int = 6, ff: int = 384) -> None:
        super().__init__()
        self.d, self.heads, self.ff = d, heads, ff
        self.words, self.places = nn.Embedding(vocab, d), nn.Embedding(CONTEXT, d)
        self.types, self.norm = nn.Parameter(torch.zeros(2, d)), nn.LayerNorm(d, eps=EPS)
        nn.init.normal_(self.words.weight, std=0.05)
        nn.init.normal_(self.places.weight, std=0.05)
        self.layers = nn.ModuleList(Layer(d, ff) for _ in range(layers))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.norm(self.words(ids) + self.places(torch.arange(ids.shape[1])) + self.types[0])
        bias = torch.where(mask, 0.0, -1e9)[:, None, None]
        for layer in self.layers:
            x = layer(x, bias, self.heads)
        mean = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return F.normalize(mean.float(), dim=-1)


def export(model: Bert, tokenizer_path: Path, path: Path, kind: str) -> None:
    writer = GGUFWriter(str(path), "bert")
    writer.add_name("jingyan-foundry-bert")
    writer.add_block_count(len(model.layers))
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(model.d)
    writer.add_feed_forward_length(model.ff)
    writer.add_head_count(model.heads)
    writer.add_layer_norm_eps(EPS)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_token_type_count(2)
    writer.add_file_type(0)
    writer.add_vocab_size(add_tokenizer(writer, tokenizer_path))
    put(writer, "token_embd.weight", model.words.weight, kind)
    put(writer, "position_embd.weight", model.places.weight, "F32")
    put(writer, "token_types.weight", model.types, "F32")
    put(writer, "token_embd_norm.weight", model.norm.weight, "F32")
    put(writer, "token_embd_norm.bias", model.norm.bias, "F32")
    matrices = {"q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output", "up": "ffn_up", "down": "ffn_down"}
    norms = {"n1": "attn_output_norm", "n2": "layer_output_norm"}
    for index, layer in enumerate(model.layers):
        for part, name in (matrices | norms).items():
            module = getattr(layer, part)
            put(writer, f"blk.{index}.{name}.weight", module.weight, kind if part in matrices else "F32")
            put(writer, f"blk.{index}.{name}.bias", module.bias, "F32")
    finish(writer)


def pairs(writer: Writer, count: int) -> list[tuple[str, str]]:
    """Questions with the sentence or clause that answers them, several of one document (hard negatives)."""
    found: list[tuple[str, str]] = []
    while len(found) < count:
        sample = writer.documents("zh" if writer.rng.random() < 0.45 else "en", 3, 0.0)
        seen = set()
        for turn in sample.turns:
            if turn.at >= 0 and turn.evidence not in seen:
                seen.add(turn.evidence)
                found.append((turn.question, sample.context[slice(*turn.evidence)]))
    return found[:count]


def tensors(tokenizer: Tokenizer, texts: list[str]) -> tuple[Tensor, Tensor]:
    rows = [tokenizer.encode(text, add_special_tokens=False).ids[:CONTEXT] for text in texts]
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    mask = torch.zeros(ids.shape, dtype=torch.bool)
    for index, row in enumerate(rows):
        ids[index, : len(row)], mask[index, : len(row)] = torch.tensor(row), True
    return ids, mask


def train(model: Bert, tokenizer: Tokenizer, minutes: float) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    writer, started, step, done = Writer(9, "train", None), time.monotonic(), 0, 0.0
    while done < 1:
        batch = pairs(writer, BATCH)
        with torch.autocast("cpu", torch.bfloat16):
            questions = model(*tensors(tokenizer, [q for q, _ in batch]))
            passages = model(*tensors(tokenizer, [p for _, p in batch]))
        scores = questions @ passages.T * 20
        F.cross_entropy(scores, torch.arange(BATCH)).backward()
        optimiser.param_groups[0]["lr"] = 2e-3 * min(1, (step + 1) / 50) * (1 - done * 0.95)
        optimiser.step()
        optimiser.zero_grad()
        step, done = step + 1, (time.monotonic() - started) / 60 / minutes
    print("steps", step)


def score(model: Bert, tokenizer: Tokenizer, path: Path) -> None:
    """Right passage among 8 for held-out questions through llama.cpp, and the largest difference to PyTorch."""
    llm = Llama(str(path), embedding=True, n_ctx=CONTEXT, n_batch=CONTEXT, verbose=False, n_threads=1)
    right, worst = 0, 0.0
    writer = Writer(77, "test", None)
    for _ in range(30):
        batch = pairs(writer, 8)
        texts = [batch[0][0], *(passage for _, passage in batch)]
        got = np.array(llm.embed(texts, normalize=True))
        right += int((got[1:] @ got[0]).argmax() == 0)
        with torch.no_grad():
            expected = torch.cat([model(*tensors(tokenizer, [text])) for text in texts]).numpy()
        worst = max(worst, float(np.abs(got - expected).max()))
    llm.close()
    print(f"{path.name}: right passage {right} / 30, largest difference {worst:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--kind", choices=["F32", "Q8_0"], default="Q8_0")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(str(options.tokenizer))
    model = Bert(tokenizer.get_vocab_size())
    train(model, tokenizer, options.minutes)
    model.eval()
    export(model, options.tokenizer, options.out, options.kind)
    score(model, tokenizer, options.out)


if __name__ == "__main__":
    main()
