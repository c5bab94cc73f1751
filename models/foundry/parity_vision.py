"""PyTorch and llama.cpp compute the same for a random GLM-4V: image tokens and last logits, several picture sizes.

python parity_vision.py --tokenizer tok.json
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from gguf_export import export_text
from gguf_vision import export_mmproj
from glm_model import GLM4, TextConfig
from parity import randomise
from PIL import Image, ImageDraw
from tokenizers import Tokenizer
from vision_llama import VisionReader, smart_size, torch_logits
from vision_model import GLM4V, VisionConfig

SIZES = ((112, 112), (224, 112), (84, 140), (100, 77), (40, 40), (448, 336))
QUESTION = "What colour is the circle?"


def picture(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    noise = (rng.random((height // 8 + 1, width // 8 + 1, 3)) * 255).astype("uint8")
    image = Image.fromarray(noise).resize((width, height), Image.BILINEAR)
    ImageDraw.Draw(image).ellipse((width * 0.2, height * 0.2, width * 0.6, height * 0.7), fill=(200, 30, 40))
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", type=Path, required=True)
    options = parser.parse_args()
    torch.manual_seed(3)
    tokenizer = Tokenizer.from_file(str(options.tokenizer))
    sizes = TextConfig(vocab_size=tokenizer.get_vocab_size(), d=256, n_head=8, n_kv=4, ff=512, mrope=(2, 3, 3))
    text, vision = GLM4(sizes).eval(), GLM4V(VisionConfig()).eval()
    randomise(text, 0.06)
    randomise(vision, 0.06)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        text_path = Path(folder) / "text.gguf"
        export_text(text, options.tokenizer, text_path, "F32", "random")
        for kind in ("F32", "F16", "Q8_0"):
            mmproj = Path(folder) / f"mmproj_{kind}.gguf"
            export_mmproj(vision, mmproj, kind, "random")
            reader = VisionReader(text_path, mmproj, exact=True)
            for width, height in SIZES:
                image = picture(rng, width, height)
                expected, seen = torch_logits(text, vision, tokenizer, image, QUESTION)
                got = reader.image_tokens(image, vision.config.out)
                reader.answer(image, QUESTION, max_tokens=1)
                count = len(expected)
                logits = min(float(np.abs(reader.llm.scores[k] - expected[-1].numpy()).max()) for k in range(count))
                print(
                    f"{kind} {width}x{height} -> {smart_size(width, height)} {len(got)} tokens: "
                    f"image {np.abs(got - seen.numpy()).max():.2e}, last logits {logits:.2e}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
