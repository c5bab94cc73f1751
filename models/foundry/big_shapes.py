"""GGUFs with random weights in the shapes of real GLM models: for speed and memory tests only, their text is noise.

Q4_0 blocks are written directly, so a 9B file takes about a minute and no extra memory. Delete them afterwards.

    python big_shapes.py glm-edge-1.5b --tokenizer tok.json --out big.gguf
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from tokenizer import TEMPLATE

SPREAD = 0.02
BLOCK, BLOCK_BYTES = 32, 18  # Q4_0: one F16 scale and 32 half bytes
UNIFORM_STD = 4.61  # of q - 8 with q uniform in 0..15


@dataclass(frozen=True)
class Shape:
    arch: str
    d: int
    layers: int
    heads: int
    kv_heads: int
    ff: int
    vocab: int
    rotated: int
    sandwich: bool
    head_dim: int = 128
    eps: float = 1e-5


SHAPES = {
    "glm4-9b": Shape("glm4", 4096, 40, 32, 2, 13696, 151552, 64, True),
    "glm-edge-1.5b": Shape("chatglm", 2048, 28, 16, 4, 6144, 59264, 128, False),
}


def random_q4(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    blocks = rows * columns // BLOCK
    data = np.frombuffer(rng.bytes(blocks * BLOCK_BYTES), dtype=np.uint8).reshape(blocks, BLOCK_BYTES).copy()
    data[:, :2] = np.frombuffer(np.float16(SPREAD / UNIFORM_STD).tobytes(), dtype=np.uint8)
    return data.reshape(rows, columns // BLOCK * BLOCK_BYTES)


def tensors(shape: Shape) -> Iterator[tuple[str, tuple[int, ...], float]]:
    """Name, shape, and the fill of one-dimensional ones."""
    wide, narrow = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    yield "token_embd.weight", (shape.vocab, shape.d), 0
    yield "output.weight", (shape.vocab, shape.d), 0
    yield "output_norm.weight", (shape.d,), 1
    for index in range(shape.layers):
        prefix = f"blk.{index}."
        norms = ["attn_norm", "ffn_norm"] + (["post_attention_norm", "post_ffw_norm"] if shape.sandwich else [])
        for norm in norms:
            yield f"{prefix}{norm}.weight", (shape.d,), 1
        for part, size in (("q", wide), ("k", narrow), ("v", narrow)):
            yield f"{prefix}attn_{part}.weight", (size, shape.d), 0
            if shape.sandwich:
                yield f"{prefix}attn_{part}.bias", (size,), 0
        yield prefix + "attn_output.weight", (shape.d, wide), 0
        yield prefix + "ffn_up.weight", (2 * shape.ff, shape.d), 0
        yield prefix + "ffn_down.weight", (shape.d, shape.ff), 0


def write_keys(writer: GGUFWriter, name: str, shape: Shape, tokenizer: Path) -> None:
    writer.add_name(name + "-random")
    writer.add_block_count(shape.layers)
    writer.add_context_length(32768)
    writer.add_embedding_length(shape.d)
    writer.add_feed_forward_length(shape.ff)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(shape.eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(shape.rotated)
    writer.add_file_type(2)
    writer.add_vocab_size(shape.vocab)
    data = json.loads(tokenizer.read_text(encoding="utf-8"))
    special = {added["content"]: added["id"] for added in data["added_tokens"]}
    vocab = {**data["model"]["vocab"], **special}
    tokens = sorted(vocab, key=vocab.__getitem__)
    unused = range(len(tokens), shape.vocab)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("glm4")
    writer.add_token_list(tokens + [f"[PAD{i}]" for i in unused])
    writer.add_token_types([3 if t in special else 1 for t in tokens] + [5] * len(unused))
    writer.add_token_merges([" ".join(m) if isinstance(m, list) else m for m in data["model"]["merges"]])
    writer.add_eos_token_id(vocab["<|endoftext|>"])
    writer.add_eot_token_id(vocab["<|user|>"])
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def write(name: str, path: Path, tokenizer: Path, seed: int) -> None:
    shape, rng = SHAPES[name], np.random.default_rng(seed)
    writer = GGUFWriter(str(path), shape.arch)
    write_keys(writer, name, shape, tokenizer)
    items = list(tensors(shape))
    for tensor, size, _ in items:
        if len(size) == 1:
            writer.add_tensor_info(tensor, size, np.dtype(np.float32), size[0] * 4)
        else:
            row = size[1] // BLOCK * BLOCK_BYTES
            kind = GGMLQuantizationType.Q4_0
            writer.add_tensor_info(tensor, (size[0], row), np.dtype(np.uint8), size[0] * row, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for _, size, fill in items:
        writer.write_tensor_data(np.full(size, fill, np.float32) if len(size) == 1 else random_q4(rng, *size))
    writer.close()
    print(path, path.stat().st_size, "bytes", sum(int(np.prod(size)) for _, size, _ in items), "parameters")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=list(SHAPES))
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    write(options.shape, options.out, options.tokenizer, options.seed)


if __name__ == "__main__":
    main()
