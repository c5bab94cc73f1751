"""GLM-4V's image encoder as llama.cpp computes it (`clip`, projector `glm4v`), in PyTorch, and the model around it.

Patch convolution (llama.cpp adds two temporal slices; one is trained and half of it written twice), norm, learned
positions (resized bicubically), a ViT with two-dimensional rotary positions, norm, 2x2 merge, projection.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from glm_model import GLM4, RMSNorm, TextConfig
from tokenizers import Tokenizer
from torch import Tensor, nn


@dataclass
class VisionConfig:
    """Sizes; the learned position grid has image_size / patch places a side."""

    d: int = 128
    n_layer: int = 4
    n_head: int = 4
    ff: int = 256
    patch: int = 14
    merge: int = 2
    image_size: int = 112
    out: int = 256  # width of the text model
    proj_ff: int = 512
    eps: float = 1e-5
    mean: tuple[float, ...] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, ...] = (0.26862954, 0.26130258, 0.27577711)

    @property
    def grid(self) -> int:
        return self.image_size // self.patch


def patch_positions(rows: int, columns: int, merge: int = 2) -> tuple[Tensor, Tensor]:
    """(y, x) of each patch in GLM-4V's order: merge x merge blocks in raster order, raster order inside a block."""
    pairs = [
        (y + dy, x + dx)
        for y in range(0, rows, merge)
        for x in range(0, columns, merge)
        for dy in range(merge)
        for dx in range(merge)
    ]
    ys, xs = zip(*pairs, strict=True)
    return torch.tensor(ys), torch.tensor(xs)


class VisionBlock(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        c = self.config = config
        self.n1, self.n2 = RMSNorm(c.d, c.eps), RMSNorm(c.d, c.eps)
        self.qkv = nn.Linear(c.d, 3 * c.d, bias=False)
        self.o = nn.Linear(c.d, c.d, bias=False)
        self.gate = nn.Linear(c.d, c.ff, bias=False)
        self.up = nn.Linear(c.d, c.ff, bias=False)
        self.down = nn.Linear(c.ff, c.d, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        c = self.config
        batch, length, _ = x.shape
        size = c.d // c.n_head
        q, k, v = self.qkv(self.n1(x)).view(batch, length, 3, c.n_head, size).permute(2, 0, 3, 1, 4)

        def rotate(t: Tensor) -> Tensor:
            a, b = t[..., : size // 2], t[..., size // 2 :]
            return torch.cat((a * cos - b * sin, a * sin + b * cos), -1).to(t.dtype)

        out = F.scaled_dot_product_attention(rotate(q), rotate(k), v)
        x = x + self.o(out.transpose(1, 2).reshape(batch, length, c.d))
        h = self.n2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class GLM4V(nn.Module):
    """Normalised images (B, 3, H, W), sides multiples of patch * merge -> (B, tokens, out)."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        c = self.config = config
        self.patch = nn.Conv2d(3, c.d, c.patch, c.patch)
        self.post_conv_norm = RMSNorm(c.d, c.eps)
        self.pos = nn.Parameter(torch.randn(c.grid * c.grid, c.d) * 0.02)
        self.blocks = nn.ModuleList(VisionBlock(c) for _ in range(c.n_layer))
        self.post_norm = RMSNorm(c.d, c.eps)
        self.merger = nn.Conv2d(c.d, c.out, c.merge, c.merge)
        self.fc = nn.Linear(c.out, c.out, bias=False)
        self.ln = nn.LayerNorm(c.out, eps=1e-5)
        self.gate = nn.Linear(c.out, c.proj_ff, bias=False)
        self.up = nn.Linear(c.out, c.proj_ff, bias=False)
        self.down = nn.Linear(c.proj_ff, c.out, bias=False)

    def rope(self, ys: Tensor, xs: Tensor) -> tuple[Tensor, Tensor]:
        size = self.config.d // self.config.n_head
        inverse = 1.0 / (10000.0 ** (torch.arange(size // 4).float() * 2 / (size // 2)))
        angles = torch.cat((ys[:, None] * inverse, xs[:, None] * inverse), -1)
        return angles.cos()[None, None], angles.sin()[None, None]

    def positions(self, rows: int, columns: int) -> Tensor:
        """The learned positions, resized when the image has another grid."""
        c = self.config
        if (rows, columns) == (c.grid, c.grid):
            return self.pos
        grid = self.pos.view(1, c.grid, c.grid, c.d).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(rows, columns), mode="bicubic", align_corners=False)
        return grid[0].permute(1, 2, 0).reshape(rows * columns, c.d)

    def forward(self, images: Tensor) -> Tensor:
        c = self.config
        rows, columns = images.shape[2] // c.patch, images.shape[3] // c.patch
        ys, xs = patch_positions(rows, columns, c.merge)
        order = ys * columns + xs
        x = self.post_conv_norm(self.patch(images).flatten(2).transpose(1, 2)[:, order])
        x = x + self.positions(rows, columns)[order]
        cos, sin = self.rope(ys.float(), xs.float())
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.project(self.post_norm(x))

    def project(self, x: Tensor) -> Tensor:
        c = self.config
        batch, tokens = x.shape[0], x.shape[1] // (c.merge * c.merge)
        blocks = x.reshape(batch * tokens, c.merge, c.merge, c.d).permute(0, 3, 1, 2)
        x = F.gelu(self.ln(self.fc(self.merger(blocks).view(batch, tokens, c.out))))
        return self.down(F.silu(self.gate(x)) * self.up(x))


class VisionLanguageModel(nn.Module):
    """The image encoder in front of the text model; one image a turn."""

    def __init__(self, text: TextConfig, vision: VisionConfig, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.text, self.vision = GLM4(text), GLM4V(vision)
        prompt = "[gMASK]<sop><|user|>\n<|begin_of_image|>"
        self.before = tokenizer.encode(prompt, add_special_tokens=False).ids

    def hidden(self, images: Tensor, ids: Tensor, pos: Tensor) -> tuple[Tensor, Tensor]:
        """Final states of the text after the image (B, T, d), and the image tokens (B, tokens, out)."""
        seen = self.vision(images)
        before = self.text.embed(torch.tensor(self.before))[None].expand(len(images), -1, -1)
        embeds = torch.cat((before.to(seen.dtype), seen, self.text.embed(ids).to(seen.dtype)), 1)
        states, _ = self.text.hidden(embeds=embeds, pos=pos)
        return states[:, -ids.shape[1] :], seen


def build(tokenizer: Tokenizer, width: int = 128) -> VisionLanguageModel:
    """The starter's sizes (0.71 M text + 0.76 M vision parameters at width 128), with damped residual outputs."""
    text = TextConfig(
        vocab_size=tokenizer.get_vocab_size(),
        d=width,
        n_layer=3,
        n_head=width // 32,
        n_kv=width // 64,
        ff=2 * width,
        ctx=512,
        mrope=(2, 3, 3),
    )
    vision = VisionConfig(d=width, n_layer=3, n_head=width // 32, ff=2 * width, out=width, proj_ff=2 * width)
    model = VisionLanguageModel(text, vision, tokenizer)
    for name, param in model.vision.named_parameters():
        if param.dim() >= 2 and name != "pos":
            nn.init.normal_(param, std=param[0].numel() ** -0.5)
    with torch.no_grad():
        model.vision.down.weight.mul_(0.3)
        for block in model.vision.blocks:
            block.o.weight.mul_(0.3)
            block.down.weight.mul_(0.3)
    return model
