"""PyTorch -> GGUF for the image encoder (mmproj) of GLM-4V: architecture `clip`, projector `glm4v`."""

from __future__ import annotations

from pathlib import Path

import torch
from gguf import GGUFWriter
from gguf_export import FILE_TYPES, finish, put
from vision_model import GLM4V, VisionConfig


def export_mmproj(model: GLM4V, path: Path, kind: str, name: str) -> None:
    """Write `model`; convolutions stay F16 or F32, norms and positions F32, matrices become `kind`."""
    writer = GGUFWriter(str(path), "clip")
    write_keys(writer, model.config, kind, name)
    convolution = "F16" if kind != "F32" else "F32"
    half = model.patch.weight / 2  # llama.cpp feeds a still image to two temporal slices and adds them
    put(writer, "v.patch_embd.weight", half, convolution)
    put(writer, "v.patch_embd.weight.1", half, convolution)
    exact = {
        "v.patch_embd.bias": model.patch.bias,
        "v.norm_embd.weight": model.post_conv_norm.weight,
        "v.position_embd.weight": model.pos,
        "v.post_ln.weight": model.post_norm.weight,
        "mm.patch_merger.bias": model.merger.bias,
        "mm.post_norm.weight": model.ln.weight,
        "mm.post_norm.bias": model.ln.bias,
    }
    matrices = {
        "mm.model.fc.weight": model.fc.weight,
        "mm.gate.weight": model.gate.weight,
        "mm.up.weight": model.up.weight,
        "mm.down.weight": model.down.weight,
    }
    for index, block in enumerate(model.blocks):
        prefix = f"v.blk.{index}."
        exact |= {prefix + "ln1.weight": block.n1.weight, prefix + "ln2.weight": block.n2.weight}
        matrices |= {prefix + "attn_qkv.weight": block.qkv.weight, prefix + "attn_out.weight": block.o.weight}
        for part in ("gate", "up", "down"):
            matrices[f"{prefix}ffn_{part}.weight"] = getattr(block, part).weight
    put(writer, "mm.patch_merger.weight", model.merger.weight, convolution)
    put_all(writer, exact, "F32")
    put_all(writer, matrices, kind)
    finish(writer)


def put_all(writer: GGUFWriter, tensors: dict[str, torch.Tensor], kind: str) -> None:
    for name, tensor in tensors.items():
        put(writer, name, tensor, kind)


def write_keys(writer: GGUFWriter, c: VisionConfig, kind: str, name: str) -> None:
    writer.add_type("mmproj")
    writer.add_name(name)
    writer.add_file_type(FILE_TYPES[kind])
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "glm4v")
    writer.add_bool("clip.use_silu", True)
    sizes = {
        "image_size": c.image_size,
        "patch_size": c.patch,
        "embedding_length": c.d,
        "feed_forward_length": c.ff,
        "block_count": c.n_layer,
        "projection_dim": c.out,
        "spatial_merge_size": c.merge,
        "attention.head_count": c.n_head,
    }
    for key, value in sizes.items():
        writer.add_uint32("clip.vision." + key, value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", c.eps)
    writer.add_array("clip.vision.image_mean", [float(x) for x in c.mean])
    writer.add_array("clip.vision.image_std", [float(x) for x in c.std])
