"""Pictures through llama.cpp's mtmd, and the same preprocessing in Python, for comparing and scoring."""

from __future__ import annotations

import base64
import ctypes
import io
import math
from pathlib import Path

import llama_cpp.mtmd_cpp as mtmd
import numpy as np
import torch
from glm_model import GLM4, mrope_positions
from llama_cpp import Llama
from llama_cpp.llama_chat_format import MTMDChatHandler
from PIL import Image
from tokenizers import Tokenizer
from vision_model import GLM4V, VisionConfig

MIN_TOKENS, MAX_TOKENS = 8, 4096  # fixed in llama.cpp's clip.cpp for glm4v


def smart_size(width: int, height: int, align: int = 28) -> tuple[int, int]:
    """The size llama.cpp resizes a picture to: multiples of `align`, 8 to 4096 merged tokens."""
    least, most = MIN_TOKENS * align**2, MAX_TOKENS * align**2

    def nearest(x: int) -> int:
        return max(align, math.floor(x / align + 0.5) * align)

    new_width, new_height = nearest(width), nearest(height)
    if new_width * new_height > most:
        shrink = math.sqrt(height * width / most)
        new_height = max(align, math.floor(height / shrink / align) * align)
        new_width = max(align, math.floor(width / shrink / align) * align)
    elif new_width * new_height < least:
        grow = math.sqrt(least / (height * width))
        new_height = math.ceil(height * grow / align) * align
        new_width = math.ceil(width * grow / align) * align
    return new_width, new_height


def preprocess(image: Image.Image, config: VisionConfig) -> torch.Tensor:
    """Pillow's bicubic resize with the aspect kept, centred on black, then (x / 255 - mean) / std; (3, H, W)."""
    width, height = smart_size(*image.size, align=config.patch * config.merge)
    if (width, height) != image.size:
        scale = min(np.float32(width) / image.size[0], np.float32(height) / image.size[1])
        inner = [
            min(math.ceil(np.float32(side) * scale), to) for side, to in zip(image.size, (width, height), strict=True)
        ]
        canvas = Image.new("RGB", (width, height))
        canvas.paste(image.resize(tuple(inner), Image.BICUBIC), ((width - inner[0]) // 2, (height - inner[1]) // 2))
        image = canvas
    pixels = torch.from_numpy(np.asarray(image.convert("RGB"), dtype=np.float32) / 255.0)
    return ((pixels - torch.tensor(config.mean)) / torch.tensor(config.std)).permute(2, 0, 1)


def png_bytes(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@torch.no_grad()
def torch_logits(
    text: GLM4, vision: GLM4V, tokenizer: Tokenizer, image: Image.Image, question: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of the whole prompt (T, V) and the image tokens, in PyTorch."""
    pixels = preprocess(image, vision.config)[None]
    seen = vision(pixels)[0]
    side = vision.config.patch * vision.config.merge

    def embed(part: str) -> tuple[torch.Tensor, int]:
        ids = tokenizer.encode(part, add_special_tokens=False).ids
        return text.embed(torch.tensor(ids)), len(ids)

    before, count_before = embed("[gMASK]<sop><|user|>\n<|begin_of_image|>")
    after, count_after = embed("<|end_of_image|>" + question + "<|assistant|>\n")
    image_grid = ("i", pixels.shape[2] // side, pixels.shape[3] // side)
    pos, _ = mrope_positions([("t", count_before), image_grid, ("t", count_after)])
    return text(embeds=torch.cat((before, seen, after))[None], pos=pos[:, None])[0], seen


class VisionReader:
    """A text GGUF with its mmproj, answering about one picture at temperature 0."""

    def __init__(self, text: Path, mmproj: Path, exact: bool = False) -> None:
        self.handler = MTMDChatHandler(clip_model_path=str(mmproj), verbose=False)
        kv = {"type_k": 0, "type_v": 0} if exact else {}
        self.llm = Llama(
            str(text),
            chat_handler=self.handler,
            n_ctx=2048,
            n_batch=512,
            logits_all=True,
            verbose=False,
            n_threads=1,
            n_threads_batch=1,
            **kv,
        )
        self.handler._init_mtmd_context(self.llm)

    def answer(self, image: Image.Image, question: str, max_tokens: int = 8) -> str:
        uri = "data:image/png;base64," + base64.b64encode(png_bytes(image)).decode()
        content = [{"type": "image_url", "image_url": {"url": uri}}, {"type": "text", "text": question}]
        out = self.handler(
            llama=self.llm,
            messages=[{"role": "user", "content": content}],
            max_tokens=max_tokens,
            temperature=0.0,
            repeat_penalty=1.0,
        )
        return out["choices"][0]["message"]["content"].strip()

    def image_tokens(self, image: Image.Image, width: int) -> np.ndarray:
        """The encoder's output (tokens, width) as llama.cpp computes it."""
        bitmap = self.handler._create_bitmap_from_bytes(png_bytes(image))
        chunks, text = mtmd.mtmd_input_chunks_init(), mtmd.mtmd_input_text()
        text.text = marker = mtmd.mtmd_default_marker()
        text.text_len, text.add_special, text.parse_special = len(marker), False, True
        bitmaps = (mtmd.mtmd_bitmap_p_ctypes * 1)(bitmap)
        if mtmd.mtmd_tokenize(self.handler.mtmd_ctx, chunks, ctypes.byref(text), bitmaps, 1) != 0:
            raise RuntimeError("mtmd_tokenize failed")
        for index in range(mtmd.mtmd_input_chunks_size(chunks)):
            chunk = mtmd.mtmd_input_chunks_get(chunks, index)
            if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE:
                if mtmd.mtmd_encode_chunk(self.handler.mtmd_ctx, chunk) != 0:
                    raise RuntimeError("mtmd_encode_chunk failed")
                count = mtmd.mtmd_input_chunk_get_n_tokens(chunk)
                out = mtmd.mtmd_get_output_embd(self.handler.mtmd_ctx)
                return np.ctypeslib.as_array(out, shape=(count, width)).copy()
        raise RuntimeError("no image chunk")
