"""PyTorch -> GGUF for llama.cpp: text models (`glm4`), and image encoders (`clip` with projector `glm4v`).

Weights go out as F32, F16, Q8_0 or Q4_0 (1-D tensors always F32). Tensor names, shapes and rotary order are those that
llama.cpp reads; parity.py compares the result with PyTorch.
"""

from __future__ import annotations

import argparse
import ctypes
import json
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from glm_model import GLM4, TextConfig
from tokenizer import TEMPLATE

FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 7}


def normal_to_neox(weight: torch.Tensor, head_dim: int, rotated: int) -> torch.Tensor:
    """Reorder a Q or K weight or bias from interleaved rotary pairs to halves (what M-RoPE wants)."""
    shape = weight.shape
    rows = weight.reshape(-1, head_dim, shape[1] if len(shape) > 1 else 1)
    turn, keep = rows[:, :rotated], rows[:, rotated:]
    return torch.cat((turn[:, ::2], turn[:, 1::2], keep), 1).reshape(shape)


def add_tokenizer(writer: GGUFWriter, tokenizer_path: Path) -> int:
    """Write vocabulary, merges, special ids and the chat template; returns the vocabulary's size."""
    data = json.loads(tokenizer_path.read_text(encoding="utf-8"))
    vocab = dict(data["model"]["vocab"])
    types = dict.fromkeys(vocab.values(), gguf.TokenType.NORMAL)
    for added in data["added_tokens"]:
        vocab[added["content"]] = added["id"]
        types[added["id"]] = gguf.TokenType.CONTROL
    tokens = [token for token, _ in sorted(vocab.items(), key=lambda item: item[1])]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("glm4")
    writer.add_token_list(tokens)
    writer.add_token_types([int(types[i]) for i in range(len(tokens))])
    merges = data["model"]["merges"]
    writer.add_token_merges([" ".join(m) if isinstance(m, list) else m for m in merges])
    end = vocab["<|endoftext|>"]
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_unk_token_id(end)
    writer.add_pad_token_id(end)
    writer.add_eot_token_id(vocab["<|user|>"])
    # llama.cpp has no rule of its own for this token: with this key it ends an answer like the other two
    writer.add_uint32("tokenizer.ggml.eom_token_id", vocab["<|observation|>"])
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(TEMPLATE)
    return len(tokens)


def put(writer: GGUFWriter, name: str, tensor: torch.Tensor, kind: str) -> None:
    """Add one tensor, quantised to `kind` unless it is one-dimensional."""
    array = tensor.detach().float().cpu().numpy()
    if array.ndim == 1 or kind == "F32":
        writer.add_tensor(name, np.ascontiguousarray(array, dtype=np.float32))
    elif kind == "F16":
        writer.add_tensor(name, array.astype(np.float16))
    else:
        quantised = GGMLQuantizationType[kind]
        writer.add_tensor(name, gguf.quants.quantize(array, quantised), raw_dtype=quantised)


def finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def export_text(model: GLM4, tokenizer_path: Path, path: Path, kind: str, name: str) -> None:
    """Write `model` as a `glm4` GGUF."""
    c = model.config
    writer = GGUFWriter(str(path), "glm4")
    writer.add_name(name)
    writer.add_block_count(c.n_layer)
    writer.add_context_length(c.ctx)
    writer.add_embedding_length(c.d)
    writer.add_feed_forward_length(c.ff)
    writer.add_head_count(c.n_head)
    writer.add_head_count_kv(c.n_kv)
    writer.add_key_length(c.head_dim)
    writer.add_value_length(c.head_dim)
    writer.add_layer_norm_rms_eps(c.eps)
    writer.add_rope_freq_base(c.rope_base)
    writer.add_rope_dimension_count(c.n_rot)
    if c.mrope:
        writer.add_rope_dimension_sections([*c.mrope, 0])
    writer.add_file_type(FILE_TYPES[kind])
    writer.add_vocab_size(c.vocab_size)
    size = add_tokenizer(writer, tokenizer_path)
    if size != c.vocab_size:
        raise ValueError(f"tokenizer has {size} tokens, the model {c.vocab_size}")
    put(writer, "token_embd.weight", model.embed.weight, kind)
    if model.head is not None:
        put(writer, "output.weight", model.head.weight, kind)
    put(writer, "output_norm.weight", model.norm.weight, kind)
    for index, block in enumerate(model.blocks):
        put_block(writer, f"blk.{index}.", block, c, kind)
    finish(writer)


def put_block(writer: GGUFWriter, prefix: str, block: torch.nn.Module, c: TextConfig, kind: str) -> None:
    def rotary(tensor: torch.Tensor) -> torch.Tensor:
        return normal_to_neox(tensor, c.head_dim, c.n_rot) if c.mrope else tensor

    tensors = {
        "attn_norm.weight": block.attn_norm.weight,
        "post_attention_norm.weight": block.post_attn_norm.weight,
        "ffn_norm.weight": block.ffn_norm.weight,
        "post_ffw_norm.weight": block.post_ffn_norm.weight,
        "attn_q.weight": rotary(block.q.weight),
        "attn_q.bias": rotary(block.q.bias),
        "attn_k.weight": rotary(block.k.weight),
        "attn_k.bias": rotary(block.k.bias),
        "attn_v.weight": block.v.weight,
        "attn_v.bias": block.v.bias,
        "attn_output.weight": block.o.weight,
        "ffn_up.weight": block.gate_up.weight,  # gate rows first, then up rows
        "ffn_down.weight": block.down.weight,
    }
    for name, tensor in tensors.items():
        put(writer, prefix + name, tensor, kind)


def load_checkpoint(path: Path) -> GLM4:
    """The model of a train_text checkpoint, ready to evaluate."""
    data = torch.load(path)
    model = GLM4(TextConfig(**data["config"]))
    model.load_state_dict(data["weights"])
    return model.eval()


def requantize(source: Path, target: Path, file_type: int) -> int:
    """llama.cpp's own quantiser (file types as in FILE_TYPES; 15 is Q4_K_M); returns its exit code."""
    import llama_cpp  # only needed here; loading it takes a second

    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = file_type
    params.nthread = 1
    return int(llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Export a text checkpoint as GGUF.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--kind", choices=list(FILE_TYPES), default="F16")
    parser.add_argument("--name", default="jingyan-starter-text")
    options = parser.parse_args()
    export_text(load_checkpoint(options.checkpoint), options.tokenizer, options.out, options.kind, options.name)
    print(options.out, options.out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
