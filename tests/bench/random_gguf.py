"""Random-weight GGUFs of real sizes, for speed only: what they write is noise.

Weights are Q4_0 blocks of random nibbles written straight to disk, one tensor at a time; the tokenizer is taken from
a small GGUF of ours and padded with unused words to the real vocabulary.
    python -m tests.bench.random_gguf glm-edge-1.5b edge.gguf
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from app.core.paths import starter_models
from tests.engine import gguf_writer as w

_BLOCK, _BLOCK_BYTES = 32, 18  # Q4_0: one half-precision scale and 32 nibbles
_SPREAD = 0.02  # of the weights; real models are near it
_NIBBLE_SPREAD = 4.61  # standard deviation of a uniform nibble
_PIECE_BLOCKS = 1 << 20
_UNUSED = 5  # token type


@dataclass(frozen=True)
class Shape:
    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_width: int
    feed_forward: int
    vocabulary: int
    rope_width: int
    post_norms: bool  # GLM-4-0414 has them, chatglm has not
    biases: bool


SHAPES: Mapping[str, Shape] = {
    "tiny": Shape("chatglm", 2, 256, 4, 2, 64, 512, 4_096, 64, post_norms=False, biases=False),
    "glm-edge-1.5b": Shape("chatglm", 28, 2048, 16, 4, 128, 6144, 59_264, 128, post_norms=False, biases=False),
    "glm-4-9b": Shape("glm4", 40, 4096, 32, 2, 128, 13_696, 151_552, 64, post_norms=True, biases=True),
}


def write_random_model(shape: Shape, path: Path, *, tokenizer: Path | None = None, seed: int = 0) -> None:
    """A loadable model of that shape. `tokenizer`: a GGUF to take words and merges from (the starter)."""
    tensors = list(_tensors(shape))
    header = w.Header(
        _values(shape, tokenizer or starter_models() / "text.gguf"),
        [(name, dims, type_id, _size_bytes(dims, type_id)) for name, dims, type_id, _ in tensors],
    )
    random = np.random.default_rng(seed)
    with path.open("wb") as file:
        file.write(header.encode())
        for _, dims, type_id, fill in tensors:
            if type_id == w.TYPE_F32:
                file.write(np.full(dims[0], fill, np.float32).tobytes())
            else:
                _write_q4_0(file, dims[0] * dims[1] // _BLOCK, random)
            file.write(bytes(w.padded(file.tell()) - file.tell()))


def _tensors(shape: Shape) -> Iterator[tuple[str, tuple[int, ...], int, float]]:
    """Name, dimensions (fastest first), type, value of constant tensors."""
    q_width, kv_width = shape.heads * shape.head_width, shape.kv_heads * shape.head_width
    width, hidden = shape.width, shape.feed_forward
    norms = ["attn_norm", "ffn_norm"] + (["post_attention_norm", "post_ffw_norm"] if shape.post_norms else [])
    matrices = [("attn_q", width, q_width), ("attn_k", width, kv_width), ("attn_v", width, kv_width)]
    matrices += [("attn_output", q_width, width), ("ffn_up", width, 2 * hidden), ("ffn_down", hidden, width)]
    yield "token_embd.weight", (width, shape.vocabulary), w.TYPE_Q4_0, 0.0
    yield "output.weight", (width, shape.vocabulary), w.TYPE_Q4_0, 0.0
    yield "output_norm.weight", (width,), w.TYPE_F32, 1.0
    for layer in range(shape.layers):
        for norm in norms:
            yield f"blk.{layer}.{norm}.weight", (width,), w.TYPE_F32, 1.0
        for name, columns, rows in matrices:
            yield f"blk.{layer}.{name}.weight", (columns, rows), w.TYPE_Q4_0, 0.0
            if shape.biases and name in ("attn_q", "attn_k", "attn_v"):
                yield f"blk.{layer}.{name}.bias", (rows,), w.TYPE_F32, 0.0


def _size_bytes(dims: tuple[int, ...], type_id: int) -> int:
    return 4 * dims[0] if type_id == w.TYPE_F32 else dims[0] * dims[1] // _BLOCK * _BLOCK_BYTES


def _write_q4_0(file: BinaryIO, blocks: int, random: np.random.Generator) -> None:
    scale = np.frombuffer(np.float16(_SPREAD / _NIBBLE_SPREAD).tobytes(), np.uint8)
    for start in range(0, blocks, _PIECE_BLOCKS):
        count = min(_PIECE_BLOCKS, blocks - start)
        piece = np.frombuffer(random.bytes(count * _BLOCK_BYTES), np.uint8).reshape(count, _BLOCK_BYTES).copy()
        piece[:, :2] = scale
        file.write(piece.tobytes())


def _values(shape: Shape, tokenizer: Path) -> dict[str, bytes]:
    numbers = {
        "block_count": shape.layers,
        "context_length": 32_768,
        "embedding_length": shape.width,
        "feed_forward_length": shape.feed_forward,
        "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads,
        "attention.key_length": shape.head_width,
        "attention.value_length": shape.head_width,
        "rope.dimension_count": shape.rope_width,
        "vocab_size": shape.vocabulary,
    }
    values = {"general.architecture": w.string(shape.architecture), "general.name": w.string("random weights")}
    values |= {f"{shape.architecture}.{key}": w.u32(number) for key, number in numbers.items()}
    values[f"{shape.architecture}.attention.layer_norm_rms_epsilon"] = w.f32(1e-5)
    values[f"{shape.architecture}.rope.freq_base"] = w.f32(10_000.0)
    return values | _tokenizer(tokenizer, shape.vocabulary)


def _tokenizer(path: Path, vocabulary: int) -> dict[str, bytes]:
    """The tokenizer of another GGUF, its words padded with unused ones."""
    found = {key: value for key, value in read_values(path).items() if key.startswith("tokenizer.")}
    words, types = (
        _unpack_strings(found["tokenizer.ggml.tokens"]),
        list(_unpack_i32s(found["tokenizer.ggml.token_type"])),
    )
    missing = range(len(words), vocabulary)
    found["tokenizer.ggml.tokens"] = w.strings([*words, *(f"[PAD{number}]" for number in missing)])
    found["tokenizer.ggml.token_type"] = w.i32s([*types, *(_UNUSED for _ in missing)])
    return found


def read_values(path: Path) -> dict[str, bytes]:
    """The raw values of a GGUF that we trust (one of ours), each with its type in front."""
    data = path.read_bytes()
    (count,) = struct.unpack_from("<Q", data, 16)
    at, values = 24, {}
    for _ in range(count):
        (length,) = struct.unpack_from("<Q", data, at)
        key = data[at + 8 : at + 8 + length].decode()
        start = at + 8 + length
        at = _end_of(data, start)
        values[key] = data[start:at]
    return values


_WIDTH = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def _end_of(data: bytes, at: int) -> int:
    (kind,) = struct.unpack_from("<I", data, at)
    if kind in _WIDTH:
        return at + 4 + _WIDTH[kind]
    if kind == w.STRING:
        return int(at + 12 + struct.unpack_from("<Q", data, at + 4)[0])
    item, length = struct.unpack_from("<IQ", data, at + 4)
    at += 16
    if item in _WIDTH:
        return int(at + _WIDTH[item] * length)
    for _ in range(length):
        at += 8 + struct.unpack_from("<Q", data, at)[0]
    return at


def _unpack_strings(value: bytes) -> list[str]:
    (count,) = struct.unpack_from("<Q", value, 8)
    at, words = 16, []
    for _ in range(count):
        (length,) = struct.unpack_from("<Q", value, at)
        words.append(value[at + 8 : at + 8 + length].decode())
        at += 8 + length
    return words


def _unpack_i32s(value: bytes) -> tuple[int, ...]:
    (count,) = struct.unpack_from("<Q", value, 8)
    return struct.unpack_from(f"<{count}i", value, 16)


if __name__ == "__main__":
    write_random_model(SHAPES[sys.argv[1]], Path(sys.argv[2]))
